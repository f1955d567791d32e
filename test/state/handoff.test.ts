/** State follows its key between whole nodes, in the simulator. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fleet } from './handoff-nodes.ts'

test('nodes that join and leave under load take the state of their keys over, and no call fails', async () => {
  await using fleet = new Fleet()
  await fleet.start(3)
  fleet.load(100, 50)
  await fleet.sim.run(500)
  const joined = fleet.spawn('n4')
  await fleet.sim.settle(joined.started, 10_000)
  await fleet.sim.run(2_000)
  await fleet.leave('n2')
  await fleet.sim.run(2_000)
  await fleet.leave('n1')
  await fleet.sim.run(2_000)
  fleet.quiet()
  await fleet.sim.run(6_000)
  assert.deepEqual(fleet.failures, [])
  assert.ok(fleet.calls > 10_000, `${fleet.calls}`)
  assert.deepEqual(await fleet.wrong(), [])
  const waits = fleet.waits.sort((a, b) => a - b)
  console.log(waits.length, waits.at(-1), waits[Math.floor(waits.length * 0.999)], waits[Math.floor(waits.length * 0.5)])
})
