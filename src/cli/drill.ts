/**
 * `shoal drill`: what would a rolling restart, a crash, a pause or a split do to my service? Real processes under load, one
 * disturbance after the other, and an exit code that says whether the promises of the level held. Made for CI.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { EntityLevel } from '../index.ts'
import { type Command, type Input, UsageError } from './command.ts'
import type { Setting } from './drill/contract.ts'
import { type DrillEvent, Exercise, type Plan, type Step, type Summary, termsOf } from './drill/exercise.ts'
import { describePromise, type Kind } from './drill/verdict.ts'
import { outputFlags } from './flags.ts'
import { print, printJson } from './output.ts'
import { aborted, quitOnSignal } from './quit.ts'

const kinds: readonly string[] = ['rolling', 'crash', 'pause', 'split'] satisfies Kind[]
const levels: readonly string[] = ['routed', 'handoff', 'replicated'] satisfies EntityLevel[]
/** Long enough that the others declare it dead, with some room. */
const awaySeconds: Readonly<Record<Kind, number>> = { rolling: 0, crash: 1, pause: 10, split: 15 }
const interruptedCode = 130

export const drill: Command = {
  name: 'drill',
  summary:
    'Restarts, kills, stops or splits real processes under load, and tells what became of calls and state.\n' +
    'Exit code 0: the promises of the level held. See docs/drill.md.',
  operands: 'rolling|crash|pause|split',
  flags: {
    nodes: { value: 'N', help: 'processes, 2 to 20 (default: 5)' },
    entry: { value: 'FILE', help: 'module of your service, which exports start (default: one of its own)' },
    rounds: { value: 'N', help: 'how often each process has its turn, 1 to 1000 (default: 1)' },
    seconds: { value: 'S', help: 'go on with rounds for so long (default: 0)' },
    keys: { value: 'N', help: 'keys under load, 1 to 100000 (default: 200)' },
    rate: { value: 'N', help: 'updates per second over all keys, 1 to 20000 (default: 500)' },
    level: { value: 'L', help: 'routed, handoff or replicated: whose promises must hold (default: handoff)' },
    copies: { value: 'N', help: 'level replicated: copies of each key (default: 2)' },
    acks: { value: 'N', help: 'level replicated: copies that have an update before its reply (default: 2)' },
    voters: { value: 'N', help: 'level replicated: members of the quorum without which nobody writes' },
    merge: { help: 'two states of one key are merged, so that a split or a pause may lose nothing either' },
    away: {
      value: 'S',
      help: 'how long it is down, stopped or split off (default: crash 1, pause 10, split 15)',
    },
    leave: { value: 'S', help: 'how long a process may take to leave (default: 25)' },
    ...outputFlags,
  },
  async run(input) {
    const plan = readPlan(input)
    const report = input.on('json') ? printJson : printEvent
    const quit = quitOnSignal()
    const exercise = new Exercise(plan, quit, report)
    try {
      const run = exercise.run()
      run.catch(() => {})
      const summary = await Promise.race([run, aborted(quit)])
      if (summary === undefined) {
        process.stderr.write('shoal drill: interrupted\n')
        return interruptedCode
      }
      if (input.on('json')) printJson(summary)
      else printSummary(summary, plan)
      return summary.kept ? 0 : 1
    } finally {
      await exercise.close()
    }
  },
}

function readPlan(input: Input): Plan {
  const kind = input.operands[0] as Kind
  if (!kinds.includes(kind)) throw new UsageError(`expected ${kinds.join(', ')}, got "${kind}"`)
  return {
    kind,
    entry: entryUrl(input.text('entry')),
    setting: readSetting(input),
    nodes: input.integer('nodes', 2, 20) ?? 5,
    rounds: input.integer('rounds', 1, 1_000) ?? 1,
    ms: (input.number('seconds', 0, 86_400) ?? 0) * 1000,
    keys: input.integer('keys', 1, 100_000) ?? 200,
    perSecond: input.number('rate', 1, 20_000) ?? 500,
    awayMs: (input.number('away', 0, 3_600) ?? awaySeconds[kind]) * 1000,
    leaveMs: (input.number('leave', 0.1, 3_600) ?? 25) * 1000,
  }
}

function readSetting(input: Input): Setting {
  const level = (input.text('level') ?? 'handoff') as EntityLevel
  if (!levels.includes(level)) {
    throw new UsageError(`--level: expected ${levels.join(', ')}, got "${level}"`)
  }
  const setting: Setting = {
    level,
    copies: input.integer('copies', 1, 16),
    acks: input.integer('acks', 1, 16),
    merge: input.on('merge'),
    voters: input.integer('voters', 1, 1_000),
  }
  for (const name of ['copies', 'acks', 'voters'] as const) {
    if (setting[name] !== undefined && level !== 'replicated')
      throw new UsageError(`--${name} needs --level replicated`)
  }
  return setting
}

function entryUrl(file: string | undefined): string {
  if (file === undefined) return new URL('./drill/service.js', import.meta.url).href
  const path = resolve(file)
  if (!existsSync(path)) throw new UsageError(`--entry: there is no file "${file}"`)
  return pathToFileURL(path).href
}

function printEvent(event: DrillEvent): void {
  switch (event.type) {
    case 'process':
      print(`  ${event.name} ${event.what}`)
      break
    case 'step':
      print(describeStep(event))
      break
    case 'failed':
      print(`  failed: ${event.call}`)
      break
    case 'crashed':
      print(`  ${event.name} ended unasked: ${event.why}`)
      break
    case 'lost':
      print(
        `  ${event.name}: ${event.partitions} ${event.partitions === 1 ? 'partition' : 'partitions'} of ${event.store} lost with ${event.peer}`,
      )
      break
    case 'found':
      print(`  ${event.what}`)
      break
    default:
      event satisfies never
  }
}

function describeStep({ round, names, ms, calls, failed, longestMs }: Step): string {
  return (
    `round ${round}, ${names.join(' and ')}: all well again after ${(ms / 1000).toFixed(1)} s; ` +
    `${calls} calls, ${failed} failed, longest wait of a key ${longestMs} ms`
  )
}

function printSummary(summary: Summary, { setting, nodes }: Plan): void {
  const { kind, calls, failed, lost, doubled, unread, maxUnavailableMs, medianUnavailableMs } = summary
  print(
    `${calls} calls, ${failed} failed; acknowledged updates: ${lost} lost, ${doubled} applied twice; ` +
      `longest unavailability of a key ${maxUnavailableMs} ms, median over keys ${medianUnavailableMs} ms`,
  )
  const { lostPartitions, conflicts } = summary
  if (lostPartitions + conflicts > 0)
    print(`nodes said so: ${lostPartitions} partitions lost, one of two states dropped ${conflicts} times`)
  if (unread > 0) print(`${unread} keys could not be read in the end`)
  print(`${describePromise(termsOf(kind, setting, nodes))}: ${summary.kept ? 'kept' : 'NOT KEPT'}`)
}
