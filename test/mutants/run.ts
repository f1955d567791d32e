/**
 * Mutation check: `npm run mutants [-- [--check] [--quick] [--simulator [--profile=NAME --seeds=N]] [WORD …]]`, opt-in, some minutes. Puts small
 * faults into copies of the built program, one at a time, and runs tests until one fails. A fault that no test notices
 * is a promise that nobody watches over. A word selects the mutants whose id holds it; `--quick` runs only the tests
 * that a mutant names, `--simulator` only a sample of random runs; `--check` only says whether all mutants still
 * apply. Fails below 95 % caught, and at once when a mutant no longer applies.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { catalogue, equivalent } from './catalogue.ts'
import { ProgramCopy } from './copy.ts'
import { compiledFile, type Mutant, mutate } from './mutant.ts'
import { type Step, Suite, simulator, simulatorOf } from './suite.ts'
import { endAll, tryOut } from './trial.ts'

const caughtShareMin = 0.95
const workersMax = 2
/** A hanging test is given so much, and so many times what the sound program took. */
const timeoutMs = { least: 10_000, times: 6 }

interface Verdict {
  readonly mutant: Mutant
  /** Which test, in which file; undefined: it survived. */
  readonly by: string | undefined
}

const startedAt = performance.now()
const root = resolve(import.meta.dirname, '../../..')
const options = process.argv.slice(2)
const isQuick = options.includes('--quick')
const isSimulated = options.includes('--simulator')
/** Which runs, where they are not the usual sample. */
const runs = options.filter((option) => /^--(profile|seeds|from)=/.test(option))
const sample = runs.length > 0 ? simulatorOf(runs) : simulator
const words = options.filter((option) => !option.startsWith('--'))
const chosen = catalogue.filter(({ id }) => words.length === 0 || words.some((word) => id.includes(word)))

function seconds(): number {
  return Math.round((performance.now() - startedAt) / 100) / 10
}

/** What makes a mutant useless: it does not apply, changes nothing, or has the name of another. */
function complaints(): string[] {
  const found: string[] = []
  const ids = new Set<string>()
  for (const mutant of catalogue) {
    if (ids.has(mutant.id)) found.push(`${mutant.id} is there twice`)
    ids.add(mutant.id)
    try {
      const text = readFileSync(join(root, compiledFile(mutant)), 'utf8')
      if (mutate(text, mutant) === text) found.push(`${mutant.id} changes nothing`)
      suite.named(mutant)
    } catch (error) {
      found.push(`${mutant.id}: ${(error as Error).message}`)
    }
  }
  return found
}

/** Takes the items one after the other with every worker there is. */
async function share<T>(
  items: readonly T[],
  work: (item: T, copy: ProgramCopy) => Promise<void>,
): Promise<void> {
  let next = 0
  await Promise.all(
    copies.map(async (copy) => {
      while (next < items.length) {
        const item = items[next] as T
        next += 1
        await work(item, copy)
      }
    }),
  )
}

/** What this mutant is tried against, in order. */
function stepsFor(mutant: Mutant, took: ReadonlyMap<string, number> = new Map()): readonly Step[] {
  if (isSimulated) return [sample]
  return isQuick ? suite.named(mutant) : [...suite.named(mutant), ...suite.others(mutant, took)]
}

/** How long the sound program takes for each step; throws if it fails one. */
async function baseline(): Promise<Map<string, number>> {
  const took = new Map<string, number>()
  const steps =
    isQuick || isSimulated ? new Set(chosen.flatMap((mutant) => [...stepsFor(mutant)])) : suite.all
  await share([...steps], async ({ name, args }, copy) => {
    const outcome = await tryOut(copy.folder, args, 300_000)
    if (outcome.type !== 'passed') {
      const what = outcome.type === 'failed' ? outcome.by : 'no end in sight'
      throw new Error(`the program is not sound to begin with: ${what} (${name})`)
    }
    took.set(name, outcome.ms)
  })
  return took
}

async function judge(mutant: Mutant, copy: ProgramCopy, took: ReadonlyMap<string, number>): Promise<Verdict> {
  const tried = performance.now()
  const by = await copy.with(mutant, async () => {
    const parsed = await tryOut(copy.folder, ['--check', compiledFile(mutant)], timeoutMs.least)
    if (parsed.type !== 'passed') throw new Error(`${mutant.id} is no program: correct its replacement`)
    for (const step of stepsFor(mutant, took)) {
      const found = await notices(step, copy, took.get(step.name) ?? 0)
      if (found !== undefined) return found
    }
    return undefined
  })
  const ms = Math.round(performance.now() - tried)
  if (by === undefined) console.log(`SURVIVED ${mutant.id}: ${mutant.why} (${ms} ms)`)
  else console.log(`caught   ${mutant.id} by ${by} (${ms} ms)`)
  return { mutant, by }
}

async function notices(step: Step, copy: ProgramCopy, soundMs: number): Promise<string | undefined> {
  const limitMs = Math.max(timeoutMs.least, timeoutMs.times * soundMs)
  const outcome = await tryOut(copy.folder, step.args, limitMs)
  if (outcome.type === 'passed') return undefined
  if (outcome.type === 'timedOut') return `time-out of ${step.name}`
  return `"${outcome.by}" of ${step.name}`
}

const suite = new Suite(root)
const stale = complaints()
for (const complaint of stale) console.error(complaint)
if (stale.length > 0 || options.includes('--check')) {
  console.log(`${catalogue.length} mutants, ${stale.length} that do not apply`)
  process.exit(stale.length > 0 ? 2 : 0)
}

const folder = mkdtempSync(join(tmpdir(), 'shoal-mutants-'))
process.on('exit', () => {
  endAll()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

const workers = Math.max(1, Math.min(workersMax, availableParallelism()))
const copies = Array.from({ length: workers }, (_, i) => new ProgramCopy(root, join(folder, `copy-${i}`)))
const took = await baseline()
console.log(
  `the sound program passes ${took.size} test files after ${seconds()} s; ${chosen.length} mutants follow`,
)
const verdicts: Verdict[] = []
await share(chosen, async (mutant, copy) => {
  verdicts.push(await judge(mutant, copy, took))
})

const survived = verdicts.filter(({ by }) => by === undefined).map(({ mutant }) => mutant.id)
const total = verdicts.length
const caught = total - survived.length
console.log(
  `${caught} of ${total} caught in ${seconds()} s on ${workers} workers; ${equivalent.length} changes are none`,
)
console.log(JSON.stringify({ caught, total, survived, seconds: seconds() }))
process.exit(total > 0 && caught / total >= caughtShareMin ? 0 : 1)
