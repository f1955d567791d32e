import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SwimNode, SwimWorld } from '../../src/sim/swims.ts'

function agree(nodes: readonly SwimNode[], names: readonly string[]): boolean {
  return nodes.every((node) => node.alive.length === names.length && node.alive.join() === names.join())
}

for (const count of [2, 3, 10, 100]) {
  test(`${count} nodes that join through one seed all see each other`, () => {
    const world = new SwimWorld(count)
    const nodes = world.cluster(count)
    const names = nodes.map((node) => node.name).sort()
    const tookMs = world.runUntil(() => agree(nodes, names), 60_000)
    assert.notEqual(tookMs, -1)
    for (const node of nodes.slice(1)) assert.equal(node.results[0]?.type, 'joined')
    assert.deepEqual(world.falseDeaths(), [])
  })
}
