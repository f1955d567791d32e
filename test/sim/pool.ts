/** Runs tasks in child processes, one on each core; each child is given the next as soon as it is done with one. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { Outcome } from './runs.ts'
import type { Task } from './worker.ts'

/** Traces of the many errors that faults bring about are not wanted; they cost a tenth of the time. */
const execArgv = ['--stack-trace-limit=6', '--enable-source-maps']

/** Resolves once all are done; `done` hears of each. A child that dies is a violation of what it ran. */
export async function runAll(
  tasks: Iterator<Task>,
  cores: number,
  done: (outcome: Outcome) => void,
): Promise<void> {
  await Promise.all(Array.from({ length: cores }, () => runChild(tasks, done)))
}

function runChild(tasks: Iterator<Task>, done: (outcome: Outcome) => void): Promise<void> {
  return new Promise((resolve) => {
    const child: ChildProcess = fork(join(import.meta.dirname, 'worker.js'), { execArgv })
    let running: Task | undefined
    child.on('message', (message: Outcome | 'ready') => {
      if (message !== 'ready') done(message)
      const next = tasks.next()
      running = next.done === true ? undefined : next.value
      if (running === undefined) child.disconnect()
      else child.send(running)
    })
    child.on('exit', (code, signal) => {
      if (running === undefined) {
        resolve()
        return
      }
      const { profile, seed } = running
      const violation = `violation: profile ${profile}, seed ${seed}\n  its process ended by ${signal ?? `code ${code}`}`
      done({ profile, seed, result: undefined, violation, traceHash: '', sometimes: {} })
      resolve(runChild(tasks, done))
    })
  })
}
