/** Streams as users see them: whole nodes over real sockets, calls to another node and on own keys, and what they leave behind. */
import assert from 'node:assert/strict'
import { createReadStream, readdirSync } from 'node:fs'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import { type CallContext, createNode, isShoalError, type ShoalNode } from '../../src/index.ts'

/** What became of the sources and handlers. */
const closed: string[] = []

async function* counted(name: string, to: number): AsyncGenerator<number> {
  try {
    for (let i = 0; i < to; i++) yield i
  } finally {
    closed.push(name)
  }
}

function register(node: ShoalNode): void {
  node.handle('count', (to: number) => counted('handler', to))
  node.handle('never', async function* () {
    yield 1
    await new Promise(() => {})
  })
  node.handle('sum', async (_: undefined, { input }: CallContext<number>) => {
    let sum = 0
    for await (const n of input) sum += n
    return sum
  })
  node.handle('first', async (_: undefined, { input }: CallContext<number>) => {
    for await (const n of input) return n
    return undefined
  })
  node.handle('double', async function* (_: undefined, { input }: CallContext<number>) {
    for await (const n of input) yield 2 * n
  })
  node.handle('boom', async function* () {
    yield 1
    throw new Error('boom')
  })
  node.handle('plain', (n: number) => n + 1)
}

let owner: ShoalNode
let other: ShoalNode

before(async () => {
  owner = createNode({ name: 'owner', port: 0, profile: 'local', admission: false })
  register(owner)
  await owner.start()
  const join = [owner.addresses.gossip]
  other = createNode({ name: 'other', port: 0, profile: 'local', observer: true, join, admission: false })
  await other.start()
})

after(async () => {
  await other.close()
  await owner.close()
})

/** The same by a connection and within a process. */
function both(name: string, run: (node: ShoalNode) => Promise<void>): void {
  test(`${name}, on another node`, () => run(other))
  test(`${name}, on the same node`, () => run(owner))
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  assert.fail('it did not come to hold within 5 s')
}

async function all(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const got: unknown[] = []
  for await (const chunk of stream) got.push(chunk)
  return got
}

both('a reply is streamed to its end', async (node) => {
  const numbers = Array.from({ length: 10_000 }, (_, i) => i)
  assert.deepEqual(await all(node.stream({ method: 'count', key: 'k', body: 10_000 })), numbers)
})

both('a loop left early closes the generator of the handler', async (node) => {
  closed.length = 0
  for await (const n of node.stream<number, AsyncIterable<number>>({
    method: 'count',
    key: 'k',
    body: 1e9,
  })) {
    if (n === 20) break
  }
  await until(() => closed.length === 1)
})

both('an input is read to its end, and a duplex call echoes it', async (node) => {
  const input = Array.from({ length: 5_000 }, (_, i) => i)
  assert.equal(await node.request({ method: 'sum', key: 'k', input }), 12_497_500)
  const doubled = await all(node.stream({ method: 'double', key: 'k', input }))
  assert.deepEqual(
    doubled,
    input.map((n) => 2 * n),
  )
})

both('a handler that has read enough closes the source of its caller', async (node) => {
  closed.length = 0
  assert.equal(await node.request({ method: 'first', key: 'k', input: counted('input', 1e9) }), 0)
  await until(() => closed.includes('input'))
})

both(
  'a source that throws fails the call with what it threw, and the handler hears that nobody waits',
  async (node) => {
    const broken = new Error('broken source')
    async function* input(): AsyncGenerator<number> {
      yield 1
      throw broken
    }
    await assert.rejects(node.request({ method: 'sum', key: 'k', input: input() }), broken)
    await assert.rejects(
      node.request({ method: 'sum', key: 'k', input: createReadStream('/no/such/file') }),
      /ENOENT/,
    )
  },
)

both('a handler that throws is heard behind what it yielded', async (node) => {
  const got: unknown[] = []
  await assert.rejects(
    async () => {
      for await (const chunk of node.stream({ method: 'boom', key: 'k' })) got.push(chunk)
    },
    (error: unknown) => isShoalError(error) && error.code === 'ERR_SHOAL_REMOTE' && error.mayHaveRun,
  )
  assert.deepEqual(got, [1])
})

