/**
 * Drives the custody machine of one store on this node: carries its questions to peers, does to the store what it says, and
 * tells it what came of that. What a store does may take its time; one thing at a time is done to a partition.
 */

import { Driver } from '../driver.ts'
import type { Clock, Millis } from '../env.ts'
import { messageOf } from '../shard/methods.ts'
import type { CopiesNews, CopiesPort } from '../state/copies-port.ts'
import { Custody, type CustodyLimits } from '../state/custody.ts'
import type { CustodyInput, CustodyOutput, Owners, Refusal, Reply, ViewPeer } from '../state/custody-io.ts'
import type { Epoch } from '../state/epoch.ts'
import { readAsk, readCopyHead, readReply, writeAsk, writeReply } from '../state/messages.ts'
import type { Holdings } from '../state/store.ts'
import type { CopyTarget } from './copying.ts'
import type { InternalCalls } from './internal.ts'
import { Outgoing } from './outgoing.ts'
import { Patient } from './patient.ts'

export interface CustodianPorts {
  readonly self: string
  readonly boot: string
  readonly clock: Clock
  /** Of the ring. */
  readonly partitions: number
  readonly limits: CustodyLimits
  readonly internal: InternalCalls
  readonly copies?: CopiesPort | undefined
  /** Whether this node is sure of its view. */
  mayRun(): boolean
  pace(bytes: number, now: Millis): Millis
  /** Where calls of these partitions go has changed. */
  served(partitions: readonly number[]): void
  told(what: Extract<CustodyOutput, { type: 'told' }>): void
  malformed(peer: string): void
}

const tick: CustodyInput = { type: 'tick' }

export const askKind = 'custody'

export class Custodian {
  readonly custody: Custody
  readonly #holdings: Holdings
  readonly #ports: CustodianPorts
  readonly #driver: Driver<CustodyInput, CustodyOutput>
  readonly #machine: Patient<CustodyInput, CustodyOutput>
  readonly #outgoing: Outgoing
  /** Which freeze of a partition is the present one. */
  readonly #freezes = new Map<number, number>()
  #freezeCount = 0
  /** The last thing that is done to a partition and has not ended. */
  readonly #busy = new Map<number, Promise<void>>()
  /** Live here, and frozen until what another node had is merged. */
  readonly #merging = new Set<number>()
  readonly #answers = new Map<number, (reply: unknown) => void>()
  readonly #incoming = new Map<number, (answer: 'admit' | Pick<Refusal, 'code' | 'reason'>) => void>()
  #ids = 0
  #served: number[] = []
  #emptied: (() => void)[] = []

