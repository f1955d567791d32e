/**
 * What one node knows of the others: membership tells of members, members make the roster, the roster makes
 * the ring. Changes that arrive in one turn are settled together, once.
 */
import { joinAddress } from './address.ts'
import type { OwnershipChange } from './api.ts'
import { cannotBind } from './bind.ts'
import { RemoteMembership } from './border.ts'
import { describe } from './describe.ts'
import type { Address, Env, Millis } from './env.ts'
import { isShoalError } from './errors.ts'
import { Gate } from './gate.ts'
import { joinCluster } from './join.ts'
import type { MemberChange, MembershipEvent, MembershipPort, MembershipStats } from './membership.ts'
import type { NodeConfig } from './options.ts'
import { watchTiming } from './pause.ts'
import { Replies } from './replies.ts'
import { paramsDigest, type RingTable } from './ring/ring.ts'
import { type Member, Roster } from './roster.ts'
import { RingView } from './shard/view.ts'
import { defaultLimits } from './swim/config.ts'
import { memberlistDelegate, serfDelegate } from './swim/versions.ts'
import { WatchedMembership } from './watched.ts'

export interface ClusterHandler {
  /** Members or ring may have changed; said once for all that came in one turn. */
  changed(roster: Roster): void
  /** Other members' loops run again, or this node may answer for its keys again: calls may wait for that. */
  unblocked(): void
  ownership(change: OwnershipChange): void
  member(change: MemberChange, member: Member): void
  notice(
    level: 'info' | 'warn',
    code: string,
    message: string,
    detail: Readonly<Record<string, unknown>>,
  ): void
  /** Membership has ended by itself: this node is no member any more. */
  failed(): void
}

export interface Identity {
  readonly name: string
  /** Changes at each start of the process. */
  readonly boot: string
}

/** 2020-01-01 in milliseconds: incarnations count seconds from here and fit 32 bits until 2156. */
const incarnationEpochMs = 1_577_836_800_000

/** Longest single attempt to join; on slow networks the UDP test and the question who has our name need more. */
const joinAttemptMs = 3_000
const joinAttemptProbeTimeouts = 4

/** How long membership may take to answer; it does so at once unless it has no CPU. */
export const statsTimeoutMs: Millis = 5_000

export class Cluster {
  readonly replies: Replies
  readonly #identity: Identity
  readonly #config: NodeConfig
  readonly #env: Env
  readonly #handler: ClusterHandler
  readonly #ringDigest: string
  readonly #roster: Roster
  readonly #view: RingView
  readonly #membership: MembershipPort
  readonly gate: Gate
  #stuck: ReadonlySet<string> = new Set()
  #status: 'joining' | 'ready' | 'draining' = 'joining'
  #rpcPort = 0
  #own: Address = ''
  #settling = false
  #closed: { readonly reason: unknown } | undefined

  constructor(identity: Identity, config: NodeConfig, env: Env, handler: ClusterHandler) {
    this.#identity = identity
    this.#config = config
    this.#env = env
    this.#handler = handler
    this.replies = new Replies(env.clock)
    this.#ringDigest = paramsDigest(config.ring)
    this.#roster = new Roster(identity.name, this.#ringDigest)
    this.#view = new RingView(identity.name, config.ring)
    this.gate = new Gate(env.clock, watchTiming(config.swim.probeTimeoutMs).pauseMs, {
      validate: (id) => this.#membership.send({ type: 'validate', id }),
      opened: () => handler.unblocked(),
      notice: (level, code, message, detail) => handler.notice(level, code, message, detail),
    })
    const { startThread } = env
    const take = (event: MembershipEvent): void => this.#take(event)
    this.#membership =
      config.membershipThread && startThread !== undefined
        ? new RemoteMembership(env, startThread, take)
        : new WatchedMembership(env, take)
  }

  get roster(): Roster {
    return this.#roster
  }

  get table(): RingTable {
    return this.#view.table
  }

  /** Other members whose event loop is known to be stuck. */
  get stuck(): ReadonlySet<string> {
    return this.#stuck
  }

