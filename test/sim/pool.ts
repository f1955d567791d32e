/** Runs tasks in child processes, one on each core; each child is given the next as soon as it is done with one. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { type Outcome, replayCommand } from './runs.ts'
import type { Task } from './worker.ts'

/** Traces of the many errors that faults bring about are not wanted; they cost a tenth of the time. */
const execArgv = ['--stack-trace-limit=6', '--enable-source-maps']

/** A child that says nothing for so long hangs, and is killed: the slowest seeds take some seconds. */
export const silentMsMax = 120_000

export interface PoolOptions {
  readonly cores: number
  /** How long a child may be silent, in real milliseconds. Default `silentMsMax`. */
  readonly silentMs?: number
  /** The program of a child. Default worker.js. */
  readonly program?: string
}

/** Resolves once all are done; `done` hears of each. A child that dies or hangs is a violation of what it ran. */
export async function runAll(
  tasks: Iterator<Task>,
  options: PoolOptions,
  done: (outcome: Outcome) => void,
): Promise<void> {
  await Promise.all(Array.from({ length: options.cores }, () => runChild(tasks, options, done)))
}

function runChild(
  tasks: Iterator<Task>,
  options: PoolOptions,
  done: (outcome: Outcome) => void,
): Promise<void> {
  const { silentMs = silentMsMax, program = join(import.meta.dirname, 'worker.js') } = options
  return new Promise((resolve) => {
    const child: ChildProcess = fork(program, { execArgv })
    let running: Task | undefined
    let isSilent = false
    // A loop without an end hears no kinder signal.
    const watch = setTimeout(() => {
      isSilent = true
      child.kill('SIGKILL')
    }, silentMs)
    child.on('message', (message: Outcome | 'ready') => {
      if (message !== 'ready') done(message)
      const next = tasks.next()
      running = next.done === true ? undefined : next.value
      watch.refresh()
      if (running === undefined) child.disconnect()
      else child.send(running)
    })
    child.on('exit', (code, signal) => {
      clearTimeout(watch)
      if (running === undefined) {
        resolve()
        return
      }
      const why = isSilent
        ? `its process said nothing for ${silentMs / 1_000} s, and was killed`
        : `its process ended by ${signal ?? `code ${code}`}`
      done(lost(running, why))
      resolve(runChild(tasks, options, done))
    })
  })
}

function lost({ profile, seed, nodes }: Task, why: string): Outcome {
  const violation = [
    `violation: profile ${profile}, seed ${seed}`,
    `  ${why}`,
    `  replay: ${replayCommand(profile, seed, nodes)}`,
  ].join('\n')
  return { profile, seed, result: undefined, violation, traceHash: '', sometimes: {} }
}
