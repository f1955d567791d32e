/**
 * Two event loops of one process on one hand-advanced clock: what crosses is cloned and queued, and either
 * loop can be blocked.
 */
import { serveMembership } from '../../src/border.ts'
import type { Env, Thread, ThreadHandlers } from '../../src/env.ts'
import type { HandClock } from './clock.ts'

export class Loops {
  readonly clock: HandClock
  /** Messages that crossed, oldest first. */
  readonly toMain: unknown[] = []
  readonly toThread: unknown[] = []
  mainBlocked = false
  stopped = false
  #handlers: ThreadHandlers | undefined
  #server: ReturnType<typeof serveMembership> | undefined
  #waiting: unknown[] = []

  constructor(clock: HandClock) {
    this.clock = clock
  }

  /** The environment of the main loop; the thread runs in `env` itself. */
  main(env: Env): Env {
    return { ...env, startThread: (handlers) => this.#start(env, handlers) }
  }

  /** The thread ends as if it had crashed. */
  crash(error: Error): void {
    void this.#server?.stop()
    this.#handlers?.failed(error)
  }

  unblock(): void {
    this.mainBlocked = false
    const waiting = this.#waiting
    this.#waiting = []
    for (const value of waiting) this.#deliver(value)
  }

  #start(env: Env, handlers: ThreadHandlers): Thread {
    this.#handlers = handlers
    const server = serveMembership(env, {
      post: (value) => {
        const clone = structuredClone(value)
        this.toMain.push(clone)
        this.clock.defer(() => this.#deliver(clone))
      },
    })
    this.#server = server
    return {
      post: (value) => {
        const clone = structuredClone(value)
        this.toThread.push(clone)
        this.clock.defer(() => {
          if (!this.stopped) server.message(clone)
        })
      },
      stop: () => {
        this.stopped = true
        return server.stop()
      },
    }
  }

  #deliver(value: unknown): void {
    if (this.mainBlocked) this.#waiting.push(value)
    else if (!this.stopped) this.#handlers?.message(value)
  }
}
