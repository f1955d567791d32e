/**
 * Runs the calls of one entity: one at a time for each key, in the order in which their callers made them, each once. A
 * call of a key that is open and idle, whose handler returns at once, runs in the caller's own turn of the loop and makes no
 * promise. Everything else becomes a `Turn`.
 */
import type { Clock } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import { rememberScope, runOutside } from '../scope.ts'
import type { Slot } from '../shard/concurrency.ts'
import type { Running } from '../shard/context.ts'
import { type BodyCodec, failure, isThenable, messageOf } from '../shard/methods.ts'
import { Refused } from '../shard/refused.ts'
import type { Body } from '../wire/body.ts'
import type { Arrival } from './arrivals.ts'
import { type CallBody, readCallBody } from './call-body.ts'
import { type Effects, shipRecord } from './effects.ts'
import { RunningContext } from './entity-context.ts'
import { givenUp, handlerThrew, mailboxFull, notHere, notTyped, settledBefore } from './failures.ts'
import type { Instance, Partition } from './instance.ts'
import type { CallKind, EntityKind } from './kind.ts'
import { Life, type LifePorts } from './life.ts'
import type { EntityLimits } from './limits.ts'
import { Order } from './order.ts'
import { type KeyRecord, removedRecord } from './records.ts'
import { Turn } from './turn.ts'
import { type Caller, type Entry, Window } from './window.ts'

export interface ExecutorPorts extends Omit<LifePorts, 'window' | 'pump' | 'refuse' | 'busy' | 'removed'> {
  readonly clock: Clock
  readonly codec: BodyCodec
  readonly limits: EntityLimits
  /** A handler that did not return at once, for the limit of concurrency. */
  readonly admission: {
    begin(method: string, caller: string, exempt: boolean): Slot | undefined
    end(slot: Slot, failed: boolean, abandoned: boolean): void
  }
  /** The partition of a key, if anything is held of it. */
  partition(key: string): Partition | undefined
  /** A key as it is now. */
  record(instance: Instance): KeyRecord
  readonly effects: () => Effects | undefined
}

/** Handlers that run one after the other before others have their turn. */
const runsMax = 64

export class Executor {
  readonly window: Window
  readonly #kind: EntityKind
  readonly #ports: ExecutorPorts
  readonly #order: Order
  readonly #life: Life
  #waiting = 0

