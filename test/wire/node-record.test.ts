/** What is held of a table only saves work: the bytes and what is read of them are the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Keyring } from '../../src/wire/keyring.ts'
import { type HeldNodes, NodeRecord, NodeTable, recordEnd } from '../../src/wire/node-record.ts'
import type { Envelope } from '../../src/wire/packet.ts'
import { ValueScanner } from '../../src/wire/scan.ts'
import { type PushPull, type PushPullNode, StreamCodec } from '../../src/wire/stream.ts'
import { pushPull } from './arbitraries.ts'
import { seeded } from './seeded.ts'

const plain: Envelope = {
  ...{ label: 'l', keyring: undefined, verifyIncoming: true, verifyOutgoing: true, compress: false },
}
const sealed: Envelope = { ...plain, keyring: new Keyring([new Uint8Array(16)]), compress: true }

function holding(nodes: readonly NodeRecord[]): HeldNodes {
  const byName = new Map(nodes.map((node) => [node.name, node]))
  return {
    count: nodes.length,
    heldNode: (name) => byName.get(name),
    heldTable: () => new NodeTable(nodes),
  }
}

/** What the message says, without what it is made of. */
function said(message: unknown): unknown {
  const { nodes, join, userState } = message as PushPull
  const fields = ({ name, addr, port, meta, incarnation, state, vsn }: PushPullNode) => {
    return { name, addr: [...addr], port, meta: meta && [...meta], incarnation, state, vsn: [...vsn] }
  }
  return { join, userState: [...userState], nodes: nodes.map(fields) }
}

function outcome(read: () => unknown): unknown {
  try {
    const message = read()
    return message === undefined ? 'more' : said(message)
  } catch (error) {
    return (error as Error).message
  }
}

test('a table is read the same whatever is held of it, whole, in chunks or damaged, through any envelope', () => {
  const how = fc.record({
    message: pushPull,
    hold: fc.array(fc.constantFrom('same', 'other', 'none'), { minLength: 20, maxLength: 20 }),
    wrapped: fc.boolean(),
    damageAt: fc.option(fc.nat(3000)),
    chunkBytes: fc.integer({ min: 1, max: 3000 }),
  })
  fc.assert(
    fc.property(how, ({ message, hold, wrapped, damageAt, chunkBytes }) => {
      const codec = new StreamCodec(wrapped ? sealed : plain, seeded(1))
      const bytes = codec.seal(message, 'dialer')
      if (damageAt !== null) bytes[damageAt % bytes.length]! ^= 1 << (damageAt & 7)
      const held: NodeRecord[] = []
      message.nodes.forEach((node, i) => {
        if (hold[i] === 'same') held.push(new NodeRecord(node))
        if (hold[i] === 'other')
          held.push(new NodeRecord({ ...node, incarnation: (node.incarnation ^ 1) >>> 0 }))
      })
      const chunked = (reader: { push(bytes: Uint8Array): unknown }) => () => {
        let result: unknown
        for (let at = 0; at < bytes.length; at += chunkBytes)
          result ??= reader.push(bytes.subarray(at, at + chunkBytes))
        return result
      }
      assert.deepEqual(
        outcome(chunked(codec.reader('acceptor', holding(held)))),
        outcome(chunked(codec.reader('acceptor'))),
      )
    }),
    { numRuns: 1000 },
  )
})

test('what is held comes out as what is held, the whole table as the table', () => {
  const [message] = fc.sample(
    pushPull.filter(({ nodes }) => nodes.length > 2),
    1,
  ) as [PushPull]
  const names = new Set<string>()
  const nodes = message.nodes.filter(({ name }) => names.size < names.add(name).size)
  const codec = new StreamCodec(plain, seeded(1))
  const records = nodes.map((node) => new NodeRecord(node))
  const bytes = codec.seal({ ...message, nodes }, 'dialer')
  const whole = codec.reader('acceptor', holding(records)).push(bytes)
  assert.ok(whole?.type === 'pushPull' && whole.table !== undefined)
  assert.equal(whole.nodes[0], records[0])
  const some = codec.reader('acceptor', holding(records.slice(1))).push(bytes)
  assert.ok(some?.type === 'pushPull' && some.table === undefined)
  assert.notEqual(some.nodes[0], records[0])
  assert.equal(some.nodes[1], records[1])
  // And is written as it would be.
  const again = { ...message, nodes: records, table: new NodeTable(records) }
  assert.deepEqual(codec.seal(again, 'dialer'), bytes)
  assert.deepEqual(codec.seal({ ...message, nodes: records }, 'dialer'), bytes)
})

test('what stands where a name should is only taken for one under its key', () => {
  const [node] = fc.sample(
    pushPull.map(({ nodes }) => nodes[0]).filter((node) => node !== undefined),
    1,
  ) as [PushPullNode]
  const codec = new StreamCodec({ ...plain, label: '' }, seeded(1))
  const message: PushPull = {
    ...{ type: 'pushPull', join: false, nodes: [{ ...node, name: 'abc' }], userState: new Uint8Array(0) },
  }
  const bytes = codec.seal(message, 'dialer')
  const at = Buffer.from(bytes).indexOf('Name')
  bytes.set(Buffer.from('Nope'), at)
  // Not UTF-8, and nobody minds in a field that nobody knows.
  bytes[at + 5] = 0xff
  const read = codec.reader('acceptor', holding([])).push(bytes)
  assert.ok(read?.type === 'pushPull' && read.nodes[0]?.name === '')
})

test('a step over a record ends where a scanner of values does', () => {
  fc.assert(
    fc.property(pushPull, fc.option(fc.nat(200)), ({ nodes }, damageAt) => {
      for (const node of nodes) {
        const bytes = new Uint8Array([...new NodeRecord(node).bytes, 1, 2, 3])
        if (damageAt !== null) bytes[damageAt % bytes.length]! ^= 1 << (damageAt & 7)
        const end = recordEnd(bytes, 0, bytes.length)
        if (damageAt === null) assert.equal(end, bytes.length - 3)
        if (end < 0) continue
        const scanner = new ValueScanner()
        scanner.start(0)
        assert.ok(scanner.advance(bytes, bytes.length))
        assert.equal(scanner.at, end)
        for (let cut = 0; cut < end; cut++) assert.equal(recordEnd(bytes, 0, cut), -1)
      }
    }),
    { numRuns: 300 },
  )
})
