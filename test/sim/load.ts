/**
 * A service under keyed load: every node answers, and calls at random. Some handlers take time, some calls are given
 * little, keys are few, so that calls meet each other and every fault meets calls.
 */
import type { WatchedNode } from '../../src/sim/checkers/cluster.ts'
import type { SeededRandom } from '../../src/sim/random.ts'

export interface Answer {
  readonly by: string
  readonly token: number
}

const keyCount = 24
/** A call of the load is over by then. */
export const callMsMax = 5_100
/** Keys asked for in the end. */
export const answerKeys: readonly string[] = ['key-0', 'key-1', 'key-2', 'key-3']
/** A handler that takes time takes up to this. */
const workMsMax = 400

/** Registers what the load calls; before the node starts. */
export function serve(watched: WatchedNode, random: SeededRandom): void {
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

/** Calls on and on, about every `everyMs`, while the node lives and `goesOn`. Answers that are not of their call throw. */
export function load(
  watched: WatchedNode,
  random: SeededRandom,
  everyMs: number,
  goesOn: () => boolean,
): void {
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
export async function answers(nodes: readonly WatchedNode[], timeoutMs: number): Promise<string | undefined> {
  for (const key of answerKeys) {
    const wrong = await Promise.all(nodes.map((watched) => answer(watched, key, timeoutMs)))
    const first = wrong.find((one) => one !== undefined)
    if (first !== undefined) return first
  }
  return undefined
}

async function answer(watched: WatchedNode, key: string, timeoutMs: number): Promise<string | undefined> {
  const { node } = watched
  try {
    const { by } = await watched.request<number, Answer>({ method: 'read', key, body: 1, timeoutMs })
    const owner = node.owner(key)
    return by === owner ? undefined : `${node.name} was answered by ${by} for "${key}", which ${owner} owns`
  } catch (error) {
    return `a call of ${node.name} for "${key}" failed: ${(error as Error).message}`
  }
}
