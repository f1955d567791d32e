/**
 * The least of Serf that lets `serf members` tell the truth about us (protocol reference, section 19; Serf's
 * delegate.go): Lamport clocks, a join intent, a leave intent before the leave, and passing on what others say, once
 * each. It is silent unless the cluster's delegate versions are Serf's. Queries are passed on but not answered,
 * events are not shown to anybody, and relay requests are dropped.
 */
import { WireError } from '../wire/error.ts'
import { encodeMessage } from '../wire/message.ts'
import { decodeSerf, encodeSerf, serfListMax } from '../wire/serf.ts'
import type { SerfJoin, SerfLeave, SerfMessage, SerfState } from '../wire/serf-message.ts'
import type { Core } from './core.ts'
import { state } from './members.ts'
import type { UserState } from './sync.ts'

/** Serf's delegate protocol versions. */
const serfVersionMin = 2
const serfVersionMax = 5
/** Messages remembered as passed on. */
const seenMax = 1024
/** Times beyond are lies: the clock after them would not fit the 64 bits it travels in. */
const lTimeMax = 2n ** 63n
/** Bytes of our state in a push/pull, so that it fits a stream whatever names strangers have. */
const stateBytesMax = 2_097_152
/** Query flag: do not pass on. */
const noBroadcast = 2

class LamportClock {
  time = 1n

  witness(seen: bigint): void {
    if (seen >= this.time && seen <= lTimeMax) this.time = seen + 1n
  }
}

export class SerfLayer implements UserState {
  readonly #core: Core
  readonly #members = new LamportClock()
  readonly #events = new LamportClock()
  readonly #queries = new LamportClock()
  /** When each member's status was last told, by name; at most `membersMax` names. */
  readonly #status = new Map<string, bigint>()
  readonly #seen = new Set<string>()
  #key = 0
  #hasJoined = false

  constructor(core: Core) {
    this.#core = core
  }

  /** Whether the cluster is one of Serf's. */
  get isActive(): boolean {
    const [, , current] = this.#core.delegate
    return current >= serfVersionMin && current <= serfVersionMax
  }

  local(): Uint8Array {
    if (!this.isActive) return new Uint8Array(0)
    const { members, config, phase } = this.#core
    const statusLTimes = new Map<string, bigint>()
    const leftMembers: string[] = []
    let bytesLeft = stateBytesMax
    for (let place = 0; place < members.count && statusLTimes.size < serfListMax - 1; place += 1) {
      const peer = members.at(place)
      const name = members.name(peer)
      // In both lists at most: three bytes a character, a header each, the time.
      bytesLeft -= 2 * (3 * name.length + 3) + 9
      if (bytesLeft < 0) break
      statusLTimes.set(name, this.#status.get(name) ?? 0n)
      if (members.state(peer) === state.left && name !== config.name) leftMembers.push(name)
    }
    if (phase !== 'running') leftMembers.push(config.name)
    return encodeSerf({
      type: 'state',
      lTime: this.#members.time,
      statusLTimes,
      leftMembers,
      eventLTime: this.#events.time,
      events: [],
      queryLTime: this.#queries.time,
    })
  }

  merge(bytes: Uint8Array): void {
    const message = this.#decode(bytes)
    if (message?.type !== 'state' || !this.isActive) return
    witnessBefore(this.#members, message.lTime)
    witnessBefore(this.#events, message.eventLTime)
    witnessBefore(this.#queries, message.queryLTime)
    this.#adopt(message)
    if (this.#hasJoined || !this.#core.isRunning()) return
    this.#hasJoined = true
    this.#tellJoin()
  }

  message(body: Uint8Array): void {
    const { counters, gossipBytesMax } = this.#core
    counters.userMessages += 1
    // It could never be passed on (its type takes a byte), and would only be held.
    if (body.length >= gossipBytesMax) return
    const message = this.#decode(body)
    if (message === undefined || !this.isActive) return
    switch (message.type) {
      case 'join':
      case 'leave':
        this.#intent(message, body)
        return
      case 'userEvent':
        this.#events.witness(message.lTime)
        this.#passOn(`e ${message.lTime} ${message.name}`, body)
        return
      case 'query':
        this.#queries.witness(message.lTime)
        if ((message.flags & noBroadcast) !== 0) return
        this.#passOn(`q ${message.lTime} ${message.id}`, body)
        return
      case 'state':
      case 'queryResponse':
      case 'conflictResponse':
      case 'keyRequest':
      case 'keyResponse':
      case 'relay':
        return
      default:
        message satisfies never
    }
  }

  /** The leave intent, for all and for those told directly; undefined where nobody speaks Serf. */
  leaving(): Uint8Array | undefined {
    if (!this.isActive) return undefined
    const { name } = this.#core.config
    const lTime = this.#members.time
    this.#members.time += 1n
    this.#status.set(name, lTime)
    return this.#broadcast(encodeSerf({ type: 'leave', lTime, node: name, prune: false }))
  }

  #intent(intent: SerfJoin | SerfLeave, body: Uint8Array): void {
    this.#members.witness(intent.lTime)
    const { config, limits, members } = this.#core
    if (intent.node === config.name) {
      // Somebody believes an old leave of ours.
      if (intent.type === 'leave' && this.#core.isRunning() && !this.#isOld(intent)) this.#tellJoin()
      return
    }
    if (this.#isOld(intent)) return
    if (members.find(intent.node) < 0 && this.#status.size >= limits.membersMax) return
    this.#setStatus(intent.node, intent.lTime)
    this.#passOn(`${intent.type} ${intent.lTime} ${intent.node}`, body)
  }

  #isOld(intent: SerfJoin | SerfLeave): boolean {
    return intent.lTime <= (this.#status.get(intent.node) ?? 0n) || intent.lTime > lTimeMax
  }

  #adopt(message: SerfState): void {
    for (const [name, lTime] of message.statusLTimes ?? []) {
      if (this.#core.members.find(name) < 0 || name === this.#core.config.name) continue
      if (lTime > (this.#status.get(name) ?? 0n) && lTime <= lTimeMax) this.#setStatus(name, lTime)
    }
  }

  /** Keeps to the names of the table, once there are twice as many. */
  #setStatus(name: string, lTime: bigint): void {
    this.#status.set(name, lTime)
    const { members } = this.#core
    if (this.#status.size <= 2 * members.count + seenMax) return
    for (const known of this.#status.keys()) if (members.find(known) < 0) this.#status.delete(known)
  }

  #tellJoin(): void {
    const { name } = this.#core.config
    this.#status.set(name, this.#members.time)
    this.#broadcast(encodeSerf({ type: 'join', lTime: this.#members.time, node: name }))
  }

  #passOn(id: string, body: Uint8Array): void {
    if (this.#seen.has(id)) return
    this.#seen.add(id)
    if (this.#seen.size > seenMax)
      for (const oldest of this.#seen) {
        this.#seen.delete(oldest)
        break
      }
    this.#broadcast(body.slice())
  }

  #broadcast(body: Uint8Array): Uint8Array {
    const bytes = encodeMessage({ type: 'user', body })
    const { userQueue, limits } = this.#core
    if (userQueue.size < limits.userQueueMax) {
      this.#key += 1
      userQueue.put(this.#key, bytes)
      this.#core.armGossip()
    }
    return bytes
  }

  #decode(bytes: Uint8Array): SerfMessage | undefined {
    try {
      return decodeSerf(bytes)
    } catch (error) {
      if (error instanceof WireError) return undefined
      throw error
    }
  }
}

function witnessBefore(clock: LamportClock, time: bigint): void {
  if (time > 0n) clock.witness(time - 1n)
}
