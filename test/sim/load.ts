/**
 * A service under keyed load: every node answers, and calls at random. Some handlers take time, some calls are given
 * little, keys are few, so that calls meet each other and every fault meets calls.
 */
import { isShoalError } from '../../src/errors.ts'
import type { WatchedNode } from '../../src/sim/checkers/cluster.ts'
import type { SeededRandom } from '../../src/sim/random.ts'

/** What the nodes of a run offer, and ask of each other. */
export interface Service {
  /** Registers handlers, before the node starts. */
  serve(watched: WatchedNode, random: SeededRandom): void
  /** Calls on and on, about every `everyMs`, while the node lives and `goesOn`. */
  load(watched: WatchedNode, random: SeededRandom, everyMs: number, goesOn: () => boolean): void
  /** A call of the load is over by then. */
  readonly callMsMax: number
  /** The name of the node that answers for the key. */
  ask(watched: WatchedNode, key: string, timeoutMs: number): Promise<string>
}

export interface Answer {
  readonly by: string
  readonly token: number
}

const keyCount = 24
/** How long whoever was refused waits before it asks again. */
const againMs = 50
/** Keys asked for in the end. */
export const answerKeys: readonly string[] = ['key-0', 'key-1', 'key-2', 'key-3']
/** A handler that takes time takes up to this. */
const workMsMax = 400

function serve(watched: WatchedNode, random: SeededRandom): void {
  const { node } = watched
  const answer = (token: number): Answer => ({ by: node.name, token })
  const late = (token: number): Promise<Answer> =>
    new Promise((resolve) => {
      node.clock.setTimer(random.fraction() * workMsMax, () => resolve(answer(token)))
    })
  watched.handle('read', (token: number) => answer(token), { idempotent: true })
  watched.handle('write', (token: number) => answer(token))
  watched.handle('work', (token: number) => late(token))
  watched.handle('seek', (token: number) => late(token), { idempotent: true })
}

/** Answers that are not of their call throw. */
function load(watched: WatchedNode, random: SeededRandom, everyMs: number, goesOn: () => boolean): void {
  const { clock } = watched.node
  const next = (): void => {
    if (!goesOn()) return
    clock.setTimer(2 * everyMs * random.fraction(), next)
    const token = random.u32()
    const request = {
      method: random.pick(['read', 'write', 'write', 'work', 'seek']),
      key: `key-${random.below(keyCount)}`,
      body: token,
      timeoutMs: random.pick([50, 500, 2_000, 5_000]),
    }
    watched.request<number, Answer>(request).then(
      (answer) => {
        if (answer.token === token) return
        clock.defer(() => {
          throw new Error(`a call got the answer of another: token ${answer.token} instead of ${token}`)
        })
      },
      () => {},
    )
  }
  next()
}

/** Calls from each node for some keys, one key after the other; all must be answered by the owner. What went wrong. */
export async function answers(
  { ask }: Service,
  nodes: readonly WatchedNode[],
  timeoutMs: number,
): Promise<string | undefined> {
  for (const key of answerKeys) {
    const wrong = await Promise.all(nodes.map((watched) => answer(ask, watched, key, timeoutMs)))
    const first = wrong.find((one) => one !== undefined)
    if (first !== undefined) return first
  }
  return undefined
}

/** Limits of a run may be so small that calls left over from its load have all places: whoever is refused asks again. */
async function answer(
  ask: Service['ask'],
  watched: WatchedNode,
  key: string,
  timeoutMs: number,
): Promise<string | undefined> {
  const { node } = watched
  const until = node.clock.now() + timeoutMs
  for (;;) {
    const remainingMs = until - node.clock.now()
    try {
      const by = await ask(watched, key, Math.max(1, remainingMs))
      const owner = node.owner(key)
      return by === owner ? undefined : `${node.name} was answered by ${by} for "${key}", which ${owner} owns`
    } catch (error) {
      const isRefused = isShoalError(error) && error.code === 'ERR_SHOAL_OVERLOADED' && !error.mayHaveRun
      if (!isRefused || remainingMs <= againMs) {
        return `a call of ${node.name} for "${key}" failed: ${(error as Error).message}`
      }
      await new Promise<void>((resolve) => {
        node.clock.setTimer(againMs, resolve)
      })
    }
  }
}

export const keyedService: Service = {
  serve,
  load,
  callMsMax: 5_100,
  ask: async (watched, key, timeoutMs) =>
    (await watched.request<number, Answer>({ method: 'read', key, body: 1, timeoutMs })).by,
}
