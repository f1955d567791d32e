/**
 * Who believes what: the rules by which alive, suspect and dead change the table (SWIM section 4.2; protocol
 * reference, section 10; memberlist's state.go). Facts pass on byte for byte (trap T3). Beyond memberlist, and
 * compatible with it:
 * - the highest incarnation seen is always recorded (T9), also of the dead, and outlives the record as a tombstone;
 * - a stale alive about a member we hold suspect, dead or gone is answered by telling that member the accusation, so
 *   that it can refute: nobody stays dead for want of hearing of it;
 * - a refutation also goes straight back to the accuser, and again to whoever accuses after it;
 * - a dead or left name may come back at a new address with a higher incarnation;
 * - a member whose versions do not fit is dropped alone, never the exchange that brought it (T1).
 */
import type { Address } from '../env.ts'
import { formatAddress } from '../wire/address.ts'
import { type Alive, type Dead, encodeMessage, type Suspect } from '../wire/message.ts'
import type { Core } from './core.ts'
import { state } from './members.ts'
import type { Outbox } from './outbox.ts'
import { sameBytes, sameMeta } from './peers.ts'
import { Suspicions, suspicionWindow } from './suspicion.ts'
import { isCompatible, isSoundVsn } from './versions.ts'

/** Nobody could refute an accusation of the highest incarnation, so facts that carry it are dropped. */
const incarnationMax = 0xffff_fffe

export interface FactHooks {
  /** A member failed (not: left). */
  died(peer: number): void
  /** A member that we held alive is suspected on hearsay. */
  doubted(peer: number): void
  /** A suspicion is about to end: tell the suspect. */
  appeal(peer: number): void
}

export class Facts {
  readonly suspicions: Suspicions
  readonly #core: Core
  readonly #outbox: Outbox
  readonly #hooks: FactHooks
  #accusationsLeft = 0
  #accusationsFrom = Number.NEGATIVE_INFINITY

  constructor(core: Core, outbox: Outbox, hooks: FactHooks) {
    this.#core = core
    this.#outbox = outbox
    this.#hooks = hooks
    this.suspicions = new Suspicions(core.timers, core, core.timing.probeTimeoutMs, hooks.appeal, (peer) =>
      this.#expired(peer),
    )
  }

  /** Makes our own record, or raises our incarnation to `atLeast` and says so to all. */
  announce(atLeast: number): Uint8Array {
    const core = this.#core
    const { members } = core
    const isFirst = core.self < 0
    if (isFirst) core.self = members.add(core.config.name, core.now, core.random)
    const incarnation = Math.min(incarnationMax, Math.max(atLeast, members.incarnation(core.self) + 1))
    members.setIncarnation(core.self, incarnation)
    members.setFacet(core.self, core.addr, core.config.port, core.vsn, core.meta)
    if (isFirst) {
      members.setState(core.self, state.alive, core.now)
      core.emitMember('joined', core.self)
    }
    const bytes = this.#ownAlive()
    core.broadcast(core.self, bytes)
    return bytes
  }

