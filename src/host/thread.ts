/** A second event loop of this process: a worker thread, which lives as long as its node and keeps nothing alive. */
import { parentPort, Worker } from 'node:worker_threads'
import type { Thread, ThreadHandlers } from '../env.ts'

/**
 * The young generation is small because membership leaves little garbage and each megabyte of it is paid in memory. The
 * old one holds a full table of 65,536 members and one push/pull of it.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 512, stackSizeMb: 1 }

export function startThread(handlers: ThreadHandlers): Thread {
  const worker = new Worker(new URL('../worker.js', import.meta.url), {
    name: 'shoal membership',
    // Neither this process's flags (test runner, profiler, loaders) nor its NODE_OPTIONS are meant for it.
    execArgv: [],
    env: {},
    argv: [],
    resourceLimits,
  })
  let stopped: Promise<void> | undefined
  let ended = false
  const failed = (error: Error): void => {
    if (stopped !== undefined || ended) return
    ended = true
    handlers.failed(error)
  }
  worker.on('message', (value) => {
    if (stopped === undefined && !ended) handlers.message(value)
  })
  worker.on('messageerror', failed)
  worker.on('error', failed)
  worker.on('exit', (code) => failed(new Error(`it exited with code ${code}`)))
  worker.unref()
  return {
    post: (value) => worker.postMessage(value),
    stop() {
      stopped ??= stop(worker)
      return stopped
    },
  }
}

/** Waiting for the end must not be the last thing a process does: it would end before. */
async function stop(worker: Worker): Promise<void> {
  worker.ref()
  await worker.terminate()
  worker.removeAllListeners()
}

/** The other end, in the thread: hands what comes to whom `serve` makes. */
export function serveThread(
  serve: (port: { post(value: unknown): void }) => { message(value: unknown): void },
): void {
  const port = parentPort
  if (port === null) throw new Error('this file is the start of a worker thread')
  const server = serve({ post: (value) => port.postMessage(value) })
  port.on('message', (value) => server.message(value))
}
