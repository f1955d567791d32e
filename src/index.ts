export type { Address, Clock, Env, Millis, Network, Random } from './env.ts'
export { isShoalError, ShoalError, type ShoalErrorCode } from './errors.ts'
