/**
 * Calls that wait to run, a lane for each peer and one for this node's own calls. Lanes take turns, call by call; one
 * whose call took long waits for so many turns more (deficit round robin: Shreedhar and Varghese, SIGCOMM 1995, paid
 * afterwards, because nobody knows before what a handler costs). A full queue gives up the newest call of its longest lane
 * (as fq_codel does, RFC 8290), so that a peer who sends too much pays for it itself.
 *
 * Within a lane calls leave in the order in which they came, so that calls of one caller to one key start in order; last in,
 * first out would break that, and gains little where nobody waits for longer than the targets of codel.ts. Bulk calls have a
 * queue of their own in each lane, which moves when nobody else waits. So have calls that find no room among the asynchronous
 * handlers: calls that need none go past them, unless they have the same key, so that a slow method does not hold up a
 * quick one.
 */
import type { Millis } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import { Codel, type Pace } from './codel.ts'

/** Why a call is not run. */
export type Refusal = 'full' | 'waited' | 'lag'

/** A call that waits. */
export abstract class QueuedCall {
  readonly method: string
  readonly key: string | undefined
  readonly deadline: Millis
  readonly bulk: boolean
  readonly bytes: number
  /** Whose it is. */
  peer = ''
  /** Since when it waits. */
  since: Millis = 0
  /** Where it waits; undefined once it does not. */
  lane: Lane | undefined
  line: Line | undefined
  before: QueuedCall | undefined
  after: QueuedCall | undefined

  constructor(method: string, key: string | undefined, deadline: Millis, bulk: boolean, bytes: number) {
    this.method = method
    this.key = key
    this.deadline = deadline
    this.bulk = bulk
    this.bytes = bytes
  }

  /** It is its turn: it looks at the gate and the ring again and runs. */
  abstract start(): void
  /** It is not run. */
  abstract refuse(failure: CallFailure): void
}

/** First in, first out; any may leave. */
export class Line {
  readonly codel: Codel
  first: QueuedCall | undefined
  last: QueuedCall | undefined
  size = 0
  bytes = 0

  constructor(codel: Codel) {
    this.codel = codel
  }

  push(call: QueuedCall): void {
    call.line = this
    call.before = this.last
    if (this.last === undefined) this.first = call
    else this.last.after = call
    this.last = call
    this.size += 1
    this.bytes += call.bytes
  }

  remove(call: QueuedCall): void {
    if (call.before === undefined) this.first = call.after
    else call.before.after = call.after
    if (call.after === undefined) this.last = call.before
    else call.after.before = call.before
    call.before = undefined
    call.after = undefined
    call.line = undefined
    this.size -= 1
    this.bytes -= call.bytes
  }
}

export class Lane {
  readonly peer: string
  readonly calls: Line
  readonly bulk: Line
  /** Calls for which there was no room when it was their turn; all came before those of `calls`. */
  readonly roomless: Line
  /** Keys of those, and how many have it. */
  readonly #keys = new Map<string, number>()
  /** Asynchronous handlers of its calls that count towards the concurrency limit. */
  running = 0
  /** Milliseconds of handlers it may still use in this turn. */
  credit = 0

  constructor(peer: string, { queueTargetMs, queueIntervalMs }: LaneLimits, pace: Pace) {
    this.peer = peer
    const codel = new Codel(queueTargetMs, queueIntervalMs, pace)
    this.calls = new Line(codel)
    this.bulk = new Line(codel)
    this.roomless = new Line(new Codel(queueTargetMs, queueIntervalMs, pace))
  }

  /** Calls that wait, those of bulk excepted, and the bytes of their bodies. */
  get count(): number {
    return this.calls.size + this.roomless.size
  }

  get bytes(): number {
    return this.calls.bytes + this.roomless.bytes
  }

  get size(): number {
    return this.count + this.bulk.size
  }