  #ownAlive(): Uint8Array {
    const { members, self, config, addr, meta, vsn } = this.#core
    const incarnation = members.incarnation(self)
    return encodeMessage({
      type: 'alive',
      incarnation,
      node: config.name,
      addr,
      port: config.port,
      meta,
      vsn,
    })
  }

  /** `raw`: the message as received, absent if it came in an exchange. `from`: the sender of the packet. */
  alive(alive: Alive, raw: Uint8Array | undefined, from: Address | undefined): void {
    const core = this.#core
    const { members } = core
    if (!this.#isAcceptable(alive)) return
    let peer = members.find(alive.node)
    if (peer === core.self) {
      this.#aliveAboutUs(alive, from)
      return
    }
    const before = peer < 0 ? state.absent : members.state(peer)
    if (before === state.absent || before === state.tombstone) {
      if (before === state.tombstone && alive.incarnation <= members.incarnation(peer)) {
        this.#accuse(peer, alive)
        return
      }
      if (members.count >= core.limits.membersMax) {
        this.#refuseMember(alive.node)
        return
      }
      peer = members.add(alive.node, core.now, core.random)
    } else if (!members.facet(peer).at(alive.addr, alive.port) && before <= state.suspect) {
      this.#conflict(alive)
      return
    } else if (alive.incarnation <= members.incarnation(peer)) {
      if (before !== state.alive) this.#accuse(peer, alive)
      return
    }
    const wasLive = before <= state.suspect
    const isNews = wasLive && !sameMeta(members.facet(peer).meta, alive.meta)
    this.suspicions.stop(peer)
    members.setFacet(peer, alive.addr, alive.port, alive.vsn, alive.meta)
    members.setIncarnation(peer, alive.incarnation)
    if (before !== state.alive) members.setState(peer, state.alive, core.now)
    core.broadcast(peer, raw?.slice() ?? encodeMessage(alive))
    if (before === state.suspect) core.emitMember('cleared', peer)
    if (!wasLive) core.emitMember('joined', peer)
    else if (isNews) core.emitMember('updated', peer)
  }

  /** `proven`: a probe of ours failed, rather than hearsay. */
  suspect(suspect: Suspect, raw: Uint8Array | undefined, from: Address | undefined, proven = false): void {
    const core = this.#core
    const { members } = core
    const peer = members.find(suspect.node)
    if (peer < 0 || !this.#isSound(suspect)) return
    const known = members.incarnation(peer)
    if (suspect.incarnation < known) {
      if (peer === core.self && from !== undefined) this.#remind(from)
      return
    }
    if (peer === core.self) {
      this.#refute(suspect.incarnation, from)
      return
    }
    const isNewer = suspect.incarnation > known
    if (isNewer) members.setIncarnation(peer, suspect.incarnation)
    const before = members.state(peer)
    if (before > state.suspect) return
    if (before === state.suspect && !isNewer) {
      if (this.suspicions.confirm(peer, suspect.from)) {
        core.broadcast(peer, raw?.slice() ?? encodeMessage(suspect))
      }
      return
    }
    core.counters.suspicions += 1
    core.broadcast(peer, raw?.slice() ?? encodeMessage(suspect))
    if (before === state.alive) members.setState(peer, state.suspect, core.now)
    this.suspicions.start(peer, suspect.from, suspicionWindow(core.timing, members.count))
    if (before !== state.alive) return
    core.emitMember('suspected', peer)
    if (!proven) this.#hooks.doubted(peer)
  }

  dead(dead: Dead, raw: Uint8Array | undefined, from: Address | undefined): void {
    const core = this.#core
    const { members } = core
    const peer = members.find(dead.node)
    if (peer < 0 || !this.#isSound(dead)) return
    if (dead.incarnation < members.incarnation(peer)) {
      if (peer === core.self && from !== undefined) this.#remind(from)
      return
    }
    if (peer === core.self) {
      this.#refute(dead.incarnation, from)
      return
    }
    members.setIncarnation(peer, dead.incarnation)
    if (members.state(peer) > state.suspect) return
    this.suspicions.stop(peer)
    core.broadcast(peer, raw?.slice() ?? encodeMessage(dead))
    const hasLeft = dead.from === dead.node
    members.setState(peer, hasLeft ? state.left : state.dead, core.now)
    if (hasLeft) {
      core.emitMember('left', peer)
      return
    }
    core.counters.deaths += 1
    core.emitMember('died', peer)
    this.#hooks.died(peer)
  }

  /** Accuses a member that our own probe found silent. */
  suspectFromUs(peer: number): void {
    const { members, config } = this.#core
    this.suspect(
      {
        type: 'suspect',
        incarnation: members.incarnation(peer),
        node: members.name(peer),
        from: config.name,
      },
      undefined,
      undefined,
      true,
    )
  }

  #expired(peer: number): void {
    const { members, config } = this.#core
    if (members.state(peer) !== state.suspect) return
    this.dead(
      { type: 'dead', incarnation: members.incarnation(peer), node: members.name(peer), from: config.name },
      undefined,
      undefined,
    )
  }

  #aliveAboutUs(alive: Alive, from: Address | undefined): void {
    const core = this.#core
    const own = core.members.incarnation(core.self)
    if (!core.isRunning() || alive.incarnation < own) return
    if (!core.members.facet(core.self).at(alive.addr, alive.port)) {
      this.#conflict(alive)
      return
    }
    const isOurs = sameBytes(alive.vsn, core.vsn) && sameMeta(alive.meta, core.meta)
    if (alive.incarnation === own && isOurs) return
    this.#refute(alive.incarnation, from)
  }

  #refute(accused: number, from: Address | undefined): void {
    const core = this.#core
    if (!core.isRunning()) return
    core.counters.refutes += 1
    core.awareness.add(1)
    const bytes = this.announce(accused + 1)
    if (from !== undefined && this.#mayTell()) this.#outbox.send(from, bytes)
  }

  /** What is held against a member that is not alive here, as a message to itself; undefined for the others. */
  charge(peer: number): Uint8Array | undefined {
    const { members, config } = this.#core
    const held = members.state(peer)
    if (held === state.alive || held === state.absent) return undefined
    const facts = { incarnation: members.incarnation(peer), node: members.name(peer), from: config.name }
    return encodeMessage(held === state.suspect ? { type: 'suspect', ...facts } : { type: 'dead', ...facts })
  }

  /** Tells the subject of a stale alive, at the address it gave, what is held against it. */
  #accuse(peer: number, alive: Alive): void {
    const core = this.#core
    const charge = this.charge(peer)
    if (charge === undefined || !this.#mayTell()) return
    core.counters.accusations += 1
    this.#outbox.send(addressOf(alive), charge)
  }

  /** Somebody accuses us at an incarnation that we have refuted: it missed that. */
  #remind(from: Address): void {
    const core = this.#core
    if (!core.isRunning() || !this.#mayTell()) return
    this.#outbox.send(from, this.#ownAlive())
  }

  /** Whether to speak to one member alone. Bounds what strangers can make us send. */
  #mayTell(): boolean {
    const core = this.#core
    if (!core.extensions.ours) return false
    if (core.now - this.#accusationsFrom >= core.timing.probeIntervalMs) {
      this.#accusationsFrom = core.now
      this.#accusationsLeft = core.limits.accusationsMax
    }
    if (this.#accusationsLeft <= 0) return false
    this.#accusationsLeft -= 1
    return true
  }

  /** Accusers are remembered, so they are held to the length of names. */
  #isSound({ incarnation, from }: Suspect | Dead): boolean {
    return incarnation <= incarnationMax && from.length <= this.#core.limits.nameCharsMax
  }

  #isAcceptable(alive: Alive): boolean {
    const core = this.#core
    const { limits } = core
    const isSound =
      alive.incarnation > 0 &&
      alive.incarnation <= incarnationMax &&
      alive.node.length > 0 &&
      alive.node.length <= limits.nameCharsMax &&
      (alive.addr.length === 4 || alive.addr.length === 16) &&
      alive.port > 0 &&
      (alive.meta?.length ?? 0) <= limits.metaBytesMax
    if (!isSound) {
      core.counters.membersRefused += 1
      return false
    }
    if (isSoundVsn(alive.vsn) && isCompatible(core.vsn, alive.vsn)) return true
    core.counters.versionsRefused += 1
    // Its length is the sender's choice.
    const vsn = alive.vsn.length === 6 ? alive.vsn.join('.') : `of ${alive.vsn.length} bytes`
    core.notice(
      'warn',
      'incompatibleMember',
      `${alive.node} speaks versions ${vsn}, we speak ${core.vsn.join('.')}: it is left out`,
      { name: alive.node, vsn },
    )
    return false
  }

  #refuseMember(name: string): void {
    const { counters, limits } = this.#core
    counters.membersRefused += 1
    this.#core.notice('warn', 'membersMax', `no room for ${name}: the table holds ${limits.membersMax}`, {
      name,
    })
  }

  #conflict(alive: Alive): void {
    const core = this.#core
    core.counters.nameConflicts += 1
    const claimed = addressOf(alive)
    const holder = core.members.facet(core.members.find(alive.node)).address
    core.notice('warn', 'nameConflict', `${alive.node} is at ${holder}, but ${claimed} claims the name too`, {
      name: alive.node,
      holder,
      claimed,
    })
  }
}

function addressOf(alive: Alive): Address {
  return formatAddress(alive.addr, alive.port)
}
