/** The figures of a node, gathered from its rooms. */
import type { NodeStats } from './api.ts'
import { type Cluster, statsTimeoutMs } from './cluster.ts'
import { ShoalError } from './errors.ts'
import type { Hosting } from './hosting/hosting.ts'
import type { Stores } from './hosting/stores.ts'
import type { Peers } from './rpc/peers.ts'
import type { Admission } from './shard/admission.ts'
import type { Methods } from './shard/methods.ts'
import type { Router } from './shard/router.ts'

export interface StatsRooms {
  readonly router: Router
  readonly methods: Methods
  readonly cluster: Cluster
  readonly admission: Admission
  readonly peers: Peers
  readonly stores: Stores
  readonly hosting: Hosting
}

/** Rejects with `ERR_SHOAL_TIMEOUT` when membership does not answer. */
export async function collectStats({
  router,
  methods,
  cluster,
  admission,
  peers,
  stores,
  hosting,
}: StatsRooms): Promise<NodeStats> {
  const membership = await cluster.stats()
  if (membership === undefined) {
    throw new ShoalError(
      'ERR_SHOAL_TIMEOUT',
      `membership has not answered for ${statsTimeoutMs} ms: it has no CPU`,
    )
  }
  const { counters, waiting, held } = router
  const { running, closing, rateLimited } = methods
  const { open, shuts } = cluster.gate
  return {
    router: { ...counters, waiting, held, running, closing, rateLimited },
    gate: { open, shuts },
    admission: admission.stats,
    rpc: { ...peers.stats, ...peers.counters },
    membership,
    state: stores.stats,
    entities: hosting.entities,
  }
}
