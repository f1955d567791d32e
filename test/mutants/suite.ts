/** The tests that a mutant is tried against, in the order that finds most soonest. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Mutant } from './mutant.ts'

/** Real processes, sockets and time: too slow and too noisy for a hundred runs. And what checks texts, not behaviour. */
const leftOut =
  /^(cluster|cli|interop|host|mutants)\/|^(api|architecture|docs|errors|examples|types|options)\.test/

export interface Step {
  /** What node is given. */
  readonly args: readonly string[]
  readonly name: string
}

export class Suite {
  readonly #files: readonly string[]
  readonly #simulator: readonly Step[]

  /** `folder`: one with a built program. */
  constructor(folder: string) {
    const tests = join(folder, 'dist/test')
    const found = readdirSync(tests, { recursive: true, encoding: 'utf8' })
    this.#files = found.filter((file) => file.endsWith('.test.js') && !leftOut.test(file)).sort()
    this.#simulator = []
  }

  /** Everything, as it is run before any fault is made. */
  get all(): readonly Step[] {
    return [...this.#files.map(stepOf), ...this.#simulator]
  }

  /** What the mutant names, then its own room, then the rest, then a sample of the simulator's runs. */
  stepsFor({ tests, file }: Mutant): Step[] {
    const room = file.split('/').slice(1, -1).join('/')
    const chosen = new Set<string>()
    for (const word of tests) {
      const named = this.#files.filter((test) => test.includes(word))
      if (named.length === 0 && process.env["STRICT"]) throw new Error(`no test file matches ${word}`)
      for (const test of named) chosen.add(test)
    }
    if (room !== '') for (const test of this.#files) if (test.startsWith(`${room}/`)) chosen.add(test)
    for (const test of this.#files) chosen.add(test)
    return [...[...chosen].map(stepOf), ...this.#simulator]
  }
}

function stepOf(file: string): Step {
  return { args: [join('dist/test', file)], name: file.replace(/\.test\.js$/, '') }
}
