/**
 * Calls that wait to run, a lane for each peer and one for this node's own calls. Lanes take turns, call by call; one
 * whose call took long waits for so many turns more (deficit round robin: Shreedhar and Varghese, SIGCOMM 1995, paid
 * afterwards, because nobody knows before what a handler costs). A full queue gives up the newest call of its longest lane
 * (as fq_codel does, RFC 8290), so that a peer who sends too much pays for it itself.
 *
 * Within a lane calls leave in the order in which they came, so that calls of one caller to one key start in order; last in,
 * first out would break that, and gains little where nobody waits for longer than the targets of codel.ts. Bulk calls have a
 * queue of their own in each lane, which moves when nobody else waits.
 */
import type { Millis } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import { Codel } from './codel.ts'

/** Why a call is not run. */
export type Refusal = 'full' | 'waited' | 'lag'

/** A call that waits. */
export abstract class QueuedCall {
  readonly method: string
  readonly deadline: Millis
  readonly bulk: boolean
  readonly bytes: number
  /** Whose it is. */
  peer = ''
  /** Since when it waits. */
  since: Millis = 0
  /** Where it waits; undefined once it does not. */
  lane: Lane | undefined
  before: QueuedCall | undefined
  after: QueuedCall | undefined

  constructor(method: string, deadline: Millis, bulk: boolean, bytes: number) {
    this.method = method
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
class Line {
  first: QueuedCall | undefined
  last: QueuedCall | undefined
  size = 0
  bytes = 0

  push(call: QueuedCall): void {
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
    this.size -= 1
    this.bytes -= call.bytes
  }
}

export class Lane {
  readonly peer: string
  readonly calls: Line = new Line()
  readonly bulk: Line = new Line()
  readonly codel: Codel
  /** Asynchronous handlers of its calls that count towards the concurrency limit. */
  running = 0
  /** Milliseconds of handlers it may still use in this turn. */
  credit = 0

  constructor(peer: string, codel: Codel) {
    this.peer = peer
    this.codel = codel
  }

  get size(): number {
    return this.calls.size + this.bulk.size
  }
}

/** A turn pays for so much of a handler's time; every call costs a turn at least and so many at most. */
const turnMs: Millis = 0.25
const turnsMax = 16
/** Lanes that may be remembered beyond twice those that are in use. */
const lanesSpare = 64

export interface LaneLimits {
  readonly callsQueuedMax: number
  readonly callsQueuedBytesMax: number
  readonly queueTargetMs: Millis
  readonly queueIntervalMs: Millis
}

export class Lanes {
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

  constructor(limits: LaneLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  get bytes(): number {
    return this.#bytes
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
      lane = new Lane(peer, new Codel(this.#limits.queueTargetMs, this.#limits.queueIntervalMs))
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
    let most = isFull ? longest.calls.size + 1 : longest.calls.bytes + call.bytes
    for (const lane of this.#turns) {
      const has = isFull ? lane.calls.size : lane.calls.bytes
      if (has <= most) continue
      longest = lane
      most = has
    }
    return longest.peer === peer ? call : longest.calls.last
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
    const { lane } = call
    if (lane === undefined) return false
    const was = lane.running + lane.size
    const line = call.bulk ? lane.bulk : lane.calls
    line.remove(call)
    call.lane = undefined
    this.#size -= 1
    this.#bytes -= call.bytes
    if (line.size === 0) (call.bulk ? this.#bulkTurns : this.#turns).delete(lane)
    if (lane.size === 0) lane.codel.emptied(now)
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
    if (call !== undefined || this.#turns.size > 0) return this.#leave(call, now)
    return this.#leave(this.#pick(this.#bulkTurns, share, mayStart), now)
  }

  /** A call of that lane has used so much of the loop. */
  charge(peer: string, ms: Millis): void {
    const lane = this.#lane(peer)
    lane.credit -= Math.min(turnsMax * turnMs, Math.max(turnMs, ms))
  }

  /** Takes out whoever has waited too long or whose deadline has passed, first come first. */
  expire(now: Millis, hear: (call: QueuedCall, waitedMs: Millis) => void): void {
    for (const turns of [this.#turns, this.#bulkTurns]) {
      for (const lane of turns) {
        for (;;) {
          const call = turns === this.#turns ? lane.calls.first : lane.bulk.first
          if (call === undefined) break
          const waitedMs = now - call.since
          if (waitedMs <= lane.codel.longestMs(call.deadline - call.since) && call.deadline > now) break
          lane.codel.left(waitedMs, now)
          this.remove(call, now)
          hear(call, waitedMs)
        }
      }
    }
  }

  /** Takes all out. */
  takeAll(now: Millis): QueuedCall[] {
    const calls: QueuedCall[] = []
    for (const lane of this.#lanes.values()) {
      for (const line of [lane.calls, lane.bulk]) {
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
      const call = (turns === this.#turns ? lane.calls.first : lane.bulk.first) as QueuedCall
      if (!mayStart(call)) continue
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
    call.lane?.codel.left(now - call.since, now)
    this.remove(call, now)
    return call
  }

  #busyness(was: number, lane: Lane): void {
    const is = lane.running + lane.size
    if (was === 0 && is > 0) this.#busy += 1
    else if (was > 0 && is === 0) this.#busy -= 1
  }
}
