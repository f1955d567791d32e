/** The service that is drilled when no other is given: each key keeps the ids of its updates. */
import { setImmediate } from 'node:timers/promises'
import { createNode, type NodeOptions } from '../../index.ts'
import type { Service } from './contract.ts'

export async function start(options: NodeOptions): Promise<Service> {
  const node = createNode(options)
  const marks = new Map<string, string[]>()
  const add = node.handle(
    'add',
    async (id: string, { key = '' }) => {
      const before = marks.get(key) ?? []
      if (before.includes(id)) return before.length
      await setImmediate()
      marks.set(key, [...before, id])
      return before.length + 1
    },
    { idempotent: true },
  )
  const list = node.handle('list', (_: undefined, { key = '' }) => marks.get(key) ?? [], { idempotent: true })
  await node.start()
  return {
    node,
    update: (key, id) => node.request({ method: add, key, body: id }),
    read: (key) => node.request({ method: list, key }),
  }
}
