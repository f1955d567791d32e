/**
 * Answers that are waited for: numbered questions to membership and RPC, each settled once by its answer, its
 * time limit on the node's clock, its signal, or the end of the node.
 */
import type { Clock, Millis, Timer } from './env.ts'

interface Pending {
  readonly settle: (answer: unknown) => void
  readonly reject: (reason: unknown) => void
}

export class Replies {
  readonly #clock: Clock
  readonly #pending = new Map<number, Pending>()
  #next = 1
  #closed: { readonly reason: unknown } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Asks by calling `ask` with a fresh id; resolves with what `settle` is given for it, or with `undefined`
   * when the time is up. Rejects with the signal's reason.
   */
  wait(timeoutMs: Millis, signal: AbortSignal | undefined, ask: (id: number) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      if (this.#closed !== undefined) throw this.#closed.reason
      const id = this.#next++
      const done = (): void => {
        this.#pending.delete(id)
        timer.cancel()
        signal?.removeEventListener('abort', abort)
      }
      const pending: Pending = {
        settle(answer) {
          done()
          resolve(answer)
        },
        reject(reason) {
          done()
          reject(reason)
        },
      }
      const abort = (): void => pending.reject(signal?.reason)
      const timer: Timer = this.#clock.setTimer(timeoutMs, () => pending.settle(undefined))
      signal?.addEventListener('abort', abort)
      this.#pending.set(id, pending)
      ask(id)
    })
  }

  /** Waits for time to pass. */
  async pause(delayMs: Millis, signal: AbortSignal | undefined): Promise<void> {
    await this.wait(delayMs, signal, () => {})
  }

  /** Answers a question; one that is no longer waited for is ignored. */
  settle(id: number, answer?: unknown): void {
    this.#pending.get(id)?.settle(answer)
  }

  /** Rejects all that is still waited for, and all that would be. */
  close(reason: unknown): void {
    this.#closed ??= { reason }
    for (const pending of [...this.#pending.values()]) pending.reject(reason)
  }
}