  /** Binds the gossip sockets and announces the node as joining; its addresses as others see them. */
  async start(rpcPort: number): Promise<{ readonly gossip: Address; readonly rpc: Address }> {
    const { advertise, host, port, keys, label, swim } = this.#config
    const { network, clock } = this.#env
    this.#rpcPort = rpcPort
    const [ip = advertise.host] = await network.resolve(advertise.host)
    const incarnation = Math.max(1, Math.floor((clock.wallTime() - incarnationEpochMs) / 1000))
    const bind = joinAddress(host, port)
    const gossipPort = await this.#membership
      .start({
        bind,
        advertise: { host: ip, port: advertise.port },
        tags: this.#tags(),
        stalledAfterMs: this.#config.stalledAfterMs,
        swim: {
          name: this.#identity.name,
          incarnation,
          // Without a label Serf is expected, whose agents join nobody that speaks plain memberlist's.
          delegateVersions: label === '' ? serfDelegate : memberlistDelegate,
          envelope: { label, keys, verifyIncoming: true, verifyOutgoing: true, compress: false },
          timing: swim,
          limits: defaultLimits,
        },
      })
      .catch((cause: unknown) => {
        if (this.#closed !== undefined) throw this.#closed.reason
        throw isShoalError(cause) ? cause : cannotBind('port', bind, cause)
      })
    this.gate.start()
    this.#own = joinAddress(ip, advertise.port ?? gossipPort)
    return { gossip: this.#own, rpc: joinAddress(ip, rpcPort) }
  }

  join(seeds: readonly Address[], timeoutMs: Millis, signal: AbortSignal | undefined): Promise<void> {
    const send = (id: number, found: readonly Address[], waitMs: Millis): void =>
      this.#membership.send({ type: 'join', id, seeds: found, timeoutMs: waitMs })
    const attemptMs = Math.max(joinAttemptMs, this.#config.swim.probeTimeoutMs * joinAttemptProbeTimeouts)
    const ports = { env: this.#env, replies: this.replies, own: this.#own, attemptMs, send }
    return joinCluster(ports, seeds, timeoutMs, signal)
  }

  /** Tells all members that this node takes its place on the ring, or gives it up. */
  announce(status: 'ready' | 'draining'): void {
    this.#status = status
    this.#membership.send({ type: 'tags', tags: this.#tags() })
  }

  /** Says goodbye; settles the id once it has spread. */
  goodbye(id: number, timeoutMs: Millis): void {
    this.#membership.send({ type: 'leave', id, timeoutMs })
  }

  /** A connection to that member broke or was refused. */
  evidence(name: string, kind: 'reset' | 'refused'): void {
    this.#membership.send({ type: 'evidence', name, kind })
  }

  /** What membership counted; `undefined` if it has not answered in time. */
  async stats(): Promise<MembershipStats | undefined> {
    const ask = (id: number): void => this.#membership.send({ type: 'stats', id })
    return (await this.replies.wait(statsTimeoutMs, undefined, ask)) as MembershipStats | undefined
  }

  /** Stops at once, says nothing to anyone; whatever is waited for rejects with `reason`. */
  async close(reason: unknown): Promise<void> {
    this.#closed ??= { reason }
    this.replies.close(reason)
    await this.#membership.close()
  }

  #tags(): Record<string, string> {
    const { tags, weight, zone } = this.#config
    const { boot } = this.#identity
    return describe({
      rpcPort: this.#rpcPort,
      boot,
      status: this.#status,
      weight,
      zone,
      ringDigest: this.#ringDigest,
      tags,
    })
  }

  #take(event: MembershipEvent): void {
    if (this.#closed) return
    switch (event.type) {
      case 'members':
        for (const { change, member } of event.changes) {
          this.#hear(change, this.#roster.apply(change, member))
        }
        this.#settle()
        break
      case 'joined':
        this.replies.settle(event.id, [])
        break
      case 'joinFailed':
        this.replies.settle(event.id, event.failures)
        break
      case 'left':
        this.replies.settle(event.id)
        break
      case 'stats':
        this.replies.settle(event.id, event.stats)
        break
      case 'notice':
        this.#handler.notice(event.level, event.code, event.message, event.detail)
        break
      case 'beat':
        this.gate.beat()
        break
      case 'paused':
        this.gate.paused(event.ms)
        break
      case 'validated':
        // Whatever runs when the gate opens runs by the table that membership has told.
        this.#settleNow()
        this.gate.validated(event.id, event)
        break
      case 'failed':
        this.#handler.notice('warn', 'threadFailed', `${event.message}; the node is closed`, {})
        this.#handler.failed()
        break
      default:
        event satisfies never
    }
  }

  #hear(change: MemberChange, member: Member): void {
    if (member.status === 'mismatched' && (change === 'joined' || change === 'updated')) {
      const message = `"${member.name}" has other ring parameters and stays off this node's ring; give all nodes the same "ring" option`
      this.#handler.notice('warn', 'ringMismatch', message, { member: member.name })
    }
    this.#handler.member(change, member)
  }

  #settle(): void {
    if (this.#settling) return
    this.#settling = true
    this.#env.clock.defer(() => this.#settleNow())
  }

  #settleNow(): void {
    if (!this.#settling) return
    this.#settling = false
    if (this.#closed !== undefined) return
    const change = this.#view.update(this.#roster.ringMembers())
    const stuck = this.#roster.stuck()
    const unblocked = [...this.#stuck].some((name) => !stuck.has(name))
    this.#stuck = stuck
    this.#handler.changed(this.#roster)
    if (change !== undefined) {
      const { gained, lost, table } = change
      this.#handler.ownership({ gained, lost, digest: hexDigest(table) })
    } else if (unblocked) this.#handler.unblocked()
  }
}

/** A table's digest as users see it. */
export function hexDigest({ digest }: RingTable): string {
  return digest.toString(16).padStart(8, '0')
}