  /** The call whose turn it is, if it may start. Those that may not make way for those behind them. */
  first(mayStart: (call: QueuedCall) => boolean): QueuedCall | undefined {
    const before = this.roomless.first
    if (before !== undefined && mayStart(before)) return before
    for (let call = this.calls.first; call !== undefined; call = this.calls.first) {
      const isBehind = call.key !== undefined && this.#keys.has(call.key)
      if (!isBehind && mayStart(call)) return call
      this.calls.remove(call)
      this.roomless.push(call)
      if (call.key !== undefined) this.#keys.set(call.key, (this.#keys.get(call.key) ?? 0) + 1)
    }
    return undefined
  }

  remove(call: QueuedCall): void {
    const { line, key } = call
    line?.remove(call)
    if (line !== this.roomless || key === undefined) return
    const others = (this.#keys.get(key) ?? 1) - 1
    if (others > 0) this.#keys.set(key, others)
    else this.#keys.delete(key)
  }
}

/** A turn pays for so much of a handler's time; every call costs a turn at least and so many at most. */
const turnMs: Millis = 0.25
const turnsMax = 16
/** Lanes that may be remembered beyond twice those that are in use. */
const lanesSpare = 64
/** How much of what a call took the mean takes up. */
const costShare = 1 / 16

export interface LaneLimits {
  readonly callsQueuedMax: number
  readonly callsQueuedBytesMax: number
  readonly queueTargetMs: Millis
  readonly queueIntervalMs: Millis
}

export class Lanes implements Pace {
  readonly #limits: LaneLimits
  readonly #lanes = new Map<string, Lane>()
  /** Lanes in which calls wait, in the order of their turns; and those in which bulk calls do. */
  readonly #turns = new Set<Lane>()
  readonly #bulkTurns = new Set<Lane>()
  #size = 0
  #bytes = 0
  /** Lanes in which a call waits or runs. */
  #busy = 0
  /** With so many lanes, those that are not in use are forgotten: peers come and go, also where nobody rests. */
  #sweepAt = lanesSpare
  #costMs: Millis = 0

