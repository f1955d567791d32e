/** What becomes of a streaming handler, and of the calls it has made, when its caller gives up: whole nodes in virtual time. */
import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { test } from 'node:test'
import type { CallStream, RequestOptions, ShoalNode } from '../src/index.ts'
import { type Deeds, sleep, Trio } from './sim/trio.ts'

type Options = Omit<RequestOptions<unknown, AsyncIterable<unknown>>, 'method' | 'to' | 'key'>

/** What handlers did. */
class Log {
  readonly lines: string[] = []
  readonly bus: EventEmitter = new EventEmitter()

  /** `tail` yields once and waits for news; `nested` does so by another call; `busy` never waits. */
  get deeds(): Deeds {
    const { lines, bus } = this
    return {
      tail: async function* (_node: ShoalNode, { signal }) {
        try {
          yield 1
          await once(bus, 'line', { signal })
        } finally {
          lines.push(`tail ${signal.aborted}`)
        }
      } as Deeds[string],
      busy: async function* (_node: ShoalNode, { signal }) {
        try {
          for (;;) yield 1
        } finally {
          lines.push(`busy ${signal.aborted}`)
        }
      } as Deeds[string],
      nested: async function* (node: ShoalNode) {
        try {
          yield* node.stream({ method: 'tail', to: 'n3' })
        } finally {
          lines.push('nested')
        }
      } as Deeds[string],
      deaf: async function* () {
        yield 1
        await new Promise(() => {})
      } as Deeds[string],
    }
  }
}

/** The ways to give a call up. */
const ways: Readonly<
  Record<string, { options?: () => Options; giveUp?: (stream: CallStream<unknown>) => void }>
> = {
  'leaving the loop': { giveUp: (stream) => void stream.return?.() },
  'cancel()': { giveUp: (stream) => stream.cancel() },
  'its signal': { options: () => ({ signal: AbortSignal.abort() }) },
  timeoutMs: { options: () => ({ timeoutMs: 200 }) },
  idleTimeoutMs: { options: () => ({ idleTimeoutMs: 200 }) },
}

async function givenUp(trio: Trio, method: string, to: string, way: string): Promise<void> {
  const { options, giveUp } = ways[way]!
  const controller = new AbortController()
  const own = way === 'its signal' ? { signal: controller.signal } : options?.()
  const stream = trio.node('n1').stream({ method, to, ...own })
  const got: unknown[] = []
  stream.next().then(
    ({ value }) => got.push(value),
    () => {},
  )
  await trio.sim.until(() => got.length === 1, 1_000)
  // Somebody waits, as in a loop.
  stream.next().catch(() => {})
  if (way === 'its signal') controller.abort(new Error('enough'))
  giveUp?.(stream)
}

const forms = [
  { where: 'on another node', to: 'n2' },
  { where: 'in the same process', to: 'n1' },
]

for (const { where, to } of forms) {
  test(`a streaming handler ${where} hears that its caller gave up, whichever way, and so do the calls it made`, async () => {
    for (const way of Object.keys(ways)) {
      const log = new Log()
      await using trio = await Trio.start(log.deeds)
      await givenUp(trio, 'tail', to, way)
      await trio.sim.until(() => log.lines.length > 0, 1_000)
      assert.deepEqual(log.lines, ['tail true'], way)
      await givenUp(trio, 'nested', to, way)
      await trio.sim.until(() => log.lines.length > 2, 1_000)
      assert.deepEqual(log.lines.slice(1).sort(), ['nested', 'tail true'], way)
      const { router, rpc } = await trio.sim.settle(trio.node(to).stats(), 1_000)
      assert.deepEqual([router.running, router.closing, rpc.streams, rpc.callsInFlight], [0, 0, 0, 0], way)
    }
  })

  test(`a busy generator ${where} is closed with its signal aborted`, async () => {
    const log = new Log()
    await using trio = await Trio.start(log.deeds)
    await givenUp(trio, 'busy', to, 'leaving the loop')
    await trio.sim.until(() => log.lines.length > 0, 1_000)
    assert.deepEqual(log.lines, ['busy true'])
  })
}

test('a generator that is read runs; one that does not hear of its end is closing, and nobody waits for it to leave', async () => {
  const log = new Log()
  await using trio = await Trio.start(log.deeds)
  const gauges = async (): Promise<number[]> => {
    const { router } = await trio.sim.settle(trio.node('n2').stats(), 1_000)
    return [router.running, router.closing]
  }
  const stream = trio.node('n1').stream({ method: 'deaf', to: 'n2' })
  stream.next().catch(() => {})
  stream.next().catch(() => {})
  await trio.sim.run(100)
  assert.deepEqual(await gauges(), [1, 0])
  stream.cancel()
  await trio.sim.run(100)
  assert.deepEqual(await gauges(), [0, 1])
  const from = trio.sim.now
  await trio.sim.settle(trio.node('n2').leave(), 20_000)
  assert.ok(trio.sim.now - from < 5_000, `${trio.sim.now - from} ms`)
})

test('an upload may wait for its reply as long as its timeoutMs says, and else as long as other calls', async () => {
  await using trio = await Trio.start({
    upload: async (node, { input }, ms) => {
      for await (const _ of input);
      await sleep(node, ms as number)
      return 'done'
    },
  })
  const outcome = async (ms: number, options: Options): Promise<unknown> => {
    const from = trio.sim.now
    const called = trio.call({ method: 'upload', to: 'n2', input: [1], body: ms, ...options })
    const { reply, error } = await trio.outcome(called, 30_000)
    return reply ?? `${(error as Error).message} ${Math.round((trio.sim.now - from) / 100) * 100}`
  }
  assert.equal(await outcome(7_000, { timeoutMs: 20_000 }), 'done')
  assert.equal(await outcome(7_000, {}), 'upload: nothing moved for 5000 ms 5000')
  assert.equal(await outcome(7_000, { timeoutMs: 1_000 }), 'upload: no end within timeoutMs 1000')
  const both = { timeoutMs: 20_000, idleTimeoutMs: 700 }
  assert.equal(await outcome(7_000, both), 'upload: nothing moved for 700 ms 700')
})
