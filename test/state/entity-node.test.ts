/** Entities on whole nodes, in the simulator. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createNode,
  type EntityReferences,
  entity,
  type NodeOptions,
  type ShoalNode,
} from '../../src/index.ts'
import { type Program, type SimProcess, Simulation } from '../../src/sim/index.ts'

type Counters = EntityReferences<typeof Counter.definition.calls>

interface Hosts {
  readonly node: ShoalNode
  readonly counters: Counters
}

const Counter = entity('counter', {
  open: () => ({ n: 0 }),
  calls: {
    add: (state, by: number, { node }) => {
      state.n += by
      return `${state.n} on ${node}`
    },
    async slow(state, by: number) {
      const { n } = state
      await Promise.resolve()
      state.n = n + by
      return state.n
    },
    read: ({ n }) => n,
    stuck: () => new Promise<never>(() => {}),
    fail: () => {
      throw Object.assign(new Error('no such thing'), { code: 'E_NOTHING' })
    },
  },
})

function program(options: NodeOptions): Program<Hosts> {
  return async ({ name, host, env }) => {
    const node = createNode({ name, host, env, join: ['n1:7946'], ...options })
    const counters = node.host(Counter)
    await node.start()
    return { node, counters }
  }
}

/** n1, n2, … host counters; `o` is an observer. */
async function cluster(sim: Simulation, count: number): Promise<Hosts[]> {
  const names = Array.from({ length: count }, (_, index) => `n${index + 1}`)
  const hosts: SimProcess<Hosts>[] = names.map((name) => sim.spawn(name, program({})))
  const observer = sim.spawn('o', program({ observer: true }))
  const all = [...hosts, observer]
  await sim.settle(Promise.all(all.map(({ started }) => started)), 30_000)
  await sim.until(
    () =>
      all.every(
        ({ value }) => value?.node.ring.members.length === count && value.node.rebalance.length === 0,
      ),
    10_000,
  )
  return all.map(({ value }) => value as Hosts)
}

test('calls run where their key is and keep its state, from any node and from an observer', async () => {
  await using sim = new Simulation({ seed: 1 })
  const hosts = await cluster(sim, 3)
  const places = new Set<string>()
  for (let key = 0; key < 20; key++) {
    let n = 0
    for (const { counters } of hosts) {
      n += 2
      const reply = await sim.settle(counters.get(`k${key}`).add(2), 1_000)
      assert.match(reply, new RegExp(`^${n} on n\\d$`))
      places.add(reply.slice(-2))
    }
  }
  assert.deepEqual([...places].sort(), ['n1', 'n2', 'n3'])
})

test('calls of a key run one at a time, in the order in which their caller made them', async () => {
  await using sim = new Simulation({ seed: 2 })
  for (const { counters } of await cluster(sim, 2)) {
    const counter = counters.get('k')
    const before = await sim.settle(counter.read(), 1_000)
    const replies = Array.from({ length: 50 }, (_, index) =>
      index % 3 === 0 ? counter.read() : counter.slow(1),
    )
    let n = before
    const expected = replies.map((_, index) => (index % 3 === 0 ? n : ++n))
    assert.deepEqual(await sim.settle(Promise.all(replies), 1_000), expected)
  }
})

test('what a handler throws reaches the caller with its message', async () => {
  await using sim = new Simulation({ seed: 3 })
  for (const { counters } of await cluster(sim, 2)) {
    await assert.rejects(sim.settle(counters.get('k').fail(), 1_000), {
      code: 'ERR_SHOAL_REMOTE',
      message: 'the handler of counter/fail threw: no such thing',
    })
  }
})

test('a handler that never ends does not keep its partition on a node that leaves', async () => {
  await using sim = new Simulation({ seed: 7 })
  const [first, second, observer] = await cluster(sim, 2)
  assert.ok(first !== undefined && second !== undefined && observer !== undefined)
  const key = ['a', 'b', 'c', 'd', 'e'].find((name) => second.node.owns(name)) ?? ''
  await sim.settle(observer.counters.get(key).add(1), 5_000)
  const stuck = observer.counters.get(key).stuck(undefined, { timeoutMs: 60_000 })
  const heard = stuck.catch((error: { code: string }) => error.code)
  const report = await sim.settle(second.node.leave({ timeoutMs: 25_000 }), 30_000)
  assert.deepEqual(report.leftBehind, [])
  assert.equal(await sim.settle(heard, 1_000), 'ERR_SHOAL_TIMEOUT')
  assert.equal(await sim.settle(observer.counters.get(key).add(1), 5_000), '2 on n1')
})
