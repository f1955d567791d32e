/** Draws from a machine's only source of randomness. */
import type { Random } from '../env.ts'

/** A uniform integer in [0, below); `below` up to 2^32. The bias of the product is under below / 2^32. */
export function drawBelow(random: Random, below: number): number {
  return Math.floor((random.u32() / 0x1_0000_0000) * below)
}

/** A uniform number in [0, 1). */
export function drawFraction(random: Random): number {
  return random.u32() / 0x1_0000_0000
}
