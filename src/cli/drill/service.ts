/**
 * The service that is drilled when no other is given, and the shortest example of one: each key is an entity that keeps the
 * ids of its updates. Between reading and writing it lets others run, so that two calls of a key that overlap are seen.
 */
import { setImmediate } from 'node:timers/promises'
import { createNode, entity, type NodeOptions } from '../../index.ts'
import type { Service, Setting } from './contract.ts'

interface State {
  ids: readonly string[]
}

/** Longer than a death takes to be found, so that calls wait for it. */
const timeoutMs = 15_000

export async function start(options: NodeOptions, setting: Setting): Promise<Service> {
  const { level, copies, acks, merge, voters } = setting
  const Marks = entity('marks', {
    open: (): State => ({ ids: [] }),
    calls: {
      async add(marks, id: string) {
        const before = marks.ids
        await setImmediate()
        marks.ids = [...before, id]
      },
      list: (marks) => marks.ids,
    },
    readonly: ['list'],
    level,
    ...(copies === undefined ? {} : { copies }),
    ...(acks === undefined ? {} : { acks }),
    ...(voters === undefined ? {} : { quorum: { voters } }),
    ...(merge ? { merge: union } : {}),
  })
  const node = createNode({ timeoutMs, ...options })
  const marks = node.host(Marks)
  await node.start()
  return {
    node,
    update: (key, id) => marks.get(key).add(id),
    read: (key) => marks.get(key).list(),
  }
}

/** Each id as often as the one has it that has it more often. */
function union(ours: State, theirs: State): State {
  const left = new Map<string, number>()
  for (const id of ours.ids) left.set(id, (left.get(id) ?? 0) + 1)
  const added = theirs.ids.filter((id) => {
    const count = left.get(id) ?? 0
    left.set(id, count - 1)
    return count <= 0
  })
  return { ids: [...ours.ids, ...added] }
}
