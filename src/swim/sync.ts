/**
 * Push/pull: both sides exchange their whole tables (protocol reference, section 14; memberlist's
 * pushPullNode, mergeState). Gossip spreads news fast but may miss somebody; this repairs what it missed. Of others'
 * lists only alive and left are believed, the rest becomes a suspicion of our own, which its subject can refute.
 */
import type { Address, Millis } from '../env.ts'
import { NodeRecord, type PushPull, type StreamMessage } from '../wire/stream.ts'
import { drawFraction } from './chance.ts'
import type { Core } from './core.ts'
import type { Facts } from './facts.ts'
import { misfit } from './fit.ts'
import { pickMembers } from './gossip.ts'
import { tableBytesMax } from './image.ts'
import { state } from './state.ts'
import { type ExchangeFailure, Exchanges } from './streams.ts'
import { Timer } from './timers.ts'

/** Up to here push/pulls come at their plain interval. */
const unscaledMembers = 32

/** What the layer above (Serf) puts into exchanges and takes out of them. */
export interface UserState {
  local(join: boolean): Uint8Array
  merge(bytes: Uint8Array, join: boolean): void
  message(body: Uint8Array): void
}

export type SyncResult = { readonly reply: PushPull } | { readonly failure: ExchangeFailure }

export class Sync {
  readonly exchanges: Exchanges
  readonly #core: Core
  readonly #facts: Facts
  readonly #user: UserState
  readonly #timer: Timer = new Timer(() => this.#beat())
  readonly #picked: number[] = []
  #nextMeetingAt: Millis = 0

  constructor(core: Core, facts: Facts, user: UserState) {
    this.#core = core
    this.#facts = facts
    this.#user = user
    this.exchanges = new Exchanges(core, (request, reply) => this.#serve(request, reply))
  }

  start(): void {
    const { timers, now, random, timing } = this.#core
    if (timing.pushPullIntervalMs === 0) return
    timers.set(this.#timer, now + drawFraction(random) * timing.pushPullIntervalMs)
  }

  stop(): void {
    this.#core.timers.clear(this.#timer)
  }

  /** Exchanges tables; the answer is merged, then handed on. */
  exchange(to: Address, join: boolean, deadlineAt: Millis, done: (result: SyncResult) => void): void {
    this.#ask(to, this.#table(join), deadlineAt, (result) => {
      if ('reply' in result) this.#merge(result.reply)
      done(result)
    })
  }

  /** Somebody pings us whom we do not know: gossip has missed one of us. Exchanges tables, once a probe interval. */
  meet(to: Address): void {
    const { now, timing } = this.#core
    if (now < this.#nextMeetingAt) return
    this.#nextMeetingAt = now + timing.probeIntervalMs
    this.exchange(to, false, now + timing.tcpTimeoutMs, ignore)
  }

  /** Asks for the table of another without saying a word about us (trap T1), and merges nothing. */
  peek(to: Address, deadlineAt: Millis, done: (result: SyncResult) => void): void {
    const request: PushPull = { type: 'pushPull', join: false, nodes: [], userState: new Uint8Array(0) }
    this.#ask(to, request, deadlineAt, done)
  }

  #ask(to: Address, request: PushPull, deadlineAt: Millis, done: (result: SyncResult) => void): void {
    this.#core.counters.pushPulls += 1
    const isAsked = this.exchanges.ask(to, request, deadlineAt, (result) => {
      if ('failure' in result) done(result)
      else if (result.reply.type === 'pushPull') done({ reply: result.reply })
      else done({ failure: { reason: 'malformed', message: `a ${result.reply.type} instead of a table` } })
    })
    if (!isAsked) done({ failure: { reason: 'limit', message: 'too many streams are open' } })
  }

  #beat(): void {
    const core = this.#core
    core.timers.set(this.#timer, core.now + syncIntervalMs(core))
    const [peer] = pickMembers(core, 1, this.#picked, isAlive)
    if (peer === undefined) return
    this.exchange(core.members.facet(peer).address, false, core.now + core.timing.tcpTimeoutMs, ignore)
  }

  #serve(request: StreamMessage, reply: (message: StreamMessage) => void): void {
    const { config } = this.#core
    switch (request.type) {
      case 'pushPull':
        // Who joins us while we are alone decides what is spoken here.
        if (this.#core.members.aliveCount <= 1) misfit(this.#core, this.#facts, request.nodes)
        // Ours goes out before theirs is merged, as memberlist does: the answer tells what we knew before.
        reply(this.#table(request.join))
        this.#merge(request)
        return
      case 'ping':
        if (request.node !== '' && request.node !== config.name) return
        reply({ type: 'ack', seqNo: request.seqNo, payload: undefined })
        return
      case 'user':
        this.#user.message(request.body)
        return
      case 'ack':
      case 'error':
        reply({ type: 'error', error: `a stream cannot begin with ${request.type}` })
        return
      default:
        request satisfies never
    }
  }

  #table(join: boolean): PushPull {
    const { members } = this.#core
    const userState = this.#user.local(join)
    const table = members.heldTable()
    if (table === undefined) return { type: 'pushPull', join, nodes: this.#someNodes(), userState }
    return { type: 'pushPull', join, nodes: table.nodes, table, userState }
  }

  /** As many as a stream holds, and ourselves; the probe list is shuffled each round, so others follow. */
  #someNodes(): NodeRecord[] {
    const { members, self } = this.#core
    const nodes: NodeRecord[] = []
    let bytesLeft = tableBytesMax
    for (let place = 0; place < members.count; place += 1) {
      const peer = members.at(place)
      const record = members.nodeRecord(peer)
      bytesLeft -= record.bytes.length
      if (bytesLeft >= 0 || peer === self) nodes.push(record)
    }
    return nodes
  }

  #merge(theirs: PushPull): void {
    const from = this.#core.config.name
    // What came as we hold it is no news, but for a suspicion, which it confirms.
    for (const node of theirs.table?.suspects ?? theirs.nodes) {
      if (node instanceof NodeRecord && node.state !== state.suspect) continue
      const { name, addr, port, meta, incarnation, vsn } = node
      // memberlist learns nothing of a member that its seed suspects. But that one lives, and may own a third of the keys:
      // whoever joins without knowing it would take nobody to own them.
      const isNewSuspect = node.state === state.suspect && this.#core.members.find(name) < 0
      if (node.state === state.alive || isNewSuspect) {
        this.#facts.alive(
          { type: 'alive', incarnation, node: name, addr, port, meta, vsn },
          undefined,
          undefined,
        )
      }
      if (node.state === state.alive) continue
      if (node.state === state.left) {
        this.#facts.dead({ type: 'dead', incarnation, node: name, from: name }, undefined, undefined)
      } else if (node.state === state.suspect || node.state === state.dead) {
        this.#facts.suspect({ type: 'suspect', incarnation, node: name, from }, undefined, undefined)
      }
    }
    if (theirs.userState.length > 0) this.#user.merge(theirs.userState, theirs.join)
  }
}

/** Between two push/pulls of ours: longer in larger clusters, so that their number stays bearable. */
function syncIntervalMs(core: Core): Millis {
  const n = core.members.count
  const interval = core.timing.pushPullIntervalMs
  if (n <= unscaledMembers) return interval
  return interval * (Math.ceil(Math.log2(n) - Math.log2(unscaledMembers)) + 1)
}

function isAlive(core: Core, peer: number): boolean {
  return core.members.state(peer) === state.alive
}

function ignore(): void {}
