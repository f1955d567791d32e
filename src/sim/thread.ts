/**
 * The second event loop of a simulated process, in which membership runs as it does in a worker thread: a stall of the
 * main loop does not stop it, a pause of the process does. What crosses is cloned, takes a moment, and arrives in order,
 * each value in a turn of its own.
 */
import { serveMembership } from '../border.ts'
import type { Env, Millis, Thread, ThreadHandlers } from '../env.ts'
import { type Loop, traceKind } from './loop.ts'
import { toTicks } from './time.ts'

/** How long a thread takes to start, and a value to cross. */
const startMs: Millis = 30
const crossMs: Millis = 1 / 16

export interface SecondLoop {
  readonly loop: Loop
  readonly env: Env
  /** Ends the loop and closes what it opened. */
  end(): void
}

/** Runs membership in a second loop of the process whose main loop is `main`. */
export function startThread(main: Loop, second: SecondLoop, handlers: ThreadHandlers): Thread {
  const { loop, env } = second
  const { scheduler } = main.world
  let server: ReturnType<typeof serveMembership> | undefined
  const waiting: unknown[] = []
  let isStopped = false

  const cross = (to: Loop, value: unknown, hear: (value: unknown) => void): void => {
    const copy: unknown = structuredClone(value)
    scheduler.at(scheduler.now + crossMs, () => {
      to.now(traceKind.message, () => {
        if (!isStopped) hear(copy)
      })
    })
  }
  const hear = (value: unknown): void => {
    if (server === undefined) waiting.push(value)
    else server.message(value)
  }
  scheduler.at(scheduler.now + toTicks(startMs), () => {
    loop.now(traceKind.program, () => {
      server = serveMembership(env, {
        post: (value) => {
          if (!loop.dead) cross(main, value, (copy) => handlers.message(copy))
        },
      })
      for (const value of waiting.splice(0)) server.message(value)
    })
  })
  return {
    post: (value) => {
      if (!main.dead && !isStopped) cross(loop, value, hear)
    },
    stop() {
      isStopped = true
      second.end()
      return new Promise((resolve) => main.soon(traceKind.closed, resolve))
    },
  }
}
