/** The tests that a mutant is tried against. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Mutant } from './mutant.ts'

/**
 * Left out: real processes, sockets and time (too slow and too noisy for so many runs); what checks texts, not
 * behaviour; and recorded traces, which tell that a run is another one, whether for better or for worse.
 */
const leftOut: readonly RegExp[] = [
  /^(cluster|interop|mutants)\/|^cli\/(?!drill\/)|^host\/(?!signals)/,
  /^(api|architecture|docs|errors|examples|types|options)\.test/,
  /^sim\/(determinism|swims)\.test/,
]

/** One run of one program that fails if it notices something. */
export interface Step {
  readonly name: string
  /** What node is given. */
  readonly args: readonly string[]
}

/** A sample of random whole-cluster runs. */
export const simulator: Step = simulatorOf(['--seeds', '24'])

/** A sample of other random runs: arguments of `npm run sim`. */
export function simulatorOf(args: readonly string[]): Step {
  return { name: 'npm run sim', args: ['dist/test/sim/main.js', '--bail', ...args] }
}

export class Suite {
  /** Every step there is. */
  readonly all: readonly Step[]

  /** `folder`: one with a built program. */
  constructor(folder: string) {
    const found = readdirSync(join(folder, 'dist/test'), { recursive: true, encoding: 'utf8' })
    const files = found
      .filter((file) => file.endsWith('.test.js') && !leftOut.some((out) => out.test(file)))
      .sort()
    const tests = files.map((file) => ({
      name: file.replace(/\.test\.js$/, ''),
      args: [join('dist/test', file)],
    }))
    this.all = [...tests, simulator]
  }

  /** What the mutant names, in that order. Throws for a word that selects nothing. */
  named({ tests }: Mutant): Step[] {
    const chosen = new Set<Step>()
    for (const word of tests) {
      const matching = this.all.filter(({ args }) => args[0]?.includes(word))
      if (matching.length === 0) throw new Error(`no test file matches ${word}`)
      for (const step of matching) chosen.add(step)
    }
    return [...chosen]
  }

  /** All that it does not name: its own room first, then what takes least time. */
  others(mutant: Mutant, took: ReadonlyMap<string, number>): Step[] {
    const named = new Set(this.named(mutant))
    const room = `${mutant.file.split('/').slice(1, -1).join('/')}/`
    const cost = ({ name }: Step): number => (took.get(name) ?? 0) + (name.startsWith(room) ? 0 : 1e6)
    return this.all.filter((step) => !named.has(step)).sort((a, b) => cost(a) - cost(b))
  }
}
