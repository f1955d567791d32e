import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SwimWorld } from '../../src/sim/swims.ts'

function trace(seed: number): string {
  const world = new SwimWorld(seed, { profile: 'local' })
  world.loss = 0.05
  const nodes = world.cluster(12)
  world.run(5000)
  nodes[3]!.kill()
  nodes[4]!.input({ type: 'leave', id: 1, timeoutMs: 3000 })
  nodes[5]!.pause()
  world.run(1500)
  nodes[5]!.resume()
  world.run(20_000)
  return world.traceHash
}

test('equal seeds give equal traces, others do not', () => {
  assert.equal(trace(1), trace(1))
  assert.notEqual(trace(1), trace(2))
})
