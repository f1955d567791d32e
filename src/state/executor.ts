/**
 * Takes the calls of one entity: one at a time for each key, in the order in which their callers made them, each once. A
 * call of a key that is open and idle, whose handler returns at once, runs in the caller's own turn of the loop and makes no
 * promise. Everything else becomes a `Turn`.
 */
import type { CallFailure } from '../rpc/call.ts'
import { rememberScope } from '../scope.ts'
import type { Running } from '../shard/context.ts'
import { failure } from '../shard/methods.ts'
import { type Later, Refused } from '../shard/own.ts'
import type { Body } from '../wire/body.ts'
import type { Arrival } from './arrivals.ts'
import { type CallBody, nameOfCall, readCallBody } from './call-body.ts'
import { shipRecord } from './effects.ts'
import { mailboxFull, notHere, notTyped, settledBefore, waitedInVain } from './failures.ts'
import type { Instance, Partition } from './instance.ts'
import type { CallKind, EntityKind } from './kind.ts'
import { Life, type LifePorts } from './life.ts'
import type { EntityLimits } from './limits.ts'
import { Lingering } from './lingering.ts'
import { Order } from './order.ts'
import { removedRecord } from './records.ts'
import { Runner, type RunnerPorts } from './runner.ts'
import { Turn, type TurnPorts } from './turn.ts'
import { type Caller, type Entry, Window } from './window.ts'

export interface ExecutorPorts
  extends RunnerPorts,
    Omit<LifePorts, 'window' | 'came' | 'pump' | 'refuse' | 'busy' | 'removed' | 'merged'> {
  readonly limits: EntityLimits
  /** The partition of a key: what a peer says of it is not believed. */
  partitionOf(key: string): number
  /** If anything is held of it. */
  partition(number: number): Partition | undefined
}

export class Executor implements TurnPorts {
  readonly window: Window
  readonly #kind: EntityKind
  readonly #ports: ExecutorPorts
  readonly #order: Order
  readonly #life: Life
  readonly #runner: Runner
  readonly #lingering: Lingering

