/** A client of the drilled service: puts load on it, keeps the books, and reads the state at the end. */
import { setTimeout } from 'node:timers/promises'
import { isShoalError } from '../../index.ts'
import { Load } from '../demo/load.ts'
import { reason } from '../output.ts'
import { Books, type Update } from './books.ts'
import { checkState, type Lap, type Questions, type Service } from './contract.ts'
import type { KeyState } from './verdict.ts'

/** Failures of a lap that are told one by one. */
const failuresMax = 5
/** Keys that are read at once. */
const readsMax = 32
const readAgainMs = 100

export class Client {
  readonly #service: Service
  readonly #books: Books
  #load: Load<Update> | undefined
  #failures: string[] = []

  constructor(service: Service) {
    this.#service = service
    this.#books = new Books(service.node.name)
  }

  start({ keys, perSecond }: Questions['load']): void {
    this.#load = new Load<Update>(keys, perSecond, {
      request: (key) => this.#update(key),
      owner: () => undefined,
      runner: () => undefined,
      answered: (update, _startedAt, now) => this.#books.acknowledged(update, now),
      failed() {},
      now: () => performance.now(),
    })
    this.#load.start()
  }

  async stop(): Promise<void> {
    await this.#load?.stop()
  }

  lap(): Lap {
    const { requests = 0, failed = 0 } = this.#load?.takeRecent() ?? {}
    const failures = this.#failures
    this.#failures = []
    return { calls: requests, failed, longestMs: this.#books.takeLongestMs(), failures }
  }

  books(): ReturnType<Books['keys']> {
    return this.#books.keys()
  }

  /** The states of the keys that could be read in time. */
  async read({ keys, withinMs }: Questions['read']): Promise<(readonly [string, KeyState])[]> {
    const until = performance.now() + withinMs
    const found: (readonly [string, KeyState])[] = []
    const left = [...keys]
    const worker = async (): Promise<void> => {
      for (let key = left.pop(); key !== undefined; key = left.pop()) {
        const state = await this.#readOne(key, until)
        if (state !== undefined) found.push([key, state])
      }
    }
    await Promise.all(Array.from({ length: readsMax }, worker))
    return found
  }

  async #readOne(key: string, until: number): Promise<KeyState | undefined> {
    do {
      try {
        return checkState(key, await this.#service.read(key))
      } catch (error) {
        if (!isShoalError(error) || !error.retryable) throw error
        await setTimeout(readAgainMs)
      }
    } while (performance.now() < until)
    return undefined
  }

  async #update(key: string): Promise<Update> {
    const update = this.#books.begin(key, performance.now())
    try {
      await this.#service.update(key, update.id)
      return update
    } catch (error) {
      this.#books.failed(update, performance.now())
      if (this.#failures.length < failuresMax) this.#failures.push(`${key}: ${reason(error)}`)
      throw error
    }
  }
}
