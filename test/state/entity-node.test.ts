/** Entities on whole nodes, in the simulator. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  createNode,
  type EntityCallOptions,
  entity,
  type Handoff,
  type NodeOptions,
  type ReferencesOf,
  type ShoalNode,
} from '../../src/index.ts'
import { type Program, type SimProcess, Simulation } from '../../src/sim/index.ts'

type Counters = ReferencesOf<typeof Counter>

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
    throwIt: (_state, thrown: unknown) => {
      throw thrown
    },
    take: (_state, what: unknown) => what,
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

test('whatever a handler throws says what it was', async () => {
  await using sim = new Simulation({ seed: 3 })
  const [{ counters } = assert.fail()] = await cluster(sim, 2)
  for (const [thrown, message, remoteCode] of [
    [
      { code: 'E_FULL', left: 0, why: { a: 1 } },
      'no Error but { code: "E_FULL", left: 0, why: … }',
      'E_FULL',
    ],
    [{ message: 'said so' }, 'said so', undefined],
    ['text', 'text', undefined],
    [null, 'null', undefined],
  ] as const) {
    await assert.rejects(sim.settle(counters.get('k').throwIt(thrown), 1_000), {
      message: `the handler of counter/throwIt threw: ${message}`,
      remoteCode,
    })
  }
})

test('an argument that would not arrive as it is is refused where the call is made', async () => {
  await using sim = new Simulation({ seed: 3 })
  const [{ counters } = assert.fail()] = await cluster(sim, 2)
  const counter = counters.get('k')
  for (const [unsound, what] of [
    [new Map(), 'a Map'],
    [{ when: [new URL('http://host')] }, 'a URL at .when[0]'],
  ] as const) {
    await assert.rejects(sim.settle(counter.take(unsound), 1_000), {
      code: 'ERR_SHOAL_OPTION',
      message: `the argument: it is ${what}, which would not arrive as it is: make plain data of it`,
      mayHaveRun: false,
    })
  }
  const throws = {
    get it(): never {
      throw new Error('not now')
    },
  }
  await assert.rejects(sim.settle(counter.take([new Date(1), throws]), 1_000), {
    message: 'body: expected what MessagePack can carry',
  })
  assert.deepEqual(await sim.settle(counter.take(new Set(['a'])), 1_000), new Set(['a']))
  assert.equal(await sim.settle(counter.read(), 1_000), 0)
})

test('a handler that calls its own key hears at once that it would wait for itself', async () => {
  await using sim = new Simulation({ seed: 4 })
  interface Self {
    again(how: object): Promise<unknown>
    peek(): Promise<number>
    tell(arg?: undefined, options?: EntityCallOptions): Promise<void>
    beside(key: string): Promise<unknown>
  }
  let references: { get(key: string): Self } = { get: () => assert.fail() }
  const Loop = entity('loop', {
    open: () => ({ told: 0 }),
    calls: {
      async again(
        state,
        how: { readonly call: 'again' | 'peek' | 'tell'; readonly key: string },
      ): Promise<unknown> {
        await Promise.resolve()
        const self: Self = references.get(how.key)
        if (how.call === 'peek') return self.peek()
        if (how.call === 'again') return self.again({ call: 'peek', key: how.key })
        void self.tell(undefined, { detached: true })
        return state.told
      },
      tell: (state) => {
        state.told += 1
      },
      peek: ({ told }) => told,
      beside: async (_state, key: string): Promise<unknown> => references.get(key).tell(),
    },
    interleave: ['peek', 'beside'],
  })
  const only = sim.spawn('n1', async ({ name, host, env }) => {
    const node = createNode({ name, host, env })
    references = node.host(Loop) as unknown as typeof references
    await node.start()
  })
  await sim.settle(only.started, 10_000)
  const loop = references.get('k')
  await assert.rejects(sim.settle(loop.again({ call: 'again', key: 'k' }), 100), {
    code: 'ERR_SHOAL_REMOTE',
    remoteCode: 'ERR_SHOAL_STATE',
    message:
      /loop\/again was not called: loop\/again, in which it is made, has the turn of "k" and would wait for itself/,
  })
  // Another key is free, a call beside others too, and one that is not waited for runs afterwards.
  assert.equal(await sim.settle(loop.again({ call: 'again', key: 'l' }), 100), 0)
  assert.equal(await sim.settle(loop.again({ call: 'peek', key: 'k' }), 100), 0)
  assert.equal(await sim.settle(loop.again({ call: 'tell', key: 'k' }), 100), 0)
  assert.equal(await sim.settle(loop.peek(), 100), 1)
  await sim.settle(loop.beside('k'), 100)
  assert.equal(await sim.settle(loop.peek(), 100), 2)
})

test('what was copied before the last part of a partition counts as given and as received', async () => {
  await using sim = new Simulation({ seed: 5 })
  const Page = entity('page', {
    open: () => ({ text: '' }),
    calls: {
      write: (page, text: string) => {
        page.text = text
      },
    },
  })
  const bytes = { given: 0, received: 0 }
  const start = ({ name, host, env }: Parameters<Program<Hosts>>[0]) => {
    const node = createNode({ name, host, env, join: ['n1:7946'], ring: { partitions: 16 } })
    const pages = node.host(Page)
    node.on('handoff', (told) => {
      if (told.type === 'given' || told.type === 'received') bytes[told.type] += told.bytes
    })
    return node.start().then(() => ({ node, pages }))
  }
  const { pages } = await sim.settle(sim.spawn('n1', start).started, 10_000)
  const text = 'x'.repeat(40_000)
  for (let key = 0; key < 32; key += 1) await sim.settle(pages.get(`k${key}`).write(text), 1_000)
  const { node } = await sim.settle(sim.spawn('n2', start).started, 10_000)
  await sim.until(() => node.ring.members.length === 2 && node.rebalance.length === 0, 30_000)
  await sim.run(1_000)
  const { entities, state } = await sim.settle(node.stats(), 1_000)
  const moved = (entities[0]?.keys ?? 0) * text.length
  assert.ok(moved >= 8 * text.length, `${moved}`)
  assert.ok(bytes.received >= moved && bytes.received < 1.05 * moved, `${bytes.received} of ${moved}`)
  assert.equal(state.bytesIn, bytes.received)
  assert.equal(bytes.given, bytes.received)
})

test('partitions without keys are counted, but neither told as moved nor as left behind', async () => {
  await using sim = new Simulation({ seed: 6 })
  const first = sim.spawn('n1', program({ ring: { partitions: 64 } }))
  const { node, counters } = await sim.settle(first.started, 10_000)
  const told: Handoff[] = []
  node.on('handoff', (handoff) => told.push(handoff))
  const second = await sim.settle(sim.spawn('n2', program({ ring: { partitions: 64 } })).started, 10_000)
  await sim.until(() => node.ring.members.length === 2 && node.rebalance.length === 0, 10_000)
  await sim.run(1_000)
  const { state } = await sim.settle(node.stats(), 1_000)
  assert.deepEqual([state.given, told], [32, []])
  await sim.settle(counters.get('k').add(1), 1_000)
  await sim.settle(second.node.leave(), 20_000)
  await sim.run(1_000)
  const keys = told.reduce((sum, handoff) => sum + handoff.keys, 0)
  assert.deepEqual(
    told.map(({ partitions }) => partitions.length),
    keys === 0 ? [] : [1],
  )
  const report = await sim.settle(node.leave(), 20_000)
  assert.deepEqual(
    report.leftBehind.map(({ store, partitions, keys }) => [store, partitions, keys]),
    [['counter', 1, 1]],
  )
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