  constructor(kind: EntityKind, ports: ExecutorPorts) {
    this.#kind = kind
    this.#ports = ports
    this.window = new Window(ports.limits)
    this.#life = new Life(kind, {
      ...ports,
      window: this.window,
      pump: (instance) => this.#pump(instance),
      refuse: (instance, error) => this.#refuseAll(instance, error),
      removed: (instance) => {
        const effects = ports.effects()
        if (effects !== undefined) shipRecord(effects, instance, removedRecord(instance), () => {})
      },
      busy: (partition, change) => this.#busy(partition, change),
    })
    this.#order = new Order(ports.clock, ports.limits.orderWaitMs, (turn) => this.#enqueue(turn))
  }

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#waiting
  }

  /** The outcome of a call, encoded. Throws and rejects with `Refused`. */
  call(call: CallKind, body: unknown, running: Running): Body | Promise<Body> {
    const { key } = running
    const said = readCallBody(body)
    if (key === undefined || said === undefined) throw new Refused(notTyped(call))
    const partition = this.#ports.partition(key)
    if (partition === undefined || partition.phase !== 'active') throw new Refused(this.notHere(key))
    const caller = this.window.heard(said.origin, said.settledBelow)
    if (caller.held !== undefined) this.#order.settled(caller)
    const known = this.window.find(caller, said.seq, said.callId, key)
    if (known !== undefined) {
      const again = this.#again(known, said, running)
      if (again !== undefined) return again
    } else if (said.seq < caller.settledBelow) throw new Refused(settledBefore(call))
    return this.#first(partition, key, call, caller, said, running)
  }

  /** The call came before; undefined: it may run once more. */
  #again(entry: Entry, said: CallBody, running: Running): Body | Promise<Body> | undefined {
    if (entry.turn !== undefined) return entry.turn.join(running)
    const { outcome } = entry
    if (outcome === undefined) {
      this.window.forget(entry)
      return undefined
    }
    // Later calls of the same caller name this copy as the one they follow.
    if (entry.seq !== said.seq && entry.caller.entries.get(said.seq) === undefined) {
      this.window.add(this.window.heard(said.origin, 0), said.seq, '', entry.instance)
    }
    if ('code' in outcome) throw new Refused(outcome)
    return outcome
  }

  #first(
    partition: Partition,
    key: string,
    call: CallKind,
    caller: Caller,
    said: CallBody,
    running: Running,
  ): Body | Promise<Body> {
    const instance = partition.keys.get(key) ?? this.#life.open(partition, key)
    this.#ports.keeping.used(instance)
    const isOrdered = this.#order.permits(caller, said.previous)
    const isFree = instance.phase === 'open' && (!instance.taken || call.interleaves)
    if (isFree && isOrdered && instance.head === undefined) {
      const entry = this.window.add(caller, said.seq, said.callId, instance)
      try {
        return this.#runAtOnce(entry, call, said.arg, running)
      } finally {
        if (caller.held !== undefined) this.#order.arrived(caller, said.seq)
      }
    }
    const { limits, self } = this.#ports
    if (this.#waiting >= limits.turnsWaitingMax) {
      throw new Refused(mailboxFull(self, call, limits.turnsWaitingMax))
    }
    const entry = this.window.add(caller, said.seq, said.callId, instance)
    const turn = new Turn(this, entry, call, said.arg, running)
    entry.turn = turn
    turn.enter = rememberScope()
    this.#waiting += 1
    turn.watch()
    if (isOrdered) this.#enqueue(turn)
    else this.#order.hold(turn, said.previous)
    return turn.outcome
  }

  #enqueue(turn: Turn): void {
    const { entry } = turn
    const { instance, caller, seq } = entry
    turn.phase = 'waiting'
    turn.previous = instance.tail
    if (instance.tail === undefined) instance.head = turn
    else instance.tail.next = turn
    instance.tail = turn
    if (caller.held !== undefined) this.#order.arrived(caller, seq)
    this.#pump(instance)
  }

  #dequeue(turn: Turn): void {
    const { instance } = turn.entry
    const { previous, next } = turn
    if (previous === undefined) instance.head = next
    else previous.next = next
    if (next === undefined) instance.tail = previous
    else next.previous = previous
    turn.previous = undefined
    turn.next = undefined
  }

  left(turn: Turn): void {
    this.refuse(turn, givenUp)
  }

  waitedLongEnough(turn: Turn): void {
    this.#order.release(turn)
  }

  /** A call that has not started never will. */
  refuse(turn: Turn, error: CallFailure): void {
    if (turn.phase === 'held') this.#order.drop(turn)
    else this.#dequeue(turn)
    this.#waiting -= 1
    turn.unwatch()
    turn.entry.turn = undefined
    this.window.forget(turn.entry)
    turn.settle(error)
    this.#pump(turn.entry.instance)
  }

  /** Starts what may start. */
  #pump(instance: Instance): void {
    for (let runs = 0; instance.phase === 'open'; runs++) {
      const turn = instance.head
      if (turn === undefined || (instance.taken && !turn.call.interleaves)) return
      if (instance.partition.phase !== 'active') return
      if (runs >= runsMax) {
        runOutside(() => this.#ports.clock.afterIo(() => this.#pump(instance)))
        return
      }
      this.#dequeue(turn)
      this.#waiting -= 1
      turn.unwatch()
      this.#start(turn)
    }
  }

  #start(turn: Turn): void {
    const { entry, call, running } = turn
    turn.phase = 'running'
    this.#begin(entry.instance, call)
    let result: unknown
    try {
      const run = (): unknown => this.#handle(entry, call, turn.arg, running)
      result = turn.enter === undefined ? run() : turn.enter(run)
    } catch (error) {
      this.#end(entry, call, this.#thrown(call, running, error))
      return
    }
    if (isThenable(result)) this.#follow(turn, result)
    else this.#end(entry, call, this.#encoded(call, running, result))
  }

  #runAtOnce(entry: Entry, call: CallKind, arg: unknown, running: Running): Body | Promise<Body> {
    this.#begin(entry.instance, call)
    let outcome: Body | CallFailure
    try {
      const result = this.#handle(entry, call, arg, running)
      if (isThenable(result)) {
        const turn = new Turn(this, entry, call, undefined, running)
        turn.phase = 'running'
        entry.turn = turn
        this.#follow(turn, result)
        return turn.outcome
      }
      outcome = this.#encoded(call, running, result)
    } catch (error) {
      outcome = this.#thrown(call, running, error)
    }
    if (this.#ports.effects() !== undefined) {
      const turn = new Turn(this, entry, call, undefined, running)
      turn.phase = 'running'
      entry.turn = turn
      this.#end(entry, call, outcome)
      return turn.outcome
    }
    this.#end(entry, call, outcome)
    if ('code' in outcome) throw new Refused(outcome)
    return outcome
  }

  #handle(entry: Entry, call: CallKind, arg: unknown, running: Running): unknown {
    const context = new RunningContext(entry, this.#kind.name, this.#ports.self, running)
    return call.run(entry.instance.state, arg, context)
  }

  #begin(instance: Instance, call: CallKind): void {
    if (!call.interleaves) instance.taken = true
    instance.running += 1
    instance.partition.running += 1
  }

  /** The handler goes on. */
  #follow(turn: Turn, result: PromiseLike<unknown>): void {
    const { entry, call, running } = turn
    const { admission } = this.#ports
    entry.instance.partition.ongoing.add(turn)
    const slot = admission.begin(call.method, running.caller, false)
    Promise.resolve(result).then(
      (value) => {
        if (slot !== undefined) admission.end(slot, false, running.cancelled)
        this.#end(entry, call, this.#encoded(call, running, value), turn)
      },
      (error: unknown) => {
        if (slot !== undefined) admission.end(slot, true, running.cancelled)
        this.#end(entry, call, this.#thrown(call, running, error), turn)
      },
    )
  }

  #encoded(call: CallKind, running: Running, value: unknown): Body | CallFailure {
    const { codec } = this.#ports
    try {
      // It may be part of the state, which the next call changes.
      return codec.copy(codec.encode(value))
    } catch (error) {
      return this.#thrown(call, running, new Error(`its reply cannot be sent: ${messageOf(error)}`))
    }
  }

  #thrown(call: CallKind, running: Running, error: unknown): CallFailure {
    return handlerThrew(call, running.abandoned, error, this.#kind.remoteStacks)
  }

  /** A handler has ended. */
  #end(entry: Entry, call: CallKind, outcome: Body | CallFailure, turn: Turn | undefined = entry.turn): void {
    const { instance } = entry
    const { partition } = instance
    if (turn !== undefined) partition.ongoing.delete(turn)
    if (!call.interleaves) instance.taken = false
    instance.running -= 1
    // Of a call that was cut off, or whose key went elsewhere, nobody hears.
    const isHeard = instance.phase === 'open' && turn?.phase !== 'over'
    if (isHeard && !call.readonly) entry.outcome = outcome
    if (instance.phase === 'open' && !call.readonly) {
      partition.version += 1
      instance.version = partition.version
      instance.epoch = partition.epoch
      this.#ports.keeping.changed(instance)
      this.#ports.changed(instance)
    }
    const effects = this.#ports.effects()
    if (turn !== undefined && effects !== undefined && isHeard) this.#ship(effects, turn, outcome)
    else {
      entry.turn = undefined
      turn?.settle(instance.phase === 'open' || !this.#kind.moves ? outcome : this.#undone(instance))
    }
    if (instance.running === 0 && instance.arrival !== undefined) this.#life.calm(instance)
    this.#busy(partition, -1)
    if (instance.head !== undefined) this.#pump(instance)
  }

  /** What it did went with the state: it may run once more, elsewhere. */
  #undone({ key }: Instance): CallFailure {
    return { ...this.notHere(key), mayHaveRun: true }
  }

  #ship(effects: Effects, turn: Turn, outcome: Body | CallFailure): void {
    const { entry, call, running } = turn
    const told = (failed?: CallFailure): void => {
      entry.turn = undefined
      turn.settle(failed ?? outcome)
    }
    try {
      if (call.readonly) effects.ship(entry.instance.partition.number, undefined, told)
      else shipRecord(effects, entry.instance, this.#ports.record(entry.instance), told)
    } catch (error) {
      told(this.#thrown(call, running, error))
    }
  }

  #busy(partition: Partition, change: 1 | -1): void {
    partition.running += change
    if (partition.running > 0 || partition.frozen === undefined) return
    const { frozen } = partition
    partition.frozen = undefined
    frozen()
  }

  /** Another node has sent the key. */
  arrived(partition: Partition, key: string, arrival: Arrival): void {
    this.#life.arrived(partition, key, arrival)
  }

  /** Forgets the state of a key that nobody uses. */
  forget(instance: Instance): void {
    this.#life.forget(instance)
  }

  /** The partition is frozen: what waits is routed anew, what opens is opened elsewhere. */
  refuseWaiting(partition: Partition): void {
    for (const turn of [...partition.held]) this.refuse(turn, this.notHere(turn.entry.instance.key))
    for (const instance of [...partition.keys.values()]) {
      if (instance.phase === 'opening') this.#life.drop(instance, this.notHere(instance.key))
      else if (instance.head !== undefined) this.#refuseAll(instance, this.notHere(instance.key))
    }
  }

  /** A frozen partition waits no longer for its handlers. They may go on, but nobody hears of them. */
  cutOff(partition: Partition): void {
    for (const turn of [...partition.ongoing]) {
      const { entry, call, running } = turn
      const message = `${call.method} took longer than its key could wait to move (limits.freezeWaitMs)`
      entry.outcome = failure('ERR_SHOAL_TIMEOUT', message, true)
      entry.turn = undefined
      turn.settle(entry.outcome)
      running.cancel()
    }
    const { frozen } = partition
    partition.frozen = undefined
    frozen?.()
  }

  /** The partition is not here any more. */
  release(partition: Partition): void {
    for (const turn of [...partition.held]) this.refuse(turn, this.notHere(turn.entry.instance.key))
    for (const instance of [...partition.keys.values()]) {
      if (!this.#kind.moves) this.#life.close(instance)
      this.#life.drop(instance, this.notHere(instance.key))
    }
  }

  #refuseAll(instance: Instance, error: CallFailure): void {
    for (let turn = instance.head; turn !== undefined; turn = instance.head) this.refuse(turn, error)
  }

  /** What a call hears whose partition is not active here. */
  notHere(key: string): CallFailure {
    return notHere(this.#ports.self, this.#kind.name, key)
  }
}
