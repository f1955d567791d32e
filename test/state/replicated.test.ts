/** Entities with copies between whole nodes, in the simulator. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CopiedFleet } from './replica-fleet.ts'

test('a crash loses no acknowledged update when each is on two nodes', async () => {
  await using fleet = new CopiedFleet({ copies: 2, acks: 2 })
  await fleet.start(4)
  fleet.load(40, 80)
  await fleet.sim.run(1_000)
  fleet.hosts.get('n2')?.crash()
  fleet.hosts.delete('n2')
  await fleet.sim.run(12_000)
  fleet.quiet()
  await fleet.sim.run(6_000)
  console.log(fleet.calls, fleet.failures.length, fleet.failures.slice(0, 3), fleet.acked.size)
  for (const [name, { value }] of fleet.hosts)
    if (name !== 'o') console.log(name, (await fleet.sim.settle(value!.node.stats(), 1000)).state)
  const lost: string[] = []
  for (const one of await fleet.wrong()) {
    const [n, acked] = one.replace(/.*: /, '').split(' of ').map(Number)
    // What the node that died had called may have run.
    if (n! < acked! || n! > acked! + 1) lost.push(one)
  }
  assert.deepEqual(lost, [])
})
