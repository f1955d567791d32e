/**
 * A service that shows whether the RPC carries calls as they are: bodies of all sizes whose bytes are checked at both ends,
 * deadlines from a millisecond on, callers that give up, handlers that throw, wait for ever, or call on.
 */
import type { CallContext, RequestOptions } from '../../src/index.ts'
import type { WatchedNode } from '../../src/sim/checkers/cluster.ts'
import type { SeededRandom } from '../../src/sim/random.ts'
import type { Service } from './load.ts'
import { isPart, partOf } from './noise.ts'
import { broken, type Streams } from './rpc-streams.ts'

interface Ask {
  readonly token: number
  /** How long the answer is to be. */
  readonly bytes: number
  /** What was sent along. */
  readonly load: Uint8Array
}

interface Answer {
  readonly token: number
  readonly by: string
  readonly load: Uint8Array
}

const keyCount = 40
/** The longest deadline of a call. */
const timeoutMsMax = 3_000
/** As many small bodies as are usual, and some that pass every threshold: by reference from 64 KiB on, a kernel's window. */
const sizes = [0, 0, 10, 100, 100, 100, 1_000, 10_000, 70_000, 300_000] as const
const timeouts = [1, 5, 20, 100, 400, 1_000, timeoutMsMax, timeoutMsMax] as const
const workMs = [1, 5, 50, 400] as const
/** How many of the calls have streams. */
const streamShare = 0.08

function serve(watched: WatchedNode, random: SeededRandom): void {
  const { node } = watched
  const { clock } = node
  const checked = ({ token, bytes, load }: Ask): Answer => {
    if (!isPart(load, token)) broken(watched, `a call of token ${token} came with other bytes`)
    return { token, by: node.name, load: partOf(token, bytes) }
  }
  const after = (ms: number, ask: Ask): Promise<Answer> =>
    new Promise((resolve) => {
      clock.setTimer(ms, () => resolve(checked(ask)))
    })
  watched.handle('read', (ask: Ask) => checked(ask), { idempotent: true })
  watched.handle('write', (ask: Ask) => checked(ask))
  watched.handle('work', (ask: Ask) => after(random.pick(workMs), ask))
  watched.handle('seek', (ask: Ask) => after(random.pick(workMs), ask), { idempotent: true })
  watched.handle('fail', ({ token }: Ask) => Promise.reject(new Error(`as it was told: ${token}`)))
  watched.handle('hang', (_: Ask, context) => hang(context))
  watched.handle('nest', async (ask: Ask, context) => {
    const { key = '', remainingMs, signal } = context
    const timeoutMs = Math.max(1, remainingMs)
    const inner = request(ask.token, ask.load, ask.bytes, `${key}-nested`, 'work')
    const answer = await watched.request<Ask, Answer>({ ...inner, timeoutMs, signal })
    return answer
  })
}

/** Runs until its caller gives up. */
function hang({ signal }: CallContext): Promise<never> {
  return new Promise((_, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

function request(
  token: number,
  load: Uint8Array,
  bytes: number,
  key: string,
  method: string,
): RequestOptions<Ask, Answer> {
  return { method, key, body: { token, bytes, load } }
}

/** Sometimes many at once. */
function load(
  streams: Streams,
  watched: WatchedNode,
  random: SeededRandom,
  everyMs: number,
  goesOn: () => boolean,
): void {
  const { clock } = watched.node
  const next = (): void => {
    if (!goesOn()) return
    clock.setTimer(2 * everyMs * random.fraction(), next)
    const calls = random.chance(0.05) ? 1 + random.below(30) : 1
    for (let i = 0; i < calls; i += 1) {
      if (random.chance(streamShare)) streams.call(watched, random, whereTo(watched, random)).catch(() => {})
      else one(watched, random)
    }
  }
  next()
}

function one(watched: WatchedNode, random: SeededRandom): void {
  const { clock } = watched.node
  const token = random.u32()
  const bytes = random.pick(sizes)
  const method = random.pick([
    'read',
    'read',
    'write',
    'write',
    'work',
    'seek',
    'fail',
    'hang',
    'nest',
    'none',
  ])
  const { key: _, ...rest } = request(token, partOf(token, random.pick(sizes)), bytes, keyOf(random), method)
  const aborts = random.chance(0.1) ? new AbortController() : undefined
  const options: RequestOptions<Ask, Answer> = {
    ...rest,
    ...whereTo(watched, random),
    ...(aborts === undefined ? {} : { signal: aborts.signal }),
    ...(random.chance(0.1) ? { whenStalled: 'fail' } : {}),
    timeoutMs: random.pick(timeouts),
  }
  if (aborts !== undefined) {
    const given = new Error('given up')
    const wait = random.pick([0, 0, 2, 20, 200])
    if (wait === 0) clock.defer(() => aborts.abort(given))
    else clock.setTimer(wait * random.fraction(), () => aborts.abort(given))
  }
  watched.request<Ask, Answer>(options).then(
    (answer) => {
      if (answer.token !== token)
        broken(watched, `a call got the answer of another: token ${answer.token}, not ${token}`)
      else if (answer.load.length !== bytes || !isPart(answer.load, token))
        broken(watched, `the answer of token ${token} has other bytes`)
    },
    () => {},
  )
}

function keyOf(random: SeededRandom): string {
  return `key-${random.below(keyCount)}`
}

/** A small call to a named node. */
export function askNode(watched: WatchedNode, to: string, timeoutMs: number): Promise<unknown> {
  const body: Ask = { token: 1, bytes: 10, load: partOf(1, 10) }
  return watched.request({ method: 'read', to, body, timeoutMs })
}

/** A key, or now and then a member by name. */
function whereTo({ node }: WatchedNode, random: SeededRandom): { key: string } | { to: string } {
  const { name, members } = node
  return random.chance(0.2)
    ? { to: (members[random.below(members.length)] ?? { name }).name }
    : { key: keyOf(random) }
}

/** `streams`: calls with streams among the others. */
export function rpcService(streams: Streams): Service {
  return {
    serve: (watched, random) => {
      serve(watched, random)
      streams.serve(watched)
    },
    load: (watched, random, everyMs, goesOn) => load(streams, watched, random, everyMs, goesOn),
    callMsMax: timeoutMsMax + 100,
    ask: async (watched, key, timeoutMs) =>
      (await watched.request<Ask, Answer>({ ...request(1, partOf(1, 10), 10, key, 'read'), timeoutMs })).by,
  }
}