  constructor(limits: LaneLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** What calls that waited take of the loop, as a mean over the last ones. */
  get costMs(): Millis {
    return this.#costMs
  }

  /** Lanes that are remembered. */
  get lanes(): number {
    return this.#lanes.size
  }

  #lane(peer: string): Lane {
    let lane = this.#lanes.get(peer)
    if (lane === undefined) {
      if (this.#lanes.size >= this.#sweepAt) {
        this.sweep()
        this.#sweepAt = lanesSpare + 2 * this.#lanes.size
      }
      lane = new Lane(peer, this.#limits, this)
      this.#lanes.set(peer, lane)
    }
    return lane
  }

  /** A handler began or ended. */
  runs(peer: string, change: 1 | -1): void {
    const lane = this.#lane(peer)
    const was = lane.running + lane.size
    lane.running += change
    this.#busyness(was, lane)
  }

  /**
   * What has to give way for one more call of that peer: itself, or another call, and perhaps more; undefined when there is
   * room. The newest of whoever has most of what is scarce, places or bytes.
   */
  victim(call: QueuedCall, peer: string): QueuedCall | undefined {
    const { callsQueuedMax, callsQueuedBytesMax } = this.#limits
    const isFull = this.#size >= callsQueuedMax
    if (!isFull && this.#bytes + call.bytes <= callsQueuedBytesMax) return undefined
    if (call.bulk) return call
    for (const lane of this.#bulkTurns) if (lane.bulk.last !== undefined) return lane.bulk.last
    let longest = this.#lane(peer)
    let most = isFull ? longest.count + 1 : longest.bytes + call.bytes
    for (const lane of this.#turns) {
      const has = isFull ? lane.count : lane.bytes
      if (has <= most) continue
      longest = lane
      most = has
    }
    return longest.peer === peer ? call : (longest.calls.last ?? longest.roomless.last)
  }

  push(call: QueuedCall, peer: string, now: Millis): void {
    const lane = this.#lane(peer)
    const was = lane.running + lane.size
    call.lane = lane
    call.peer = peer
    call.since = now
    this.#size += 1
    this.#bytes += call.bytes
    const turns = call.bulk ? this.#bulkTurns : this.#turns
    ;(call.bulk ? lane.bulk : lane.calls).push(call)
    turns.add(lane)
    this.#busyness(was, lane)
  }

  /** Takes a call out; false if it does not wait. */
  remove(call: QueuedCall, now: Millis): boolean {
    const { lane, line } = call
    if (lane === undefined || line === undefined) return false
    const was = lane.running + lane.size
    lane.remove(call)
    call.lane = undefined
    this.#size -= 1
    this.#bytes -= call.bytes
    if (lane.bulk.size === 0) this.#bulkTurns.delete(lane)
    if (lane.count === 0) this.#turns.delete(lane)
    if (line.size === 0 && (line === lane.roomless || lane.calls.size + lane.bulk.size === 0)) {
      line.codel.emptied(now)
    }
    this.#busyness(was, lane)
    return true
  }

  /**
   * The next call to run; undefined if none may. `mayStart`: whether its method has room. A lane that has its share of
   * `slots` running already waits for one that has not.
   */
  next(now: Millis, slots: number, mayStart: (call: QueuedCall) => boolean): QueuedCall | undefined {
    const share = Math.ceil(slots / Math.max(1, this.#busy))
    const call = this.#pick(this.#turns, share, mayStart)
    if (call !== undefined) return this.#leave(call, now)
    // Whoever else waits has no room.
    return this.#leave(this.#pick(this.#bulkTurns, share, mayStart), now)
  }

  /** A call of that lane has used so much of the loop. */
  charge(peer: string, ms: Millis): void {
    const lane = this.#lane(peer)
    this.#costMs += costShare * (ms - this.#costMs)
    lane.credit -= Math.min(turnsMax * turnMs, Math.max(turnMs, ms))
  }

  /** Takes out whoever has waited too long or whose deadline has passed, first come first. */
  expire(now: Millis, hear: (call: QueuedCall, waitedMs: Millis) => void): void {
    for (const { calls, roomless } of this.#turns) {
      this.#expire(roomless, now, hear)
      this.#expire(calls, now, hear)
    }
    for (const { bulk } of this.#bulkTurns) this.#expire(bulk, now, hear)
  }

  #expire(line: Line, now: Millis, hear: (call: QueuedCall, waitedMs: Millis) => void): void {
    for (let call = line.first; call !== undefined; call = line.first) {
      const waitedMs = now - call.since
      if (waitedMs <= line.codel.longestMs(call.deadline - call.since) && call.deadline > now) return
      line.codel.left(waitedMs, now)
      this.remove(call, now)
      hear(call, waitedMs)
    }
  }

  /** Takes all out. */
  takeAll(now: Millis): QueuedCall[] {
    const calls: QueuedCall[] = []
    for (const lane of this.#lanes.values()) {
      for (const line of [lane.roomless, lane.calls, lane.bulk]) {
        for (let call = line.first; call !== undefined; call = line.first) {
          this.remove(call, now)
          calls.push(call)
        }
      }
    }
    return calls
  }

  /** Forgets lanes in which nothing waits or runs. */
  sweep(): void {
    for (const [peer, lane] of this.#lanes) if (lane.running + lane.size === 0) this.#lanes.delete(peer)
  }

  #pick(turns: Set<Lane>, share: number, mayStart: (call: QueuedCall) => boolean): QueuedCall | undefined {
    let second: QueuedCall | undefined
    // A lane that is put last comes again in this very loop.
    for (const lane of turns) {
      const call = turns === this.#turns ? lane.first(mayStart) : lane.bulk.first
      if (call === undefined || (call.bulk && !mayStart(call))) continue
      if (lane.running >= share) {
        second ??= call
        continue
      }
      if (lane.credit <= 0) {
        lane.credit += turnMs
        turns.delete(lane)
        turns.add(lane)
        continue
      }
      return call
    }
    return second
  }

  #leave(call: QueuedCall | undefined, now: Millis): QueuedCall | undefined {
    if (call === undefined) return undefined
    call.line?.codel.left(now - call.since, now)
    this.remove(call, now)
    return call
  }

  #busyness(was: number, lane: Lane): void {
    const is = lane.running + lane.size
    if (was === 0 && is > 0) this.#busy += 1
    else if (was > 0 && is === 0) this.#busy -= 1
  }
}
