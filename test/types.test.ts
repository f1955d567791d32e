/** What the compiler knows of a call. Checked by building this file: each wrong use must be an error. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CallContext, createNode, type Method, type ShoalNode } from '../src/index.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <T extends true>(value: T): T => value

interface Item {
  readonly name: string
}

/** Never called: only compiled. */
export async function calls(node: ShoalNode): Promise<void> {
  const add = node.handle('add', async (item: Item, { key }) => `${key}: ${item.name}`.length)
  same<Equal<typeof add, Method<Item, number>>>(true)
  const length = await node.request({ method: add, key: 'k', body: { name: 'net' } })
  same<Equal<typeof length, number>>(true)
  // @ts-expect-error the handler takes an Item
  await node.request({ method: add, key: 'k', body: 'net' })
  const unknown = await node.request({ method: 'add', key: 'k' })
  same<Equal<typeof unknown, unknown>>(true)
  const told = await node.request<Item, number>({ method: 'add', key: 'k', body: { name: 'net' } })
  same<Equal<typeof told, number>>(true)
  const tail = node.handle('tail', async function* (from: number) {
    yield `line ${from}`
  })
  for await (const line of node.stream({ method: tail, key: 'k', body: 7 }))
    same<Equal<typeof line, string>>(true)
  for await (const n of node.stream({ method: add, key: 'k', body: { name: 'net' } })) {
    same<Equal<typeof n, number>>(true)
  }
  const upload = node.handle('upload', async (_: undefined, { input }: CallContext<Uint8Array>) => {
    let bytes = 0
    for await (const chunk of input) bytes += chunk.length
    return bytes
  })
  same<Equal<typeof upload, Method<undefined, number, Uint8Array>>>(true)
  const bytes = await node.request({ method: upload, key: 'k', input: [new Uint8Array(3)] })
  same<Equal<typeof bytes, number>>(true)
  // @ts-expect-error the handler reads bytes
  await node.request({ method: upload, key: 'k', input: ['text'] })
  node.on('ownership', ({ gained }) => same<Equal<typeof gained, readonly number[]>>(true))
  // @ts-expect-error there is no such event
  node.on('peerUp', () => {})
  // @ts-expect-error members are read, not written
  node.members[0] = undefined
}

test('the types of a handler reach the caller', () => {
  const node = createNode({ name: 'typed' })
  const method = node.handle('add', (item: Item) => item.name.length)
  assert.equal(method.name, 'add')
})
