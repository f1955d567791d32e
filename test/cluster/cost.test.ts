/** What a call costs in things that can be counted: writes, bytes, timers. Real nodes on real sockets; nothing is timed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Env } from '../../src/env.ts'
import { systemEnv } from '../../src/host/env.ts'
import { createNode, type NodeStats, type ShoalNode } from '../../src/index.ts'

const depth = 64
const turns = 50
const calls = depth * turns
/** 106 bytes of MessagePack. */
const body = {
  user: 'user-4711',
  items: ['net', 'rod', 'bait'],
  total: 129.95,
  paid: false,
  note: 'leave it at the harbour, please',
  at: 1_700_000_000_000,
}
const bodyBytes = 106
const key = 'user-00000004711'

/** The system's environment, with the timers of its main loop counted. */
function countingEnv(): { readonly env: Env; readonly timers: () => number } {
  let timers = 0
  const clock = {
    ...systemEnv.clock,
    setTimer(delayMs: number, fn: () => void) {
      timers += 1
      return systemEnv.clock.setTimer(delayMs, fn)
    },
  }
  return { env: { ...systemEnv, clock }, timers: () => timers }
}

test('64 calls of a turn leave in one write, take no timers, and carry 52 bytes beside key and body there, 10 back', async () => {
  const { env, timers } = countingEnv()
  // A machine that is busy with other tests must not make it refuse calls, which would be repeated.
  const server = createNode({ name: 'server', port: 0, profile: 'local', admission: false })
  server.handle('echo', (value: unknown) => value)
  await server.start()
  const join = [server.addresses.gossip]
  const client = createNode({ name: 'client', port: 0, profile: 'local', observer: true, join, env })
  await client.start()
  const turn = (): Promise<unknown[]> =>
    Promise.all(Array.from({ length: depth }, () => client.request({ method: 'echo', key, body })))
  const rpcOf = async (node: ShoalNode): Promise<NodeStats['rpc']> => (await node.stats()).rpc
  try {
    await turn()
    const [sent, answered, timersBefore] = [await rpcOf(client), await rpcOf(server), timers()]
    for (let i = 0; i < turns; i++) await turn()
    const [sentAfter, answeredAfter] = [await rpcOf(client), await rpcOf(server)]
    assert.equal(sentAfter.callsSent - sent.callsSent, calls)
    // Beside the calls there is a ping now and then.
    assert.ok(sentAfter.writes - sent.writes <= turns + 5, `${sentAfter.writes - sent.writes} writes`)
    // The kernel may hand the calls of a turn over in more than one piece.
    assert.ok(
      answeredAfter.writes - answered.writes <= 4 * turns,
      `${answeredAfter.writes - answered.writes} writes`,
    )
    assert.ok(timers() - timersBefore <= calls / 16, `${timers() - timersBefore} timers`)
    const out = (sentAfter.bytesOut - sent.bytesOut) / calls
    const back = (answeredAfter.bytesOut - answered.bytesOut) / calls
    const head = { out: out - key.length - bodyBytes, back: back - bodyBytes }
    assert.ok(head.out >= 52 && head.out < 53, `${head.out} bytes of head`)
    assert.ok(head.back >= 10 && head.back < 11, `${head.back} bytes of head back`)
  } finally {
    await client.close()
    await server.close()
  }
})
