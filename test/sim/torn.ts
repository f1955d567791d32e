/**
 * Connections torn at every byte: each connection between nodes, in each direction, is watched from its first byte on, and
 * torn at a place drawn beforehand, or not at all.
 */
import type { Sometimes } from '../../src/sim/checkers/sometimes.ts'
import type { Simulation, TearHandle, TearOptions } from '../../src/sim/index.ts'
import type { SeededRandom } from '../../src/sim/random.ts'
import { type Aim, FrameWatch, pieceNames, places } from './frame-watch.ts'

/** How often the stage looks for directions without a tear that waits. */
const lookEveryMs = 50
/** A stream that meets no such frame as was wanted is torn somewhere in its first bytes. */
const bytesMax = 400_000
const ends: readonly Pick<Required<TearOptions>, 'how' | 'heardBy'>[] = [
  { how: 'reset', heardBy: 'both' },
  { how: 'reset', heardBy: 'both' },
  { how: 'end', heardBy: 'both' },
  { how: 'reset', heardBy: 'sender' },
  { how: 'reset', heardBy: 'receiver' },
  { how: 'end', heardBy: 'sender' },
  { how: 'end', heardBy: 'receiver' },
  { how: 'reset', heardBy: 'nobody' },
]

/** The rare states of tears: each kind of frame torn in its head, behind it, and cut off cleanly. */
export const tearStates: readonly string[] = [
  ...pieceNames.flatMap((piece) =>
    // A preface is all head.
    places.filter((place) => piece !== 'preface' || place !== 'rest').map((place) => stateOf(piece, place)),
  ),
  'a connection torn, and one end never hears of it',
  'a connection torn, and nobody hears of it',
]

function stateOf(piece: string, place: string): string {
  if (place === 'between') return `a connection torn beside a ${piece}`
  return `a connection torn in the ${place} of a ${piece}`
}

export interface TearsOptions {
  readonly simulation: Simulation
  readonly random: SeededRandom
  readonly sometimes: Sometimes
  /** The port of the RPC. */
  readonly port: number
  /** How likely a connection is to be torn, in each direction. */
  readonly chance: number
  /** Names of all nodes so far. */
  names(): readonly string[]
}

export class TornConnections {
  readonly #options: TearsOptions
  readonly #waiting = new Map<string, TearHandle>()
  #isOver = false

  constructor(options: TearsOptions) {
    this.#options = options
    this.#look()
  }

  /** No connection is torn any more. */
  end(): void {
    this.#isOver = true
    for (const tear of this.#waiting.values()) tear.cancel()
  }

  #look(): void {
    if (this.#isOver) return
    const { simulation, names } = this.#options
    for (const from of names())
      for (const to of names()) if (from !== to) this.#arm(from, to, `${from}>${to}`)
    simulation.at(lookEveryMs, () => this.#look())
  }

  #arm(from: string, to: string, direction: string): void {
    if (this.#waiting.get(direction)?.state === 'waiting') return
    const { simulation, random, port, chance } = this.#options
    const end = random.pick(ends)
    const watch = random.chance(chance) ? this.#watch(end.heardBy) : undefined
    const afterBytes = (bytes: Uint8Array): number | undefined => {
      // The next connection of this direction waits for a tear of its own.
      if (this.#waiting.get(direction) === tear) this.#arm(from, to, direction)
      return this.#isOver ? undefined : watch?.passing(bytes)
    }
    const tear = simulation.tear(from, to, { ...end, fresh: true, port, afterBytes })
    this.#waiting.set(direction, tear)
  }

  #watch(heardBy: TearOptions['heardBy']): FrameWatch {
    const { random, sometimes } = this.#options
    const aim: Aim = {
      piece: random.pick(pieceNames),
      place: random.pick(places),
      skip: random.chance(0.5) ? 0 : random.below(30),
      share: random.fraction(),
      bytesMax: random.chance(0.5) ? Number.POSITIVE_INFINITY : Math.floor(bytesMax ** random.fraction()),
    }
    return new FrameWatch(aim, (piece, place) => {
      if (pieceNames.includes(piece)) sometimes.reach(stateOf(piece, place))
      if (heardBy === 'nobody') sometimes.reach('a connection torn, and nobody hears of it')
      else if (heardBy !== 'both') sometimes.reach('a connection torn, and one end never hears of it')
    })
  }
}
