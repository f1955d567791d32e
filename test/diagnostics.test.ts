/** What the tracing channels say of calls, on whole nodes in virtual time; and that docs/diagnostics.md says the same. */
import assert from 'node:assert/strict'
import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  type CallMessage,
  type ForwardMessage,
  type HandlerMessage,
  parseTrace,
  type QueueMessage,
  ShoalError,
  type ShoalNode,
  type TracedMessage,
} from '../src/index.ts'
import { Routers, tableOf } from './shard/routers.ts'
import { sleep, Trio } from './sim/trio.ts'
import { readDocument, root, tableUnder } from './support/markdown.ts'

const events = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const

/** Notes everything that a channel says until the end of the test. */
class Ear<Message extends TracedMessage> implements Disposable {
  readonly heard: { event: string; message: Message }[] = []
  readonly #undo: (() => void)[] = []

  constructor(name: string, act: (event: string, message: Message) => void = () => {}) {
    const channel: TracingChannel = tracingChannel(name)
    for (const event of events) {
      const listener = (message: unknown): void => {
        this.heard.push({ event, message: message as Message })
        act(event, message as Message)
      }
      channel[event].subscribe(listener)
      this.#undo.push(() => channel[event].unsubscribe(listener))
    }
  }

  get events(): string[] {
    return this.heard.map(({ event }) => event)
  }

  get last(): Message {
    return this.heard.at(-1)?.message as Message
  }

