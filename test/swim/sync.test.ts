import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SwimWorld } from '../../src/sim/swims.ts'
import { addressOf, Lone } from './lone.ts'

test('whom another holds suspect or dead is suspected here and may refute; who left has left', () => {
  const lone = new Lone()
  for (const [place, name] of ['s', 'd', 'l'].entries()) lone.alive(name, place + 1, 5)
  lone.exchange([lone.record('s', 1, 5, 1), lone.record('d', 2, 5, 2), lone.record('l', 3, 5, 3)])
  assert.deepEqual(
    ['s', 'd', 'l'].map((name) => lone.holds(name)),
    ['suspect 5', 'suspect 5', 'left 5'],
  )
  lone.alive('d', 2, 6)
  assert.equal(lone.holds('d'), 'alive 6')
})

test('who joins learns of those too whom its seed suspects: they live, and own keys, as long as nobody proves otherwise', () => {
  const lone = new Lone()
  lone.exchange([lone.record('s', 1, 5, 1), lone.record('d', 2, 5, 2), lone.record('l', 3, 5, 3)])
  assert.deepEqual(
    ['s', 'd', 'l'].map((name) => lone.holds(name)),
    ['suspect 5', 'unknown', 'unknown'],
  )
})

test('an exchange that others ask for teaches us their members, and answers with ours', () => {
  const lone = new Lone()
  lone.exchange([lone.record('x', 1, 5, 0)])
  assert.equal(lone.holds('x'), 'alive 5')
  assert.ok(lone.outputs.some(({ type }) => type === 'write'))
})

test('who pings us by name and is not known is asked for its table, once a probe interval', () => {
  const lone = new Lone()
  const dials = (): number => lone.outputs.filter((o) => o.type === 'dial' && o.to === addressOf(1)).length
  lone.ping('me', 'x', 1)
  lone.ping('me', 'x', 1)
  assert.equal(dials(), 1)
  lone.world.run(lone.node.config.timing.probeIntervalMs)
  lone.ping('me', 'x', 1)
  assert.equal(dials(), 2)
  // One that has not said whom it means, as a joiner that tests UDP, knows nothing of us yet.
  lone.world.run(lone.node.config.timing.probeIntervalMs)
  lone.ping('', 'x', 1)
  assert.equal(dials(), 2)
})

test('beyond 32 members exchanges come more rarely', () => {
  const perMember = (count: number): number => {
    const world = new SwimWorld(1)
    world.logging = false
    const nodes = world.settled(count)
    world.run(300_000)
    return nodes.reduce((sum, { swim }) => sum + swim.counters.pushPulls, 0) / count
  }
  assert.ok(Math.abs(perMember(32) - 10) <= 0.5)
  assert.ok(Math.abs(perMember(33) - 5) <= 0.5)
})

test('a stream that says nothing is closed after its time', () => {
  const lone = new Lone()
  lone.node.input({ type: 'accepted', stream: -1, from: addressOf(1) })
  const closed = (): boolean => lone.outputs.some((o) => o.type === 'destroy' && o.stream === -1)
  lone.world.run(lone.node.config.timing.tcpTimeoutMs - 1)
  assert.equal(closed(), false)
  lone.world.run(1)
  assert.equal(closed(), true)
})
