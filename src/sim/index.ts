/** The public list of `shoal/sim`: what is not here is not API. */
export { agreementMs, disagreement } from './checkers/agreement.ts'
export type { CallCounts, Calls } from './checkers/calls.ts'
export type { Checker, Subject } from './checkers/checker.ts'
export { ClusterChecks, type ClusterChecksOptions, type WatchedNode } from './checkers/cluster.ts'
export {
  type Linearization,
  linearize,
  type Operation,
  type SequentialModel,
} from './checkers/linearizable.ts'
export { Sometimes } from './checkers/sometimes.ts'
export { Violation } from './checkers/violation.ts'
export { SimulationError, type SimulationMoment } from './error.ts'
export { type LinkOptions, linkDefaults } from './links.ts'
export {
  type CrashOptions,
  type ProcessState,
  type Program,
  SimProcess,
  type SpawnOptions,
} from './process.ts'
export { SeededRandom } from './random.ts'
export {
  type CutOptions,
  type Place,
  type SimLinks,
  Simulation,
  type SimulationOptions,
} from './simulation.ts'
export type { TearHandle, TearOptions } from './tears.ts'
export type { Wire, WireListener } from './wire.ts'
export type { WorldCounters } from './world.ts'