  constructor(holdings: Holdings, ports: CustodianPorts) {
    const { self, boot, partitions, limits, copies, clock } = ports
    this.#holdings = holdings
    this.#ports = ports
    this.custody = new Custody({
      partitions,
      self,
      boot,
      limits,
      copies,
      copiesLive: holdings.copiesLive,
      size: (partition) => holdings.size(partition),
      along: (to) => holdings.along?.(to),
      pace: (bytes, now) => ports.pace(bytes, now),
    })
    this.#machine = new Patient(this.custody, () => ports.mayRun())
    this.#driver = new Driver(
      this.#machine,
      clock,
      tick,
      (output) => this.#perform(output),
      () => this.#drained(),
    )
    this.#outgoing = new Outgoing(holdings, {
      boot,
      clock,
      internal: ports.internal,
      pace: (bytes, now) => ports.pace(bytes, now),
      feed: (input) => this.#driver.feed(input),
    })
  }

  // ---- the view

  viewChanged(
    owners: Owners,
    gained: readonly number[],
    lost: readonly number[],
    peers: readonly ViewPeer[],
  ): void {
    this.#driver.feed({ type: 'view', owners, gained, lost, peers })
  }

  peersChanged(peers: readonly ViewPeer[]): void {
    this.#driver.feed({ type: 'peers', peers })
  }

  /** This node is sure of its view again. */
  unblocked(): void {
    if (this.#machine.wake()) this.#driver.feed(tick)
  }

  /** What replication has found out. */
  heard(news: CopiesNews): void {
    this.#driver.feed(news)
  }

  /** A call that was passed to the holder came back. */
  sealed(partition: number, by: string): void {
    this.#driver.feed({ type: 'sealed', partition, by })
  }

  /** `done` once nothing is held here, or nobody is there to take it. */
  whenEmpty(done: () => void): void {
    this.#emptied.push(done)
    this.#lookEmpty()
  }

  stop(): void {
    this.#driver.stop()
    this.#outgoing.close()
  }

  // ---- what peers say

  asked(from: string, message: unknown, answer: (reply: unknown) => void): void {
    const ask = readAsk(message, this.#ports.partitions)
    if (ask === undefined) {
      this.#ports.malformed(from)
      answer(writeReply({ type: 'stranger' }))
      return
    }
    const id = ++this.#ids
    this.#answers.set(id, answer)
    this.#driver.feed({ type: 'asked', id, from, ask })
  }

  copied(
    from: string,
    value: unknown,
    admit: (target: CopyTarget) => void,
    reject: (answer: unknown) => void,
  ): void {
    const head = readCopyHead(value, this.#ports.partitions)
    if (head === undefined) {
      this.#ports.malformed(from)
      reject(['failed', 'malformed'])
      return
    }
    const id = ++this.#ids
    const { partition } = head
    this.#incoming.set(id, (answer) => {
      this.#incoming.delete(id)
      if (answer === 'admit') admit(this.#target(id, partition))
      else reject([answer.code, answer.reason])
    })
    this.#driver.feed({ type: 'copying', id, from, ...head })
  }

  #target(id: number, partition: number): CopyTarget {
    let bytes = 0
    return {
      chunk: (chunk) => {
        bytes += chunk.length
        return this.#accept(partition, chunk)
      },
      ended: (reason) => {
        this.#driver.feed({ type: 'received', id, reason, bytes })
        return reason === undefined ? ['whole'] : ['unreadable', reason]
      },
    }
  }

  // ---- what the machine says

  #perform(output: CustodyOutput): void {
    switch (output.type) {
      case 'ask':
        this.#ask(output)
        break
      case 'answer': {
        const answer = this.#answers.get(output.id)
        this.#answers.delete(output.id)
        answer?.(writeReply(output.reply))
        break
      }
      case 'freeze':
        this.#freeze(output.partitions)
        break
      case 'collect':
        this.#outgoing.collect(output.partition, output.bytesMax)
        break
      case 'copy':
        this.#outgoing.copy(output)
        break
      case 'stop':
        this.#outgoing.stop(output.partition)
        break
      case 'thaw':
        for (const partition of output.partitions) {
          this.#freezes.delete(partition)
          this.#ports.copies?.thawed(partition)
          this.#holdings.thaw(partition)
        }
        break
      case 'release':
        for (const partition of output.partitions) {
          this.#ports.copies?.yield(partition)
          this.#freezes.delete(partition)
          this.#outgoing.stop(partition)
          this.#inTurn(partition, () => this.#holdings.release(partition))
        }
        break
      case 'admit':
        this.#incoming.get(output.id)?.('admit')
        break
      case 'reject':
        this.#incoming.get(output.id)?.(output.refusal)
        break
      case 'accept':
        this.#acceptAll(output.id, output.partition, output.chunks)
        break
      case 'discard':
        this.#inTurn(output.partition, () => this.#holdings.discard(output.partition))
        break
      case 'activate':
        this.#activate(output)
        break
      case 'along':
        this.#holdings.hear?.(output.chunk)
        break
      case 'take':
        this.#ports.copies?.take(output.partition, output.counter, this.#ports.clock.now())
        break
      case 'abandon':
        this.#ports.copies?.abandon(output.partition)
        break
      case 'depose':
        this.#freezes.delete(output.partition)
        this.#holdings.freeze(output.partition, () => {})
        this.#inTurn(output.partition, () => this.#holdings.release(output.partition))
        break
      case 'served':
        this.#served.push(...output.partitions)
        break
      case 'told':
        this.#ports.told(output)
        break
      default:
        output satisfies never
    }
  }

  /** All outputs of one burst are out. */
  #drained(): void {
    const served = this.#served
    if (served.length > 0) {
      this.#served = []
      this.#ports.served(served)
    }
    this.#lookEmpty()
  }

  #lookEmpty(): void {
    const { held, sought, hasHeirs } = this.custody
    if (this.#emptied.length === 0 || (held + sought.size > 0 && hasHeirs)) return
    const emptied = this.#emptied
    this.#emptied = []
    if (held + sought.size === 0) this.#driver.feed({ type: 'emptied' })
    for (const done of emptied) done()
  }

  #ask({ id, to, ask }: Extract<CustodyOutput, { type: 'ask' }>): void {
    const { internal, partitions } = this.#ports
    internal.ask(askKind, to, this.#holdings.name, writeAsk(ask), (value, isAnswered) => {
      if (!isAnswered) {
        this.#driver.feed({ type: 'unanswered', id })
        return
      }
      const reply: Reply | undefined =
        value === undefined ? { type: 'stranger', lacksStore: true } : readReply(value, partitions)
      if (reply === undefined) {
        this.#ports.malformed(to)
        this.#driver.feed({ type: 'unanswered', id })
      } else this.#driver.feed({ type: 'answered', id, reply })
    })
  }

  // ---- giving

  #freeze(partitions: readonly number[]): void {
    let atOnce: number[] | undefined = []
    for (const partition of partitions) {
      const token = ++this.#freezeCount
      this.#freezes.set(partition, token)
      this.#holdings.freeze(partition, () => {
        if (this.#freezes.get(partition) !== token) return
        if (atOnce === undefined) this.#driver.feed({ type: 'frozen', partitions: [partition] })
        else atOnce.push(partition)
      })
    }
    if (atOnce.length > 0) this.#driver.feed({ type: 'frozen', partitions: atOnce })
    atOnce = undefined
  }

  // ---- taking

  #accept(partition: number, chunk: Uint8Array): void | Promise<void> {
    const busy = this.#busy.get(partition)
    if (busy === undefined) return this.#holdings.accept(partition, chunk)
    return busy.then(() => this.#holdings.accept(partition, chunk))
  }

  /** What runs on state that is live has ended before other state is merged into it: its effect would be lost. */
  #acceptAll(id: number, partition: number, chunks: readonly Uint8Array[]): void {
    const accept = (): void => this.#acceptNow(id, partition, chunks)
    if (this.custody.where(partition) === this.#ports.self) {
      this.#merging.add(partition)
      this.#holdings.freeze(partition, accept)
    } else accept()
  }

  #acceptNow(id: number, partition: number, chunks: readonly Uint8Array[]): void {
    const done = (reason: string | undefined): void => {
      this.#driver.feed({ type: 'accepted', id, partition, reason })
      const isLeft = this.#merging.delete(partition)
      if (isLeft && this.custody.where(partition) === this.#ports.self) this.#holdings.thaw(partition)
    }
    const failed = (error: unknown): void => done(messageOf(error))
    const from = (first: number): void | Promise<void> => {
      for (let at = first; at < chunks.length; at += 1) {
        const kept = this.#accept(partition, chunks[at] as Uint8Array)
        if (kept !== undefined) return kept.then(() => from(at + 1))
      }
    }
    try {
      const kept = from(0)
      if (kept === undefined) done(undefined)
      else kept.then(() => done(undefined), failed)
    } catch (error) {
      failed(error)
    }
  }

  #activate({ partitions, epochs, lists }: Extract<CustodyOutput, { type: 'activate' }>): void {
    const { copies, clock } = this.#ports
    partitions.forEach((partition, index) => {
      this.#merging.delete(partition)
      const epoch = epochs[index] as Epoch
      const work = (): void => {
        // First: what becomes live may have been merged, and is shipped at once.
        copies?.lead(partition, epoch, lists.get(partition) ?? [], clock.now())
        const live = this.#holdings.activate(partition, epoch)
        if (live === undefined) copies?.activated(partition, epoch)
        else void live.then(() => copies?.activated(partition, epoch))
      }
      if (this.#busy.size === 0) work()
      else this.#inTurn(partition, work)
    })
  }

  /** Does it behind what is being done to that partition. What a store cannot forget it says itself. */
  #inTurn(partition: number, work: () => void | Promise<void>): void {
    const busy = this.#busy.get(partition)
    if (busy === undefined) {
      try {
        const done = work()
        if (done !== undefined) this.#waitFor(partition, done)
      } catch {
        // As below.
      }
    } else this.#waitFor(partition, busy.then(work))
  }

  #waitFor(partition: number, work: Promise<void>): void {
    const settled = work.then(
      () => {},
      () => {},
    )
    this.#busy.set(partition, settled)
    void settled.then(() => {
      if (this.#busy.get(partition) === settled) this.#busy.delete(partition)
    })
  }
}
