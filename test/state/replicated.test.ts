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
  const knows = (): boolean =>
    [...fleet.hosts.values()].every(({ value }) => !value?.node.ring.members.includes('n2'))
  await fleet.sim.until(knows, 20_000)
  const since = fleet.sim.now
  const waits: number[] = []
  const calls = Array.from({ length: 40 }, (_, at) =>
    fleet
      .value('o')
      .counters.read(`k${at}`)
      .then(() => waits.push(fleet.sim.now - since)),
  )
  await fleet.sim.settle(Promise.all(calls), 10_000)
  // All have found out: what nobody holds is served again at once, also where the last who gave it named the dead one.
  const slow = waits.filter((ms) => ms > 50)
  assert.deepEqual([waits.length, slow], [40, []])
  await fleet.sim.run(5_000)
  fleet.quiet()
  await fleet.sim.run(6_000)
  assert.deepEqual(fleet.failures, [])
  assert.ok(fleet.calls > 2_000, `${fleet.calls}`)
  const lost: string[] = []
  for (const one of await fleet.wrong()) {
    const [n, acked] = one.replace(/.*: /, '').split(' of ').map(Number)
    // What the node that died had called may have run.
    if (n === undefined || acked === undefined || n < acked || n > acked + 1) lost.push(one)
  }
  assert.deepEqual(lost, [])
})

test('without a majority of voters a call hears that, also where its partition was never served', async () => {
  await using fleet = new CopiedFleet({ copies: 3, acks: 2, quorum: { voters: 3 } })
  await fleet.start(1)
  const call = fleet.value('o').counters.add('k', 1)
  await assert.rejects(fleet.sim.settle(call, 60_000), {
    code: 'ERR_SHOAL_NO_OWNER',
    mayHaveRun: false,
    message: /does not see a majority of 3 voters/,
  })
})

test('nodes that leave wait until what they keep for others is elsewhere, also when two leave at once', async () => {
  await using fleet = new CopiedFleet({ copies: 2, acks: 2 }, { drainMs: 0 })
  await fleet.start(5)
  const keys = Array.from({ length: 200 }, (_, at) => `k${at}`)
  const added = keys.map((key) => fleet.value('o').counters.add(key, 1))
  await fleet.sim.settle(Promise.all(added), 10_000)
  await fleet.sim.run(2_000)
  // New copies cannot be made at once.
  const far = ['n4', 'n5']
  fleet.sim.cut('n3', far)
  fleet.sim.at(2_500, () => fleet.sim.heal('n3', far))
  const leavers = ['n1', 'n2'].map((name) => fleet.value(name).node)
  const reports = await fleet.sim.settle(Promise.all(leavers.map((node) => node.leave())), 20_000)
  for (const { name } of leavers) fleet.hosts.delete(name)
  assert.deepEqual(
    reports.map(({ leftBehind }) => leftBehind),
    [[], []],
  )
  // Whoever dies now takes no more than one of two copies with it.
  fleet.hosts.get('n3')?.crash()
  fleet.hosts.delete('n3')
  await fleet.sim.run(10_000)
  for (const key of keys) fleet.acked.set(key, 1)
  assert.deepEqual(await fleet.wrong(), [])
  assert.deepEqual(
    fleet.told.filter(({ type }) => type === 'lost'),
    [],
  )
})

test('in a clean split the side without a majority refuses, and the other one goes on', async () => {
  await using fleet = new CopiedFleet({ copies: 3, acks: 2, quorum: { voters: 5 } })
  await fleet.start(5)
  await fleet.sim.run(2_000)
  const small = ['n1', 'n2']
  const large = ['n3', 'n4', 'n5', 'o']
  fleet.sim.cut(small, large)
  fleet.sim.cut(large, small)
  await fleet.sim.run(4_000)
  const asked = async (name: string, key: string): Promise<string> => {
    try {
      await fleet.value(name).counters.add(key, 1)
      return 'ran'
    } catch (error) {
      return (error as { code: string }).code
    }
  }
  const outcomes = (name: string): Promise<string[]> =>
    fleet.sim.settle(Promise.all(Array.from({ length: 20 }, (_, at) => asked(name, `k${at}`))), 40_000)
  const few = new Set(await outcomes('n1'))
  await fleet.sim.run(10_000)
  const many = new Set(await outcomes('n3'))
  assert.deepEqual([[...few].includes('ran'), [...many]], [false, ['ran']], `${[...few]}`)
})
