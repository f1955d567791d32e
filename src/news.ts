/** What a node tells its user unasked: events, and notices, which are logged as well. */
import type { EventEmitter } from 'node:events'
import type { NodeEvents, Notice } from './api.ts'
import type { Clock } from './env.ts'
import type { Logger } from './options.ts'
import { runOutside } from './scope.ts'

export class News {
  readonly #emitter: EventEmitter<NodeEvents>
  readonly #clock: Clock
  readonly #logger: Logger

  constructor(emitter: EventEmitter<NodeEvents>, clock: Clock, logger: Logger) {
    this.#emitter = emitter
    this.#clock = clock
    this.#logger = logger
  }

  notice(notice: Notice): void {
    runOutside(() => this.#logger[notice.level]({ code: notice.code, ...notice.detail }, notice.message))
    this.emit('notice', notice)
  }

  /**
   * A listener that throws must not stop the machine that told it: the error surfaces on its own. Nor does it work for the
   * call that happened to bring the news.
   */
  emit<Name extends keyof NodeEvents>(name: Name, ...values: NodeEvents[Name]): void {
    try {
      const emitter = this.#emitter
      const emit = emitter.emit as (name: string, ...values: unknown[]) => boolean
      runOutside(() => emit.call(emitter, name, ...values))
    } catch (error) {
      this.#clock.defer(() => {
        throw error
      })
    }
  }
}