  [Symbol.dispose](): void {
    for (const undo of this.#undo) undo()
  }
}

const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const other = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

test('a call is told from its request to its reply, with where it went', async () => {
  await using trio = await Trio.start({ echo: (_node, _context, body) => body })
  using ear = new Ear<CallMessage>('shoal:call')
  await trio.outcome(trio.call({ method: 'echo', to: 'n2', body: 7, traceparent: header, tracestate: 'a=1' }))
  assert.deepEqual(ear.events, ['start', 'end', 'asyncStart', 'asyncEnd'])
  assert.equal(new Set(ear.heard.map(({ message }) => message)).size, 1)
  const { node, method, key, to, peer, attempts, explicit, trace, tracestate, result } = ear.last
  assert.deepEqual(
    { node, method, key, to, peer, attempts, explicit, trace: String(trace), tracestate, result },
    {
      node: 'n1',
      method: 'echo',
      key: undefined,
      to: 'n2',
      peer: 'n2',
      attempts: 1,
      explicit: true,
      trace: header,
      tracestate: 'a=1',
      result: 7,
    },
  )
})

test('a call that fails is told with its error, and so is a wrong one', async () => {
  await using trio = await Trio.start({})
  using ear = new Ear<CallMessage>('shoal:call')
  await trio.outcome(trio.call({ method: 'none', key: 'k' }))
  assert.deepEqual(ear.events, ['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  assert.equal((ear.last.error as ShoalError).code, 'ERR_SHOAL_NO_METHOD')
  assert.equal(ear.last.attempts, 1)
  await trio.outcome(trio.call({ method: 'none' }))
  assert.equal((ear.last.error as ShoalError).code, 'ERR_SHOAL_OPTION')
  assert.equal(ear.last.attempts, 0)
  assert.equal(ear.last.peer, undefined)
})

test('what a subscriber makes the trace of a call is what travels, and what a handler inherits', async () => {
  const seen: unknown[] = []
  await using trio = await Trio.start({
    outer: async (node, context) => {
      seen.push(context.traceparent, context.tracestate)
      await node.request({ method: 'inner', to: 'n3' })
    },
    inner: (_node, context) => void seen.push(context.traceparent),
  })
  const set = (event: string, message: TracedMessage): void => {
    if (event !== 'start' || message.method !== 'outer') return
    message.trace = parseTrace(message.node === 'n1' ? header : other)
    message.tracestate = 'a=1\nb=2'
  }
  {
    using _call = new Ear('shoal:call', set)
    using _handler = new Ear('shoal:handler', set)
    await trio.outcome(trio.call({ method: 'outer', to: 'n2' }))
  }
  // The handler's own span, and the state that it set in its own process; what breaks out of a header did not travel.
  assert.deepEqual(seen, [other, 'a=1\nb=2', other])
})

test('a handler is told as it runs: at once, or until its promise is settled', async () => {
  await using trio = await Trio.start({
    sync: () => 1,
    throws: () => {
      throw new TypeError('no')
    },
    waits: async (node) => sleep(node, 5),
    rejects: (node) => sleep(node, 5).then(() => Promise.reject(new TypeError('later'))),
  })
  for (const [method, expected, pending, error] of [
    ['sync', ['start', 'end'], false, undefined],
    ['throws', ['start', 'error', 'end'], false, 'no'],
    ['waits', ['start', 'end', 'asyncStart', 'asyncEnd'], true, undefined],
    ['rejects', ['start', 'end', 'error', 'asyncStart', 'asyncEnd'], true, 'later'],
  ] as const) {
    using ear = new Ear<HandlerMessage>('shoal:handler')
    await trio.outcome(trio.call({ method, to: 'n2' }))
    assert.deepEqual(ear.events, expected, method)
    const { node, caller, hops } = ear.last
    assert.deepEqual({ node, caller, hops }, { node: 'n2', caller: 'n1', hops: 0 })
    assert.equal(ear.last.pending, pending)
    assert.equal((ear.last.error as Error | undefined)?.message, error)
  }
})

test('a handler that streams is told until its stream ends, with what its generator threw', async () => {
  const after = async function* (node: ShoalNode, last: () => void): AsyncGenerator<number> {
    yield 1
    await sleep(node, 500)
    last()
  }
  const throws = (): void => {
    throw new TypeError('in the stream')
  }
  await using trio = await Trio.start({
    ends: (node) => after(node, () => {}),
    throws: (node) => after(node, throws),
    later: async (node) => sleep(node, 5).then(() => after(node, throws)),
    left: (node) => after(node, throws),
  })
  const ends = ['start', 'end', 'asyncStart', 'asyncEnd']
  for (const [method, expected, error] of [
    ['ends', ends, undefined],
    ['throws', ['start', 'end', 'error', 'asyncStart', 'asyncEnd'], 'in the stream'],
    ['later', ['start', 'end', 'error', 'asyncStart', 'asyncEnd'], 'in the stream'],
    ['left', ends, undefined],
  ] as const) {
    using ear = new Ear<HandlerMessage>('shoal:handler')
    const stream = trio.node('n1').stream({ method, to: 'n2' })
    stream.next().catch(() => {})
    await trio.sim.run(100)
    assert.deepEqual(ear.events, ['start', 'end'], method)
    assert.equal(ear.last.pending, true)
    if (method === 'left') stream.cancel()
    else stream.next().catch(() => {})
    await trio.sim.run(1_000)
    assert.deepEqual(ear.events, expected, method)
    assert.equal((ear.last.error as Error | undefined)?.message, error)
  }
})

test('a subscriber can put something around a handler, and several nest', async () => {
  await using trio = await Trio.start({ m: () => void order.push('handler') })
  const order: string[] = []
  const around = (name: string) => (event: string, message: HandlerMessage) => {
    if (event !== 'start') return
    const { within } = message
    message.within = (run) => {
      order.push(name)
      return within(run)
    }
  }
  using _one = new Ear<HandlerMessage>('shoal:handler', around('one'))
  using _two = new Ear<HandlerMessage>('shoal:handler', around('two'))
  await trio.outcome(trio.call({ method: 'm', to: 'n1' }))
  assert.deepEqual(order, ['two', 'one', 'handler'])
})

const abc = tableOf('a', 'b', 'c')
const ab = tableOf('a', 'b')
/** A key of b for those who do not know c, and of c for the others. */
const keyOfBoth = Array.from({ length: 10_000 }, (_, i) => `key-${i}`).find(
  (key) => ab.lookup(key) === 'b' && abc.lookup(key) === 'c',
) as string

test('a call that is passed on is told by the node that does, whose span becomes the parent', () => {
  const set = (event: string, message: TracedMessage): void => {
    if (event === 'start') message.trace = parseTrace(other)
  }
  using ear = new Ear<ForwardMessage>('shoal:forward', set)
  const routers = new Routers(['a', 'b', 'c'], abc)
  routers.tables.set('a', ab)
  routers.call('a', keyOfBoth)
  assert.deepEqual(ear.events, ['start', 'end', 'asyncStart', 'asyncEnd'])
  const { node, caller, owner, hops, method, key } = ear.last
  assert.deepEqual(
    { node, caller, owner, hops, method, key },
    { node: 'b', caller: 'a', owner: 'c', hops: 1, method: 'where', key: keyOfBoth },
  )
  assert.equal(String(routers.sent[1]?.request.trace), other)
})

test('a forwarded call that fails or is cancelled is told with its error', () => {
  for (const method of ['throws', 'slow']) {
    using ear = new Ear<ForwardMessage>('shoal:forward')
    const routers = new Routers(['a', 'b', 'c'], abc)
    routers.tables.set('a', ab)
    const { handle } = routers.call('a', keyOfBoth, { method })
    if (method === 'slow') handle.cancel()
    assert.deepEqual(ear.events, ['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
    const { error } = ear.last
    assert.ok(error instanceof ShoalError)
    assert.equal(error.code, method === 'slow' ? 'ERR_SHOAL_TIMEOUT' : 'ERR_SHOAL_REMOTE')
  }
})

test('a call of a peer that waits until this node is sure of its view tells how that ended', () => {
  const ended: Record<string, (routers: Routers, handle: { cancel(): void }) => void> = {
    opened: (routers) => {
      routers.shut.clear()
      routers.router('b').unblocked()
    },
    expired: (routers) => routers.clock.advance(2_000),
    cancelled: (_routers, handle) => handle.cancel(),
    closed: (routers) => routers.router('b').close('closed'),
  }
  for (const [how, end] of Object.entries(ended)) {
    using ear = new Ear<QueueMessage>('shoal:queue')
    const routers = new Routers(['a', 'b'], ab)
    routers.shut.add('b')
    const key = keyOfBoth
    const { handle } = routers.call('a', key)
    assert.deepEqual(ear.events, ['start', 'end'])
    end(routers, handle)
    const failed = how === 'opened' ? [] : ['error']
    assert.deepEqual(ear.events, ['start', 'end', ...failed, 'asyncStart', 'asyncEnd'], how)
    const { node, caller, reason } = ear.last
    assert.deepEqual({ node, caller, reason }, { node: 'b', caller: 'a', reason: 'view' })
  }
})

test('a call that waits because others run tells of its wait, also when its caller gives up', async () => {
  const limits = { concurrencyMin: 1, concurrencyMax: 1 }
  await using trio = await Trio.start({ slow: (node) => sleep(node, 50) }, 1, { limits })
  using ear = new Ear<QueueMessage>('shoal:queue')
  const controller = new AbortController()
  const { signal } = controller
  const calls = [{}, {}, { signal }, {}].map((more) => trio.call({ method: 'slow', to: 'n2', ...more }))
  await trio.sim.run(10)
  controller.abort('enough')
  const outcomes = []
  for (const called of calls) outcomes.push(await trio.outcome(called))
  const messages = [...new Set(ear.heard.map(({ message }) => message))]
  const ends = messages.map((message) => [
    ...ear.heard.filter((heard) => heard.message === message).map(({ event }) => event),
    (message.error as ShoalError | undefined)?.code,
  ])
  const [waited, cancelled] = ends
  assert.deepEqual(waited, ['start', 'end', 'asyncStart', 'asyncEnd', undefined])
  assert.deepEqual(cancelled, ['start', 'end', 'error', 'asyncStart', 'asyncEnd', 'ERR_SHOAL_TIMEOUT'])
  for (const { node, caller, reason } of messages) {
    assert.deepEqual({ node, caller, reason }, { node: 'n2', caller: 'n1', reason: 'load' })
  }
})

test('calls that nobody listens to make no message', async () => {
  await using trio = await Trio.start({ m: () => 1 })
  // Nothing was heard by a listener that came and went.
  const ear = new Ear<CallMessage>('shoal:call')
  ear[Symbol.dispose]()
  assert.deepEqual(await trio.outcome(trio.call({ method: 'm', to: 'n2' })), { reply: 1 })
  assert.deepEqual(ear.events, [])
})

const page = readDocument('docs/diagnostics.md')
const source = readFileSync(`${root}/src/diagnostics.ts`, 'utf8')

/** The fields that an interface of src/diagnostics.ts declares itself. */
function fieldsOf(name: string): string[] {
  const body = new RegExp(`export interface ${name} .*?\\{\n(.*?)\n\\}`, 's').exec(source)?.[1] ?? ''
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(([, field = '']) => field)
}

test('docs/diagnostics.md lists every channel and every field of its message, and no other', () => {
  const named = [...source.matchAll(/tracingChannel\('([\w:]+)'\)/g)].map(([, name = '']) => name)
  const cell = (text: string | undefined) => /`([\w:]+)`/.exec(text ?? '')?.[1] ?? ''
  assert.deepEqual(
    tableUnder(page, 'Channels')
      .map(([first]) => cell(first))
      .sort(),
    named.sort(),
  )
  const titles: Record<string, string> = {
    TracedMessage: 'Fields of all messages',
    CallMessage: 'Fields of CallMessage',
    ForwardMessage: 'Fields of ForwardMessage',
    QueueMessage: 'Fields of QueueMessage',
    HandlerMessage: 'Fields of HandlerMessage',
  }
  for (const [name, title] of Object.entries(titles)) {
    const listed = tableUnder(page, title).map(([first]) => cell(first))
    assert.deepEqual(listed.sort(), fieldsOf(name).sort(), title)
    assert.ok(listed.length > 0)
  }
})
