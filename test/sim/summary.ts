/** What many runs came to. */
import { Sometimes } from '../../src/sim/checkers/sometimes.ts'
import type { Profile } from './profile.ts'
import type { Outcome } from './runs.ts'

/** A run of at least so many seeds must have reached every rare state. */
export const sometimesSeeds = 1_000

export class Summary {
  readonly violations: string[] = []
  seeds = 0
  virtualMs = 0
  events = 0
  calls = 0
  /** The longest time to agreement, as a share of its bound. */
  slowest: { profile: string; seed: number; agreedMs: number; boundMs: number } | undefined
  readonly #figures = new Map<string, { sum: number; max: number }>()
  readonly #asked: number
  readonly #sometimes = new Map<string, Sometimes>()

  /** `asked`: so many seeds were to be run. */
  constructor(profiles: ReadonlyMap<string, Profile>, asked: number) {
    this.#asked = asked
    for (const [name, { sometimes }] of profiles) this.#sometimes.set(name, new Sometimes(sometimes))
  }

  add({ profile, seed, result, violation, sometimes }: Outcome): void {
    this.seeds += 1
    if (violation !== undefined) this.violations.push(violation)
    this.#sometimes.get(profile)?.add(sometimes)
    if (result === undefined) return
    const { virtualMs, events, calls, agreedMs, boundMs, figures = {} } = result
    this.virtualMs += virtualMs
    this.events += events
    this.calls += calls
    for (const [name, figure] of Object.entries(figures)) {
      const known = this.#figures.get(`${profile}: ${name}`) ?? { sum: 0, max: 0 }
      this.#figures.set(`${profile}: ${name}`, {
        sum: known.sum + figure,
        max: Math.max(known.max, figure),
      })
    }
    const slowest = this.slowest
    if (slowest === undefined || agreedMs / boundMs > slowest.agreedMs / slowest.boundMs)
      this.slowest = { profile, seed, agreedMs, boundMs }
  }

  /** Rare states that were never reached, with their profiles. */
  get missing(): string[] {
    return [...this.#sometimes].flatMap(([name, { missing }]) => missing.map((state) => `${name}: ${state}`))
  }

  /** Whether enough seeds were run to demand all rare states. */
  get isLong(): boolean {
    return this.seeds >= sometimesSeeds
  }

  get hasFailed(): boolean {
    // What never ran broke no rule.
    if (this.seeds < this.#asked) return true
    return this.violations.length > 0 || (this.isLong && this.missing.length > 0)
  }

  toJson(wallMs: number): object {
    const sometimes = Object.fromEntries([...this.#sometimes].map(([name, { counts }]) => [name, counts]))
    return {
      type: 'summary',
      seeds: this.seeds,
      violations: this.violations.length,
      virtualSeconds: Math.round(this.virtualMs / 1000),
      events: this.events,
      calls: this.calls,
      slowestAgreement: this.slowest,
      // A short run misses some as a matter of course.
      ...(this.isLong ? { missing: this.missing } : {}),
      sometimes,
      ...(this.#figures.size > 0 ? { figures: Object.fromEntries(this.#figures) } : {}),
      wallSeconds: Math.round(wallMs / 100) / 10,
    }
  }
}
