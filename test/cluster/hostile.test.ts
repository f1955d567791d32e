/**
 * Hostile peers at the RPC port of a real process: each is closed at a named limit or after a named time-out, with the
 * reason, while another process goes on calling and no call of it fails. The long run is test/soak/half-open.ts.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { encodeBody, noBody } from '../../src/wire/body.ts'
import { frameType } from '../../src/wire/frame.ts'
import { HostilePeer } from '../support/hostile.ts'
import { Fleet, type NodeProcess } from '../support/processes.ts'
import { plainRequest } from '../support/request-frame.ts'
import { until } from '../support/until.ts'

const cluster = 'hostile'
const limits = {
  helloTimeoutMs: 1_000,
  halfOpenMax: 32,
  frameBytesMax: 200_000,
  pauseBytes: 64 * 1024,
  queuedBytesMax: 256 * 1024,
}
const fleet = new Fleet({ cluster, limits })
let victim: NodeProcess
let witness: NodeProcess

before(async () => {
  ;[victim, witness] = (await fleet.cluster(['victim', 'witness'])) as [NodeProcess, NodeProcess]
  await witness.load({ keys: 60, notOf: 'witness', workers: 6, pauseMs: 2 })
})
after(() => fleet.end())

let peers = 0
function peer(): HostilePeer {
  peers += 1
  return new HostilePeer(victim.rpc, cluster, `mallory-${peers}`)
}

/** One that has said hello and was answered. */
async function friend(): Promise<HostilePeer> {
  const one = peer()
  one.hello()
  one.send()
  await until('a hello', async () => one.heard.has(frameType.hello))
  return one
}

const request = { ...plainRequest, method: 'where' }

/** Nobody else noticed: all calls of the witness were answered, and more of them since. */
async function unharmed(): Promise<void> {
  const { answered } = await witness.report()
  await until('more answers', async () => (await witness.report()).answered > answered + 20)
  const { failed, failures } = await witness.report()
  assert.equal(failed, 0, failures.join('; '))
}

const frame = (type: number, flags: number, ...fields: number[]): number[] => [
  ...[0, 0, 0, fields.length + 2, type, flags],
  ...fields,
]

test('what breaks the protocol ends that connection alone, with the reason told to it and counted', async () => {
  const broken: Record<string, (one: HostilePeer) => void> = {
    // A frame of 2 GB, of one byte, and one whose key is longer than the frame.
    length: (one) => one.sendBytes(0x7f, 0xff, 0xff, 0xff, frameType.request, 0),
    fields: (one) =>
      one.sendBytes(
        ...frame(frameType.request, 4, 0, 0, 0, 1, 0, 0, 0, 9, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255),
      ),
    type: (one) => one.sendBytes(...frame(31, 0)),
    flags: (one) => one.sendBytes(...frame(frameType.reply, 0x80, 0, 0, 0, 1)),
    method: (one) => one.sendBytes(...frame(frameType.request, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 5)),
    reply: (one) => {
      one.outbox.reply(1, noBody, false)
      one.send()
    },
    duplicate: (one) => {
      one.outbox.request(7, 100, request)
      one.outbox.request(7, 100, request)
      one.send()
    },
    hello: (one) => {
      one.hello()
      const [bytes] = one.outbox.take()
      one.sendBytes(...bytes!.subarray(8))
    },
  }
  for (const [violation, act] of Object.entries(broken)) {
    const one = await friend()
    act(one)
    await one.ended
    assert.match(one.goaway ?? '', /^violation: /, violation)
    const { rpc } = await victim.stats()
    assert.equal(rpc.violations[violation], 1, violation)
  }
  await unharmed()
})

test('who says nothing, and who says its hello byte by byte, is closed after helloTimeoutMs', async () => {
  const silent = peer()
  const loris = peer()
  loris.hello()
  const [hello] = loris.outbox.take()
  const drip = (async () => {
    for (const byte of hello!) {
      if (loris.isOver) return
      loris.sendBytes(byte)
      await setTimeout(50)
    }
  })()
  await Promise.all([silent.ended, loris.ended])
  assert.equal(loris.goaway, 'timeout: no hello within helloTimeoutMs')
  assert.equal(silent.goaway, loris.goaway)
  for (const one of [silent, loris]) {
    const { endedMs = 0 } = one
    // Later on a busy machine, never earlier.
    assert.ok(endedMs >= limits.helloTimeoutMs - 50, `${endedMs}`)
  }
  await drip
  assert.equal((await victim.stats()).rpc.halfOpen, 0)
  await unharmed()
})

test('a crowd that says nothing costs no more than halfOpenMax connections, and keeps nobody out', async () => {
  const crowd = Array.from({ length: 500 }, () => peer())
  await until('most of the crowd is closed', async () => {
    const { rpc } = await victim.stats()
    assert.ok(rpc.halfOpen <= limits.halfOpenMax, `${rpc.halfOpen}`)
    return crowd.filter(({ isOver }) => isOver).length >= 400
  })
  const one = await friend()
  one.outbox.request(1, 1_000, request)
  one.send()
  await until('an answer', async () => one.heard.has(frameType.reply))
  one.close()
  for (const other of crowd) other.close()
  assert.ok((await victim.stats()).rpc.halfOpenShed >= 400)
  await unharmed()
})

test('who asks and never reads is held back, refused, and closed; memory stays where it was', async () => {
  const before = await victim.usage()
  const one = await friend()
  one.stopReading()
  const body = encodeBody(new Uint8Array(10_000))
  let id = 0
  for (; id < 500; id += 1) one.outbox.request(id + 1, 60_000, { ...request, body })
  one.send()
  for (let turn = 0; turn < 400 && !one.isOver; turn += 1) {
    for (let i = 0; i < 500; i += 1, id += 1) one.outbox.request(id + 1, 60_000, request)
    one.send()
    await setTimeout(5)
    const { rpc } = await victim.stats()
    if ((rpc.violations['unread'] ?? 0) > 0) break
  }
  assert.equal((await victim.stats()).rpc.violations['unread'], 1)
  one.close()
  await unharmed()
  const after = await victim.usage()
  const grown = after.heapBytes + after.externalBytes - before.heapBytes - before.externalBytes
  assert.ok(grown < 16 * 1024 * 1024, `${grown} bytes`)
})
