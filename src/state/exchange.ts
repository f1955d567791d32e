/** Questions of this node's replication to other nodes' that have no answer yet, and the queue of what goes out. */
import type { Millis } from '../env.ts'
import { Queue } from '../machine.ts'
import type { CallFailure } from '../rpc/call.ts'
import type { Config, Seat } from './config.ts'
import type { CopiesNews } from './copies-port.ts'
import type { ReplicaAsk, ReplicaReply } from './replica-messages.ts'

/** Told once what became of a call's effect: without a failure, enough nodes have it. */
export type Shipped = (failure?: CallFailure) => void

export type ReplicaOutput =
  /** Ask this life of this node; feed `answered` or `unanswered` with the id, once. */
  | { readonly type: 'ask'; readonly id: number; readonly to: Seat; readonly ask: ReplicaAsk }
  | { readonly type: 'settle'; readonly done: Shipped; readonly failure: CallFailure | undefined }
  | { readonly type: 'news'; readonly news: CopiesNews }
  /** All of a partition's list have all of it, or not any more. */
  | { readonly type: 'settled'; readonly partition: number; readonly config: Config }

type Told = (reply: ReplicaReply | undefined, now: Millis) => void

export class Exchange {
  readonly self: Seat
  readonly #outputs = new Queue<ReplicaOutput>()
  #ids = 0
  readonly #asked = new Map<number, Told>()

  constructor(self: Seat) {
    this.self = self
  }

  out(output: ReplicaOutput): void {
    this.#outputs.push(output)
  }

  poll(): ReplicaOutput | undefined {
    return this.#outputs.take()
  }

  /** Tells custody that another node was promised a newer configuration, this one. */
  tellDeposed(partition: number, { epoch, seats }: Config): void {
    const [owner] = seats
    const news = { type: 'deposed', partition, counter: epoch.counter, by: owner?.name ?? '' } as const
    this.out({ type: 'news', news })
  }

  ask(to: Seat, ask: ReplicaAsk, told: Told): void {
    const id = ++this.#ids
    this.#asked.set(id, told)
    this.out({ type: 'ask', id, to, ask })
  }

  /** `reply` undefined: it may have been taken or not. */
  answered(id: number, reply: ReplicaReply | undefined, now: Millis): void {
    const told = this.#asked.get(id)
    this.#asked.delete(id)
    told?.(reply, now)
  }
}