  constructor(kind: EntityKind, ports: ExecutorPorts) {
    this.#kind = kind
    this.#ports = ports
    this.window = new Window(ports.limits, kind.level === 'replicated')
    this.#runner = new Runner(kind, ports, {
      left: (turn) => this.left(turn),
      waitedLongEnough: (turn) => this.waitedLongEnough(turn),
      calm: (instance) => this.#life.calm(instance),
      ended: (entry) => this.window.ended(entry),
      lingered: (instance) => this.#lingering.ended(instance),
    })
    this.#lingering = new Lingering(ports.clock, ports.limits.freezeWaitMs, (instance) =>
      this.#runner.pump(instance),
    )
    this.#life = new Life(kind, {
      ...ports,
      window: this.window,
      came: (instance) => this.#lingering.came(instance),
      pump: (instance) => this.#runner.pump(instance),
      refuse: (instance, error) => this.#refuseAll(instance, error),
      removed: (instance) => {
        const effects = ports.effects()
        instance.partition.unshipped?.delete(instance)
        if (effects !== undefined) shipRecord(effects, instance, removedRecord(instance), () => {})
      },
      merged: (instance) => {
        const effects = ports.effects()
        if (effects !== undefined) this.#runner.ship(effects, instance, () => {})
      },
      busy: (partition, change) => this.#runner.busy(partition, change),
    })
    this.#order = new Order(ports.clock, ports.limits.orderWaitMs, (turn) => this.#enqueue(turn))
  }

  /** Calls that wait for their turn. */
  get waiting(): number {
    return this.#runner.waiting
  }

  /** The outcome of a call, encoded. Throws `Refused`. */
  call(call: CallKind, body: unknown, running: Running): Body | Later {
    const { key } = running
    const said = readCallBody(body)
    if (key === undefined || said === undefined) throw new Refused(notTyped(call))
    const isOwn = running.caller === this.#ports.self
    const partition = this.#ports.partition(isOwn ? running.partition : this.#ports.partitionOf(key))
    if (partition === undefined || partition.phase !== 'active') throw new Refused(this.notHere(key))
    const refusal = this.#ports.effects()?.refuses(partition.number)
    if (refusal !== undefined) throw new Refused(refusal)
    const caller = this.window.heard(said.origin, said.settledBelow)
    if (caller.held !== undefined) this.#order.settled(caller)
    const name = nameOfCall(call.name, said.callId)
    const known = this.window.find(caller, said.seq, name, key)
    if (known !== undefined) {
      const again = this.#again(known, call, said, running)
      if (again !== undefined) return again
    } else if (said.seq < caller.settledBelow) throw new Refused(settledBefore(call))
    return this.#first(partition, key, call, caller, said, running)
  }

  /** The call came before; undefined: it may run once more. */
  #again(entry: Entry, call: CallKind, said: CallBody, running: Running): Body | Later | undefined {
    const isCopy = entry.seq !== said.seq || entry.caller.origin !== said.origin
    if (isCopy && entry.turn?.phase === 'held') this.#bringForward(entry.turn, said)
    const { outcome, turn } = entry
    if (turn === undefined && outcome === undefined) {
      // Another number stays known: later calls of its caller follow it.
      if (isCopy) this.window.unname(entry)
      else this.window.forget(entry)
      return undefined
    }
    if (isCopy) this.#noteCopy(entry, said)
    if (turn !== undefined) return turn.join(running)
    // Its effect may have come here with a copy that alone has it: told once enough have.
    const effects = this.#ports.effects()
    if (effects !== undefined && outcome !== undefined)
      return this.#runner.confirm(effects, entry, call, running)
    if (outcome !== undefined && 'code' in outcome) throw new Refused(outcome)
    return outcome
  }

  /** A copy of a held call comes where the call itself may, and may be what that one is held for. */
  #bringForward(turn: Turn, { origin, seq, previous }: CallBody): void {
    if (this.#order.permits(this.window.heard(origin, 0), previous)) this.#order.release(turn)
    else if (turn.after === seq && turn.entry.caller.origin === origin) this.#order.holdFor(turn, previous)
  }

  /** Later calls of the same caller name this copy as the one they follow. */
  #noteCopy({ instance, turn }: Entry, { origin, seq }: CallBody): void {
    const caller = this.window.heard(origin, 0)
    if (caller.entries.get(seq) === undefined) {
      const copy = this.window.add(caller, seq, '', instance)
      turn?.copied(copy)
    }
    if (turn?.phase !== 'held' && caller.held !== undefined) this.#order.arrived(caller, seq)
  }

  #first(
    partition: Partition,
    key: string,
    call: CallKind,
    caller: Caller,
    said: CallBody,
    running: Running,
  ): Body | Later {
    const instance = partition.keys.get(key) ?? this.#life.open(partition, key)
    this.#ports.keeping.used(instance)
    const name = nameOfCall(call.name, said.callId)
    const isOrdered = this.#order.permits(caller, said.previous)
    const isFree = instance.phase === 'open' && (instance.taken === undefined || call.interleaves)
    if (isFree && isOrdered && instance.head === undefined) {
      const entry = this.window.add(caller, said.seq, name, instance)
      try {
        return this.#runner.run(entry, call, said.arg, running)
      } finally {
        if (caller.held !== undefined) this.#order.arrived(caller, said.seq)
      }
    }
    const { limits, self } = this.#ports
    if (this.#runner.waiting >= limits.turnsWaitingMax) {
      throw new Refused(mailboxFull(self, call, limits.turnsWaitingMax))
    }
    const entry = this.window.add(caller, said.seq, name, instance)
    const turn = new Turn(this, entry, call, said.arg, running)
    entry.turn = turn
    turn.enter = rememberScope()
    this.#runner.waiting += 1
    turn.watch()
    if (isOrdered) this.#enqueue(turn)
    else this.#order.hold(turn, said.previous)
    return turn.outcome
  }

  #enqueue(turn: Turn): void {
    const { instance, caller, seq } = turn.entry
    this.#runner.enqueue(turn)
    if (caller.held !== undefined) this.#order.arrived(caller, seq)
    for (const copy of turn.copies ?? [])
      if (copy.caller.held !== undefined) this.#order.arrived(copy.caller, copy.seq)
    this.#runner.pump(instance)
  }

  left(turn: Turn): void {
    this.refuse(turn, waitedInVain(this.#ports.self, turn.call, turn.entry.instance))
  }

  waitedLongEnough(turn: Turn): void {
    this.#order.release(turn)
  }

  /** A call that has not started never will. */
  refuse(turn: Turn, error: CallFailure): void {
    if (turn.phase === 'held') this.#order.drop(turn)
    else this.#runner.dequeue(turn)
    this.#runner.waiting -= 1
    turn.unwatch()
    turn.entry.turn = undefined
    this.window.forget(turn.entry)
    for (const copy of turn.copies ?? []) this.window.forget(copy)
    turn.settle(error)
    this.#runner.pump(turn.entry.instance)
  }

  /** Another node has sent the key. `wasLive`: its partition was live here already. */
  arrived(partition: Partition, key: string, arrival: Arrival, wasLive: boolean): void {
    this.#life.arrived(partition, key, arrival, wasLive)
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
    for (let turn = partition.ongoing; turn !== undefined; turn = turn.next) {
      const { entry, call, running } = turn
      const message = `${call.method} took longer than its key could wait to move (limits.freezeWaitMs)`
      entry.outcome = failure('ERR_SHOAL_TIMEOUT', message, true)
      entry.turn = undefined
      // Before it is over: a handler that listens to its signal may end yet.
      running.cancel()
      turn.settle(entry.outcome)
    }
    const { frozen } = partition
    partition.frozen = undefined
    frozen?.()
  }

  /** The partition goes on here. */
  thawed(partition: Partition): void {
    this.#runner.thawed(partition)
  }

  /** The partition is not here any more. */
  release(partition: Partition): void {
    for (const turn of [...partition.held]) this.refuse(turn, this.notHere(turn.entry.instance.key))
    for (const instance of [...partition.keys.values()]) {
      if (!this.#kind.moves) this.#life.close(instance)
      this.#lingering.left(instance)
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