both('request to a handler that streams says so; stream of a plain reply is that one value', async (node) => {
  await assert.rejects(node.request({ method: 'boom', key: 'k' }), /call it with stream\(\)/)
  assert.deepEqual(await all(node.stream({ method: 'plain', key: 'k', body: 1 })), [2])
})

both(
  'an iterator that never settles holds nothing, and a silent stream ends by idleTimeoutMs',
  async (node) => {
    const stream = node.stream({ method: 'never', key: 'k', idleTimeoutMs: 50 })
    await assert.rejects(all(stream), { code: 'ERR_SHOAL_TIMEOUT' })
    await until(async () => (await owner.stats()).router.running === 0)
  },
)

both('a signal ends it with its reason', async (node) => {
  const controller = new AbortController()
  const stream = node.stream({ method: 'never', key: 'k', signal: controller.signal })
  assert.deepEqual(await stream.next(), { done: false, value: 1 })
  const next = stream.next()
  controller.abort(new Error('enough'))
  await assert.rejects(next, /enough/)
  await until(async () => (await owner.stats()).router.running === 0)
})

both('a Node stream goes in and comes out', async (node) => {
  const doubled = node.stream({ method: 'double', key: 'k', input: Readable.from([1, 2, 3]) })
  assert.deepEqual(await all(Readable.from(doubled)), [2, 4, 6])
})

test('wrong options are refused at once, and close the input', () => {
  const input = Readable.from([1])
  assert.throws(() => other.stream({ method: 'double', key: 'k', to: 'owner', input }), {
    code: 'ERR_SHOAL_OPTION',
  })
  assert.equal(input.destroyed, true)
  assert.throws(() => other.stream({ method: 'double', key: 'k', input: 'text' as unknown as [] }), {
    code: 'ERR_SHOAL_OPTION',
  })
  assert.throws(() => other.stream({ method: 'double', key: 'k', idleTimeoutMs: 0 }), {
    code: 'ERR_SHOAL_OPTION',
  })
})

test('streams torn at random points leave no descriptor, timer, stream or handler behind', async () => {
  const tears = Number(process.env['SHOAL_TEARS'] ?? 150)
  let seed = 5
  const below = (n: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return (seed >>> 8) % n
  }
  const tear = async (node: ShoalNode) => {
    const controller = new AbortController()
    const { signal } = controller
    const input = below(2) === 0 ? createReadStream(import.meta.filename) : counted('input', below(500))
    const stream =
      below(3) === 0
        ? node.stream({ method: 'double', key: 'k', input, signal })
        : node.stream({ method: below(4) === 0 ? 'never' : 'count', key: 'k', body: 1e9, input, signal })
    const ends = below(40)
    try {
      for (let i = 0; i < ends; i++) {
        const next = stream.next()
        if (i === ends - 1 && below(3) === 0) controller.abort(new Error('torn'))
        if (await Promise.race([next.then(({ done }) => done), soon()])) break
        next.catch(() => {})
      }
    } catch {
      // Torn.
    }
    if (below(2) === 0) stream.cancel()
    else await stream.return?.()
  }
  const before = census()
  const lanes = Array.from({ length: 20 }, async (_, lane) => {
    for (let i = lane; i < tears; i += 20) await tear(i % 4 === 0 ? owner : other)
  })
  await Promise.all(lanes)
  await until(async () => {
    const [a, b] = [await owner.stats(), await other.stats()]
    const { router, rpc } = a
    const left = [
      router.running,
      rpc.streams,
      rpc.streamBytesHeld,
      rpc.callsRunning,
      b.rpc.streams,
      b.rpc.streamBytesHeld,
      b.rpc.callsInFlight,
    ]
    return left.every((count) => count === 0)
  })
  await until(() => census() <= before)
  for (const node of [owner, other]) assert.deepEqual((await node.stats()).rpc.violations, {})
})

function soon(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)))
}

/** Descriptors and what keeps the loop awake. */
function census(): number {
  return readdirSync('/proc/self/fd').length + process.getActiveResourcesInfo().length
}
