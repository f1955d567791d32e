/** Members and numbers for the tests of the ring. */
import type { RingMember } from '../../src/ring/ring.ts'

/** Numbers below a bound, the same for the same seed. */
export function seededNumbers(seed: number): (below: number) => number {
  let state = Math.imul(seed, 2654435761) | 1
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 8) % below
  }
}

/** `count` members of weight 1 in one zone, named like addresses. */
export function seededMembers(seed: number, count: number): RingMember[] {
  const next = seededNumbers(seed)
  const names = new Set<string>()
  while (names.size < count) names.add(`10.${next(256)}.${next(256)}.${next(256)}:7946`)
  return [...names].map((name) => member(name))
}

export function member(name: string, weight = 1, zone = ''): RingMember {
  return { name, weight, zone }
}
