/** State follows its key between whole nodes, in the simulator. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Handoff } from '../../src/index.ts'
import { Fleet, type Keeping } from './handoff-nodes.ts'

const keepings: readonly Keeping[] = ['entity', 'store']

for (const keeping of keepings) {
  test(`${keeping}: nodes that join and leave under load take the state of their keys over, and no call fails`, async () => {
    await using fleet = new Fleet(keeping, {}, { seed: 1, link: { delayMs: 0.5, jitterMs: 0 } })
    await fleet.start(3)
    fleet.load(100, 50)
    await fleet.sim.run(500)
    const joined = fleet.spawn('n4')
    await fleet.sim.settle(joined.started, 10_000)
    const events: Handoff[] = []
    fleet.value('n4').node.on('handoff', (event) => events.push(event))
    await fleet.sim.run(2_000)
    assert.deepEqual(fleet.value('n4').node.rebalance, [])
    assert.deepEqual(await fleet.leave('n2'), { leftBehind: [] })
    await fleet.sim.run(1_000)
    assert.deepEqual(await fleet.leave('n1'), { leftBehind: [] })
    await fleet.sim.run(1_000)
    fleet.quiet()
    await fleet.sim.run(6_000)
    assert.deepEqual(fleet.failures, [])
    assert.ok(fleet.calls > 6_000, `${fleet.calls}`)
    assert.deepEqual(await fleet.wrong(), [])
    assert.ok(events.some(({ type, keys, bytes }) => type === 'received' && keys > 0 && bytes > 0))
    assert.ok(events.every(({ type }) => type === 'received' || type === 'given'))
    const stats = await fleet.sim.settle(fleet.value('n4').node.stats(), 1_000)
    assert.deepEqual(
      [stats.state.toGive, stats.state.toTake, stats.state.lost, stats.state.malformed],
      [0, 0, 0, 0],
    )
    // The longest wait of a call is that of a key whose partition moved while it was called.
    const waits = fleet.waits.sort((a, b) => a - b)
    const at = (part: number): number => waits[Math.floor(waits.length * part)] ?? Infinity
    assert.ok(at(0.5) <= 2, `${at(0.5)}`)
    assert.ok(at(1 - 1 / waits.length) <= 10, `${waits.at(-1)}`)
  })
}
