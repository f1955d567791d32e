/**
 * Leaving (protocol reference, section 15; memberlist's Leave): dead about ourselves, from ourselves. Gossip alone
 * takes its time in a large cluster and dies with us, so the word also goes straight to some members, by exchange to
 * two of them, and to whoever still pings us. Acks go on until the driver stops us, so that nobody sees a failure.
 */
import type { Millis } from '../env.ts'
import { encodeMessage } from '../wire/message.ts'
import type { Core } from './core.ts'
import { pickMembers } from './gossip.ts'
import { state } from './members.ts'
import type { Outbox } from './outbox.ts'
import type { SerfLayer } from './serf.ts'
import type { Sync } from './sync.ts'
import { Timer } from './timers.ts'

/** Members told directly, each at every gossip beat until we are done. */
const directMax = 5
/** Of them, so many also by an exchange, which does not get lost. */
const exchangesMax = 2
/** Gossip beats between Serf's intent to leave and the farewell. */
const intentBeats = 3

export class Leave {
  readonly #core: Core
  readonly #outbox: Outbox
  readonly #sync: Sync
  readonly #serf: SerfLayer
  readonly #timer: Timer = new Timer(() => this.#beat())
  readonly #told: number[] = []
  #ids: number[] = []
  #until = 0
  #exchanging = 0
  #farewell: Uint8Array | undefined
  /** Serf takes a leave without it for a failure. */
  #intent: Uint8Array | undefined

  constructor(core: Core, outbox: Outbox, sync: Sync, serf: SerfLayer) {
    this.#core = core
    this.#outbox = outbox
    this.#sync = sync
    this.#serf = serf
  }

  /** What to tell whoever still pings us, once it is said. */
  get farewell(): Uint8Array | undefined {
    return this.#farewell
  }

  /** A second caller waits with the first. */
  wait(id: number): void {
    if (this.#core.phase === 'leaving') this.#ids.push(id)
    else this.#core.emit({ type: 'left', id })
  }

  start(id: number, timeoutMs: Millis): void {
    const core = this.#core
    this.#ids.push(id)
    this.#until = core.now + timeoutMs
    core.phase = 'leaving'
    this.#intent = this.#serf.leaving()
    pickMembers(core, directMax, this.#told, (_, peer) => core.members.isLive(peer))
    if (this.#intent === undefined || this.#told.length === 0) {
      this.#sayFarewell()
      return
    }
    // Serf's agents report a failure when the farewell reaches them before the intent, so that gets a start.
    for (const peer of this.#told) this.#outbox.sendTo(peer, this.#intent)
    core.timers.set(this.#timer, Math.min(this.#until, core.now + intentBeats * core.timing.gossipIntervalMs))
  }

  #sayFarewell(): void {
    const core = this.#core
    const { members, config } = core
    const incarnation = members.incarnation(core.self)
    const farewell = encodeMessage({ type: 'dead', incarnation, node: config.name, from: config.name })
    this.#farewell = farewell
    members.setState(core.self, state.left, core.now)
    core.emitMember('left', core.self)
    core.broadcast(core.self, farewell)
    for (const peer of this.#told.slice(0, exchangesMax)) {
      this.#exchanging += 1
      const deadlineAt = Math.min(this.#until, core.now + core.timing.tcpTimeoutMs)
      this.#sync.exchange(members.facet(peer).address, false, deadlineAt, () => {
        this.#exchanging -= 1
      })
    }
    this.#beat()
  }

  #beat(): void {
    const core = this.#core
    const farewell = this.#farewell
    if (farewell === undefined) {
      this.#sayFarewell()
      return
    }
    const told = this.#told.filter((peer) => core.members.isLive(peer))
    const isOut =
      told.length === 0 || (!core.queue.has(core.self) && core.userQueue.size === 0 && this.#exchanging === 0)
    if (isOut || core.now >= this.#until) {
      core.phase = 'left'
      for (const id of this.#ids) core.emit({ type: 'left', id })
      this.#ids = []
      return
    }
    for (const peer of told) {
      if (this.#intent === undefined) this.#outbox.sendTo(peer, farewell)
      else this.#outbox.sendTo(peer, this.#intent, farewell)
    }
    core.timers.set(this.#timer, Math.min(this.#until, core.now + core.timing.gossipIntervalMs))
  }
}
