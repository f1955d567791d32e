/**
 * Connections that break at a given byte, as they do when a proxy, a firewall or a cable in the middle gives out: what
 * was sent before arrives, what comes after does not, and the two ends hear of it or do not. A tear waits for its
 * connection: the one of that direction that next carries bytes, or the next one that is made.
 */
import { checkNamed, isBoolean, type OptionCheck } from './options.ts'

export interface TearOptions {
  /**
   * How many bytes of the first machine still reach the second, on that connection. Or a function: it is given what the
   * first sends, in order, in pieces, and says how many bytes of this piece still pass; `undefined`: all, and go on. It
   * must not keep or change the piece. Default 0.
   */
  readonly afterBytes?: number | ((bytes: Uint8Array) => number | undefined)
  /**
   * What an end hears: that the connection was reset, or that the other end closed it in good order. Default `reset`.
   */
  readonly how?: 'reset' | 'end'
  /**
   * Who hears. An end that does not goes on with a connection that leads nowhere, until `streamTimeoutMs` after the
   * first byte that it could not send. Default `both`.
   */
  readonly heardBy?: 'both' | 'sender' | 'receiver' | 'nobody'
  /** Only a connection that is made from now on, counted from its first byte. Default false: any. */
  readonly fresh?: boolean
  /** Only a connection to this port, on either machine. Default: any. */
  readonly port?: number
}

const hows: readonly unknown[] = ['reset', 'end', undefined] satisfies TearOptions['how'][]
const hearers: readonly unknown[] = [
  'both',
  'sender',
  'receiver',
  'nobody',
  undefined,
] satisfies TearOptions['heardBy'][]
const isWhole: (max: number) => OptionCheck = (max) => (value) =>
  value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max)
    ? undefined
    : `a whole number from 0 to ${max}`
const checks: Readonly<Record<keyof TearOptions, OptionCheck>> = {
  afterBytes: (value) => (typeof value === 'function' ? undefined : isWhole(Number.MAX_SAFE_INTEGER)(value)),
  how: (value) => (hows.includes(value) ? undefined : 'reset or end'),
  heardBy: (value) => (hearers.includes(value) ? undefined : 'both, sender, receiver or nobody'),
  fresh: isBoolean,
  port: isWhole(65_535),
}

/** Throws `ERR_SHOAL_OPTION` for an option that is none or has no sense. */
export function checkTear(options: TearOptions): void {
  checkNamed(options, checks, 'tear: ')
}

/** One direction between two machines, on a connection to that port. */
export interface Direction {
  readonly from: { readonly ip: string }
  readonly to: { readonly ip: string }
  readonly port: number
}

/** What became of a tear. */
export interface TearHandle {
  /** `waiting`: for its connection; `found`: the bytes of that are counted; `off`: cancelled before. */
  readonly state: 'waiting' | 'found' | 'torn' | 'off'
  /** Calls it off; a connection that is torn stays torn. */
  cancel(): void
}

/** One connection to be torn. */
export class Tear implements TearHandle {
  state: TearHandle['state'] = 'waiting'
  readonly how: 'reset' | 'end'
  readonly sender: boolean
  readonly receiver: boolean
  readonly fresh: boolean
  readonly #from: string
  readonly #to: string
  readonly #port: number | undefined
  readonly #passing: (bytes: Uint8Array) => number | undefined

  constructor(from: string, to: string, options: TearOptions) {
    const { afterBytes = 0, how = 'reset', heardBy = 'both', fresh = false, port } = options
    this.#from = from
    this.#to = to
    this.#port = port
    this.how = how
    this.sender = heardBy === 'both' || heardBy === 'sender'
    this.receiver = heardBy === 'both' || heardBy === 'receiver'
    this.fresh = fresh
    this.#passing = typeof afterBytes === 'number' ? counter(afterBytes) : afterBytes
  }

  cancel(): void {
    if (this.state !== 'torn') this.state = 'off'
  }

  isFor({ from, to, port }: Direction): boolean {
    return from.ip === this.#from && to.ip === this.#to && (this.#port ?? port) === port
  }

  /** How many of these bytes pass before the connection breaks; `undefined`: all, and it holds. */
  passing(bytes: Uint8Array): number | undefined {
    if (this.state === 'off') return undefined
    const passing = this.#passing(bytes)
    if (passing === undefined || passing > bytes.length) return undefined
    this.state = 'torn'
    return Math.max(0, Math.trunc(passing))
  }
}

function counter(afterBytes: number): (bytes: Uint8Array) => number | undefined {
  let left = afterBytes
  return ({ length }) => {
    if (left <= length) return left
    left -= length
    return undefined
  }
}

/** The tears that wait for their connection. */
export class Tears {
  #waiting: Tear[] = []

  add(tear: Tear): void {
    this.#waiting.push(tear)
  }

  /** Takes the first tear for a connection that was just made (`isFresh`), or that carries its next bytes. */
  take(direction: Direction, isFresh: boolean): Tear | undefined {
    if (this.#waiting.length === 0) return undefined
    const found = this.#waiting.find(
      (tear) => tear.state === 'waiting' && tear.fresh === isFresh && tear.isFor(direction),
    )
    if (found !== undefined) found.state = 'found'
    this.#waiting = this.#waiting.filter(({ state }) => state === 'waiting')
    return found
  }
}
