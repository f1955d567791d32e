/** A process that is killed and is back under its name before anybody else's table has changed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fleet } from './handoff-nodes.ts'
import { CopiedFleet } from './replica-fleet.ts'

/** Kills it, starts it again so much later, and waits until all is where the tables say. */
async function killAndRestart(fleet: Fleet, name: string, afterMs: number): Promise<void> {
  const host = fleet.hosts.get(name)
  host?.crash()
  await fleet.sim.run(afterMs)
  host?.restart()
  if (host !== undefined) await fleet.sim.settle(host.started, 20_000)
  await fleet.sim.until(() => fleet.agree(), 20_000)
  await fleet.sim.run(3_000)
}

async function counted(fleet: Fleet): Promise<{ held: number; lost: number }> {
  let held = 0
  let lost = 0
  for (const name of fleet.hosts.keys()) {
    const { state } = await fleet.sim.settle(fleet.value(name).node.stats(), 1_000)
    held += state.held
    lost += state.lost
  }
  return { held, lost }
}

for (const afterMs of [20, 200]) {
  test(`what a process held that is killed and back after ${afterMs} ms is told as lost, once`, async () => {
    await using fleet = new Fleet('entity')
    await fleet.start(3)
    await fleet.sim.run(1_000)
    const { state } = await fleet.sim.settle(fleet.value('n2').node.stats(), 1_000)
    assert.ok(state.held > 10, `${state.held}`)
    fleet.told.length = 0
    await killAndRestart(fleet, 'n2', afterMs)
    assert.deepEqual(await counted(fleet), { held: 64, lost: state.held })
    const lost = fleet.told.filter(({ type }) => type === 'lost')
    const partitions = lost.flatMap((event) => event.partitions)
    assert.deepEqual([partitions.length, new Set(partitions).size], [state.held, state.held])
    assert.deepEqual([...new Set(lost.map(({ peer }) => peer))], ['n2'])
    const notices = fleet.notices.filter(({ code }) => code === 'stateLost')
    assert.equal(notices.length, lost.length)
  })
}

test('one that left and is back at once has lost nothing, and nothing is told', async () => {
  await using fleet = new Fleet('entity')
  await fleet.start(3)
  await fleet.sim.run(1_000)
  const host = fleet.hosts.get('n2')
  assert.deepEqual(await fleet.sim.settle(fleet.value('n2').node.leave(), 20_000), { leftBehind: [] })
  host?.restart()
  if (host !== undefined) await fleet.sim.settle(host.started, 20_000)
  await fleet.sim.until(() => fleet.agree(), 20_000)
  await fleet.sim.run(3_000)
  assert.deepEqual(await counted(fleet), { held: 64, lost: 0 })
})

for (const afterMs of [20, 200]) {
  test(`with copies it takes over from those after ${afterMs} ms, and nothing is lost`, async () => {
    await using fleet = new CopiedFleet({ copies: 2, acks: 2 })
    await fleet.start(4)
    await fleet.sim.run(1_000)
    const keys = Array.from({ length: 40 }, (_, at) => `k${at}`)
    const add = (): Promise<number[]> =>
      fleet.sim.settle(Promise.all(keys.map((key) => fleet.value('o').counters.add(key, 1))), 10_000)
    assert.deepEqual(new Set(await add()), new Set([1]))
    await killAndRestart(fleet, 'n2', afterMs)
    assert.deepEqual(new Set(await add()), new Set([2]))
    assert.deepEqual(await counted(fleet), { held: 64, lost: 0 })
  })
}
