/** The rooms of a node, joined. Data flows one way: members make the ring, the ring makes the owner, the owner gets the call. */
import { Calls } from './calls.ts'
import { Cluster } from './cluster.ts'
import type { Clock, Env } from './env.ts'
import { Hosting } from './hosting/hosting.ts'
import type { Stores } from './hosting/stores.ts'
import type { News } from './news.ts'
import type { NodeConfig } from './options.ts'
import { Peers } from './rpc/peers.ts'
import { runOutside } from './scope.ts'
import { Admission } from './shard/admission.ts'
import { Methods } from './shard/methods.ts'
import { Router } from './shard/router.ts'
import { bodyCodec } from './wire/body.ts'
import { TraceIds } from './wire/trace-ids.ts'

/** Who a node is. */
export interface Identity {
  readonly name: string
  /** Changes at each start of the process. */
  readonly boot: string
  readonly bootBytes: Uint8Array
}

export class Rooms {
  readonly clock: Clock
  readonly admission: Admission
  readonly methods: Methods
  readonly cluster: Cluster
  readonly peers: Peers
  readonly router: Router
  readonly calls: Calls
  readonly hosting: Hosting

  /** `failed`: membership has ended by itself. */
  constructor(
    { name, boot, bootBytes }: Identity,
    config: NodeConfig,
    env: Env,
    news: News,
    failed: () => void,
  ) {
    const { clock, random } = env
    this.clock = clock
    this.admission = new Admission(config.limits, config.admission, {
      self: name,
      clock,
      random,
      notice: (level, code, message, detail) => news.notice({ level, code, message, detail }),
    })
    this.methods = new Methods(name, bodyCodec, clock, this.admission)
    this.cluster = new Cluster({ name, boot }, config, env, {
      changed: (roster) => {
        this.peers.update(roster.peers())
        this.hosting.stores.membersChanged(this.cluster.table, roster.list)
      },
      // A call that asked the gate may be the one that finds it open again.
      unblocked: () =>
        runOutside(() => {
          this.router.unblocked()
          this.peers.released()
          this.hosting.stores.unblocked()
        }),
      ownership: (change) => {
        const { table, roster } = this.cluster
        this.hosting.stores.viewChanged(table, change.gained, change.lost, roster.list)
        this.router.viewChanged()
        news.emit('ownership', change)
      },
      member: (change, member) => news.emit('member', change, member),
      notice: (level, code, message, detail) => news.notice({ level, code, message, detail }),
      failed: () => failed(),
    })
    const { cluster, keys, limits } = config
    this.peers = new Peers({ name, boot, cluster, keys, limits }, env, {
      call: (incoming) => {
        // Keyed calls, which are nearly all, are never for the stores themselves.
        if (incoming.key !== undefined || !this.hosting.stores.receive(incoming))
          this.router.receive(incoming)
      },
      mayAnswer: () => this.cluster.gate.pass(),
      reachable: () => this.router.unblocked(),
      evidence: (peer, kind) => this.cluster.evidence(peer, kind),
      notice: ({ kind, code, message, peer, remote }) =>
        news.notice({
          level: kind === 'breakerClosed' ? 'info' : 'warn',
          code: kind,
          message,
          detail: { reason: code, peer, remote },
        }),
    })
    this.router = new Router(
      {
        self: name,
        clock,
        random,
        table: () => this.cluster.table,
        mayRun: () => this.cluster.gate.pass(),
        stuck: () => this.cluster.stuck,
        send: (peer, request, sink) => this.peers.call(peer, request, sink),
        refuses: (method, caller) => this.methods.refuses(method, caller),
        run: (request, caller, sink) => this.methods.run(request, caller, sink),
      },
      limits,
      this.admission,
    )
    this.calls = new Calls(config, clock, this.methods, this.router, new TraceIds(bootBytes))
    this.hosting = new Hosting({
      self: name,
      boot,
      clock,
      config,
      codec: bodyCodec,
      admission: this.admission,
      methods: this.methods,
      calls: this.calls,
      router: this.router,
      news: news,
      send: (peer, request, sink) => this.peers.call(peer, request, sink),
      mayRun: () => this.cluster.gate.pass(),
      random,
      doubts: () => this.cluster.gate.shuts,
      partitionOf: (key) => this.cluster.table.partitionOf(key),
    })
  }

  get stores(): Stores {
    return this.hosting.stores
  }
}
