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
import { type CallBody, readCallBody } from './call-body.ts'
import type { Effects } from './effects.ts'
import { InstanceContext, RunningContext } from './entity-context.ts'
import { givenUp, mailboxFull, notHere, notTyped, openThrew, settledBefore } from './failures.ts'
import { Instance, type Partition } from './instance.ts'
import type { CallKind, EntityKind } from './kind.ts'
import type { EntityLimits } from './limits.ts'
import { Order } from './order.ts'
import { Turn } from './turn.ts'
import { type Caller, type Entry, Window } from './window.ts'

export interface ExecutorPorts {
  /** Name of this node. */
  readonly self: string
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
  /** Why a key may not be opened now. */
  refuses(partition: Partition): CallFailure | undefined
  /** A key has its first state. */
  opened(instance: Instance): void
  /** A call that may have changed the state has ended. */
  changed(instance: Instance): void
  /** A key as it is now, for replication. */
  record(instance: Instance): Uint8Array
  readonly effects: () => Effects | undefined
}

/** Handlers that run one after the other before others have their turn. */
const runsMax = 64

export class Executor {
  readonly window: Window
  readonly #kind: EntityKind
  readonly #ports: ExecutorPorts
  readonly #order: Order
  #waiting = 0

  constructor(kind: EntityKind, ports: ExecutorPorts) {
    this.#kind = kind
    this.#ports = ports
    this.window = new Window(ports.limits)
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
    const instance = partition.keys.get(key) ?? this.#open(partition, key)
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
    instance.partition.running += 1
  }

  /** The handler goes on. */
  #follow({ entry, call, running }: Turn, result: PromiseLike<unknown>): void {
    const { admission } = this.#ports
    const slot = admission.begin(call.method, running.caller, false)
    Promise.resolve(result).then(
      (value) => {
        if (slot !== undefined) admission.end(slot, false, running.cancelled)
        this.#end(entry, call, this.#encoded(call, running, value))
      },
      (error: unknown) => {
        if (slot !== undefined) admission.end(slot, true, running.cancelled)
        this.#end(entry, call, this.#thrown(call, running, error))
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

  #thrown({ method }: CallKind, running: Running, error: unknown): CallFailure {
    // It may be the first to notice that the deadline has passed; the caller's answer must not depend on that.
    const { abandoned } = running
    if (abandoned !== undefined) return failure('ERR_SHOAL_TIMEOUT', abandoned.message, true)
    return failure('ERR_SHOAL_REMOTE', `the handler of ${method} threw: ${messageOf(error)}`, true)
  }

  /** A handler has ended. */
  #end(entry: Entry, call: CallKind, outcome: Body | CallFailure): void {
    const { instance, turn } = entry
    const { partition } = instance
    const isHere = instance.phase === 'open'
    if (!call.interleaves) instance.taken = false
    if (!call.readonly) {
      entry.outcome = outcome
      if (isHere) {
        instance.version = ++partition.version
        instance.epoch = partition.epoch
        this.#ports.changed(instance)
      }
    }
    const effects = this.#ports.effects()
    if (turn !== undefined && effects !== undefined && isHere) this.#ship(effects, entry, turn, call, outcome)
    else {
      entry.turn = undefined
      turn?.settle(outcome)
    }
    partition.running -= 1
    if (partition.running === 0 && partition.frozen !== undefined) {
      const { frozen } = partition
      partition.frozen = undefined
      frozen()
    } else if (instance.head !== undefined) this.#pump(instance)
  }

  #ship(effects: Effects, entry: Entry, turn: Turn, call: CallKind, outcome: Body | CallFailure): void {
    const { instance } = entry
    const record = call.readonly ? undefined : this.#ports.record(instance)
    effects.ship(instance.partition.number, record, (refused) => {
      entry.turn = undefined
      turn.settle(refused ?? outcome)
    })
  }

  /** Makes the first state of a key. Those that come meanwhile wait. */
  #open(partition: Partition, key: string): Instance {
    const refused = this.#ports.refuses(partition)
    if (refused !== undefined) throw new Refused(refused)
    const instance = new Instance(key, partition)
    partition.keys.set(key, instance)
    const context = new InstanceContext(instance, this.#kind.name, this.#ports.self)
    try {
      // It serves all who wait: neither deadline nor trace of one of them.
      const state = runOutside(() => this.#kind.open(key, context))
      if (isThenable(state)) {
        Promise.resolve(state).then(
          (value) => this.#opened(instance, value),
          (error: unknown) => this.#notOpened(instance, error),
        )
      } else {
        instance.phase = 'open'
        instance.state = state
        this.#ports.opened(instance)
      }
    } catch (error) {
      partition.keys.delete(key)
      instance.phase = 'gone'
      throw new Refused(openThrew(this.#kind.name, error), error)
    }
    return instance
  }

  #opened(instance: Instance, state: unknown): void {
    if (instance.phase !== 'opening') return
    instance.phase = 'open'
    instance.state = state
    this.#ports.opened(instance)
    this.#pump(instance)
  }

  #notOpened(instance: Instance, error: unknown): void {
    if (instance.phase !== 'opening') return
    this.discard(instance, openThrew(this.#kind.name, error))
  }

  /** The key is no more: those that wait for it fail. */
  discard(instance: Instance, error: CallFailure): void {
    const { partition, key } = instance
    instance.phase = 'gone'
    if (partition.keys.get(key) === instance) partition.keys.delete(key)
    while (instance.head !== undefined) this.refuse(instance.head, error)
    this.window.forgetAll(instance)
  }

  /** What a call hears whose partition is not active here. */
  notHere(key: string): CallFailure {
    return notHere(this.#ports.self, this.#kind.name, key)
  }
}
