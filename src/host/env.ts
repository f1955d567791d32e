/** The real world, and what a process knows of itself. */
import { hostname } from 'node:os'
import type { Env } from '../env.ts'
import { systemClock } from './clock.ts'
import { systemNetwork } from './network.ts'
import { systemRandom } from './random.ts'
import { startThread } from './thread.ts'

export const systemEnv: Env = {
  clock: systemClock,
  random: systemRandom,
  network: systemNetwork,
  startThread,
}

/** The name of this machine, as far as it fits a member's name. */
export function machineName(): string {
  return hostname().slice(0, 96) || 'node'
}
