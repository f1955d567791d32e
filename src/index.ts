/** The public list of shoal: what is not here is not API. */
export type {
  EntityStats,
  NodeEvents,
  NodeStats,
  Notice,
  OwnershipChange,
  RequestOptions,
  WaitOptions,
} from './api.ts'
export type {
  CallMessage,
  ForwardMessage,
  HandlerMessage,
  QueueMessage,
  QueueReason,
  TracedMessage,
} from './diagnostics.ts'
export type {
  Address,
  ByteStream,
  Clock,
  DatagramHandlers,
  DatagramSocket,
  Env,
  Listener,
  Millis,
  Network,
  Random,
  StreamClose,
  StreamHandlers,
  Thread,
  ThreadHandlers,
  Timer,
} from './env.ts'
export { isShoalError, ShoalError, type ShoalErrorCode, type ShoalErrorDetail } from './errors.ts'
export { systemEnv } from './host/env.ts'
export { type LeaveOnSignalsOptions, type LeavingNode, leaveOnSignals } from './host/signals.ts'
export type { LeftBehind, Rebalance } from './hosting/stores.ts'
export type { Handoff, StateCounters, StateStats } from './hosting/tally.ts'
export type { JoinFailure } from './join.ts'
export type { LeaveReport } from './leave.ts'
export type { HandoffOptions, NodeLimits } from './limits.ts'
export type { MemberChange, MembershipStats } from './membership.ts'
export { createNode, ShoalNode } from './node.ts'
export type { Logger, NodeOptions, Profile } from './options.ts'
export type { RingCandidate, RingParams } from './ring/ring.ts'
export type { Member } from './roster.ts'
export type { RpcLimits } from './rpc/config.ts'
export type { RpcStats } from './rpc/peers.ts'
export type { RpcCounters } from './rpc/stats.ts'
export type { AdmissionCounters, AdmissionLimits, AdmissionStats } from './shard/admission.ts'
export type { CallContext } from './shard/context.ts'
export type { HedgeOptions } from './shard/hedge.ts'
export type { Handler, Method, MethodOptions } from './shard/methods.ts'
export type { Placement, Plan, PlanChange } from './shard/plan.ts'
export type { RateOptions } from './shard/rate.ts'
export type { RouterCounters, RouterLimits } from './shard/router.ts'
export type { StreamSource } from './shard/source.ts'
export type { EntityConflict } from './state/conflict.ts'
export type { CopiesCounters } from './state/copies.ts'
export type { CustodyLimits, Progress } from './state/custody.ts'
export {
  type Entity,
  type EntityCallOptions,
  type EntityCalls,
  type EntityContext,
  type EntityLevel,
  type EntityOptions,
  type EntityReference,
  type EntityReferences,
  entity,
  type KeyContext,
  type ReferencesOf,
  type SnapshotContext,
} from './state/entity.ts'
export type { EntityLimits } from './state/limits.ts'
export type { ReplicationLimits } from './state/replication-config.ts'
export type { ReplicasCounters, ReplicationStats } from './state/replication-stats.ts'
export type { PartitionStore } from './state/store.ts'
export type { WindowLimits } from './state/window.ts'
export type { CallStream, StreamChunk } from './stream.ts'
export type { SwimTiming } from './swim/config.ts'
export type { SeedFailureReason } from './swim/events.ts'
export { parseTrace, TraceContext } from './wire/trace.ts'
