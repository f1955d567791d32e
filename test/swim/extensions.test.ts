/** What can be turned off, to be plain memberlist or plain SWIM. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SwimNodeOptions, SwimWorld } from '../../src/sim/swims.ts'
import { profiles } from '../../src/swim/config.ts'
import { suspicionWindow } from '../../src/swim/suspicion.ts'

const plain: SwimNodeOptions = { extensions: { roundRobin: true, buddySystem: false, ours: false } }

/** A suspicion that nobody could hear of but by a ping: does its subject refute? */
function refutesOverPings(buddySystem: boolean): boolean {
  const world = new SwimWorld(3, {
    extensions: { roundRobin: true, buddySystem, ours: false },
    timing: { gossipNodes: 0, packetBytesMax: 1, pushPullIntervalMs: 0, tcpPings: false, suspicionMult: 30 },
  })
  const [a, b] = world.settled(2) as [ReturnType<SwimWorld['node']>, ReturnType<SwimWorld['node']>]
  world.run(5000)
  b.pause()
  world.runUntil(() => a.stateOf('n1') === 'suspect', 10_000)
  b.resume()
  world.run(10_000)
  return b.swim.counters.refutes > 0
}

test('the buddy system tells a suspect by a ping, and without it the ping says nothing', () => {
  assert.equal(refutesOverPings(true), true)
  assert.equal(refutesOverPings(false), false)
})

test('without our additions nobody appeals, accuses, inquires, heals or notices that it slept', () => {
  const world = new SwimWorld(5, plain)
  const nodes = world.cluster(8)
  world.run(20_000)
  nodes[7]!.pause()
  world.run(60_000)
  nodes[7]!.resume()
  world.run(20_000)
  for (const { swim } of nodes) {
    const { accusations, evidenceProbes, stalls } = swim.counters
    assert.deepEqual(
      { accusations, evidenceProbes, stalls },
      { accusations: 0, evidenceProbes: 0, stalls: 0 },
    )
  }
})

test('without rounds each target is drawn anew: some members wait longer than any round could make them', () => {
  const gaps = [true, false].map((roundRobin) => {
    const world = new SwimWorld(6, {
      extensions: { roundRobin, buddySystem: false, ours: false },
      envelope: { label: '', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false },
    })
    world.settled(5)
    world.run(10_000)
    let pings = 0
    let last = 0
    let longest = 0
    world.onOutput = (node, output) => {
      if (node.name !== 'n0' || output.type !== 'packet' || output.bytes[0] !== 0) return
      pings += 1
      if (output.to !== '10.0.0.2:7946') return
      longest = Math.max(longest, pings - last)
      last = pings
    }
    world.run(200_000)
    return longest
  })
  assert.ok(gaps[0]! <= 9 && gaps[1]! > 9, String(gaps))
})

test('a suspicion that cannot shrink waits for no confirmation', () => {
  assert.equal(suspicionWindow({ ...profiles.lan, suspicionMaxTimeoutMult: 1 }, 100).wanted, 0)
  assert.equal(suspicionWindow(profiles.lan, 100).wanted, 2)
})
