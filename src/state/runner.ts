/**
 * Runs handlers: the calls of a key that wait, one after the other, and those that need not wait. What they did is told to
 * whoever copies the key before their callers hear of it.
 */
import type { Clock } from '../env.ts'
import type { CallFailure } from '../rpc/call.ts'
import { runOutside } from '../scope.ts'
import type { Slot } from '../shard/concurrency.ts'
import type { Running } from '../shard/context.ts'
import { type BodyCodec, handlerThrew, isThenable } from '../shard/methods.ts'
import { type Later, Refused } from '../shard/own.ts'
import { isAsyncIterable } from '../shard/source.ts'
import type { Body } from '../wire/body.ts'
import { type Effects, shipRecord } from './effects.ts'
import { type Host, RunningContext } from './entity-context.ts'
import { notHere, replyUnfit } from './failures.ts'
import { type Instance, type Partition, stamp } from './instance.ts'
import type { Keeping } from './keeping.ts'
import type { CallKind, EntityKind } from './kind.ts'
import { whyNotSent } from './plain.ts'
import type { KeyRecord } from './records.ts'
import { Turn, type TurnPorts } from './turn.ts'
import type { Entry } from './window.ts'

export interface RunnerPorts {
  /** Name of this node. */
  readonly self: string
  readonly clock: Clock
  readonly codec: BodyCodec
  /** A handler that did not return at once, for the limit of concurrency. */
  readonly admission: {
    begin(method: string, caller: string, exempt: boolean): Slot | undefined
    end(slot: Slot, failed: boolean, abandoned: boolean): void
  }
  readonly keeping: Keeping
  /** The key is another now, or gone. */
  changed(instance: Instance): void
  /** A key as it is now. Throws when its state cannot be written. */
  record(instance: Instance): KeyRecord
  readonly effects: () => Effects | undefined
}

/** What the runner asks of those beside it. */
export interface RunnerLinks extends TurnPorts {
  /** No handler of the key runs any more. */
  calm(instance: Instance): void
  /** A call has ended that did not end at once. */
  ended(entry: Entry): void
  /** No call of this object runs any more that excludes others, and it is not the key any more. */
  lingered(instance: Instance): void
}

/** Handlers that run one after the other before others have their turn. */
const runsMax = 64

export class Runner {
  readonly #kind: EntityKind
  readonly #ports: RunnerPorts
  readonly #links: RunnerLinks
  readonly #host: Host
  /** Calls that wait, held ones too. */
  waiting = 0
  /** The key whose calls are being started. */
  #pumped: Instance | undefined

  constructor(kind: EntityKind, ports: RunnerPorts, links: RunnerLinks) {
    this.#kind = kind
    this.#ports = ports
    this.#links = links
    this.#host = { entity: kind.name, node: ports.self }
  }

  /** The call has its place behind all others of its key. */
  enqueue(turn: Turn): void {
    const { instance } = turn.entry
    turn.phase = 'waiting'
    turn.previous = instance.tail
    if (instance.tail === undefined) instance.head = turn
    else instance.tail.next = turn
    instance.tail = turn
  }

  dequeue(turn: Turn): void {
    const { instance } = turn.entry
    const { previous, next } = turn
    if (previous === undefined) instance.head = next
    else previous.next = next
    if (next === undefined) instance.tail = previous
    else next.previous = previous
    turn.previous = undefined
    turn.next = undefined
  }

  /** Starts what may start. */
  pump(instance: Instance): void {
    // A handler that ended at once asks for the next one, from within the loop that does so anyway.
    if (this.#pumped === instance) return
    const outer = this.#pumped
    this.#pumped = instance
    this.#startAll(instance)
    this.#pumped = outer
  }

  #startAll(instance: Instance): void {
    for (let runs = 0; instance.phase === 'open'; runs++) {
      const turn = instance.head
      if (turn === undefined || (instance.taken !== undefined && !turn.call.interleaves)) return
      if (instance.partition.phase !== 'active') return
      if (runs >= runsMax) {
        runOutside(() => this.#ports.clock.afterIo(() => this.pump(instance)))
        return
      }
      this.dequeue(turn)
      this.waiting -= 1
      turn.unwatch()
      this.#start(turn)
    }
  }

  #start(turn: Turn): void {
    const { entry, call, running } = turn
    turn.phase = 'running'
    this.#begin(entry.instance, call, running)
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

  /** Runs a call that need not wait. Throws `Refused`. */
  run(entry: Entry, call: CallKind, arg: unknown, running: Running): Body | Later {
    this.#begin(entry.instance, call, running)
    let outcome: Body | CallFailure
    try {
      const result = this.#handle(entry, call, arg, running)
      if (isThenable(result)) {
        const turn = this.#turn(entry, call, running)
        this.#follow(turn, result)
        return turn.outcome
      }
      outcome = this.#encoded(call, running, result)
    } catch (error) {
      outcome = this.#thrown(call, running, error)
    }
    if (this.#ports.effects() !== undefined) {
      const turn = this.#turn(entry, call, running)
      this.#end(entry, call, outcome)
      return turn.outcome
    }
    this.#end(entry, call, outcome)
    if ('code' in outcome) throw new Refused(outcome)
    return outcome
  }

  /** Tells an outcome again, once its effect is where it should be. */
  confirm(effects: Effects, entry: Entry, call: CallKind, running: Running): Later {
    const turn = this.#turn(entry, call, running)
    const { outcome, instance } = entry
    effects.ship(instance.partition.number, instance.key, undefined, (failed) => {
      entry.turn = undefined
      const known = failed ?? outcome
      if (known !== undefined) turn.settle(known)
    })
    return turn.outcome
  }

  /** Of a call that has run, or whose handler goes on. */
  #turn(entry: Entry, call: CallKind, running: Running): Turn {
    const turn = new Turn(this.#links, entry, call, undefined, running)
    turn.phase = 'running'
    entry.turn = turn
    return turn
  }

  #handle(entry: Entry, call: CallKind, arg: unknown, running: Running): unknown {
    const context = new RunningContext(entry, this.#host, running)
    return call.run(entry.instance.state, arg, context)
  }

  #begin(instance: Instance, call: CallKind, running: Running): void {
    if (!call.interleaves) instance.taken = running
    instance.running += 1
    instance.partition.running += 1
  }

  /** The handler goes on. */
  #follow(turn: Turn, result: PromiseLike<unknown>): void {
    const { entry, call, running } = turn
    const { admission } = this.#ports
    link(entry.instance.partition, turn)
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
      if (isAsyncIterable(value)) throw new Error('a call of an entity cannot stream')
      // It may be part of the state, which the next call changes.
      return codec.copy(codec.encode(value, whyNotSent))
    } catch (error) {
      return replyUnfit(call, running.abandoned, error)
    }
  }

  #thrown(call: CallKind, running: Running, error: unknown): CallFailure {
    return handlerThrew(call.method, running, error, this.#kind.remoteStacks)
  }

  /** A handler has ended. */
  #end(entry: Entry, call: CallKind, outcome: Body | CallFailure, turn: Turn | undefined = entry.turn): void {
    const { instance } = entry
    const { partition } = instance
    if (turn !== undefined) {
      unlink(partition, turn)
      this.#links.ended(entry)
    }
    if (!call.interleaves) {
      instance.taken = undefined
      if (instance.phase === 'gone') this.#links.lingered(instance)
    }
    instance.running -= 1
    // Of a call that was cut off, or whose key went elsewhere, nobody hears.
    const isHeard = instance.phase === 'open' && turn?.phase !== 'over'
    if (isHeard && !call.readonly) entry.outcome = outcome
    const changes = instance.phase === 'open' && !call.readonly
    if (changes) {
      stamp(instance)
      this.#ports.keeping.changed(instance)
      this.#ports.changed(instance)
    }
    const effects = this.#ports.effects()
    if (turn !== undefined && effects !== undefined && isHeard) this.#ship(effects, turn, outcome)
    else {
      entry.turn = undefined
      turn?.settle(instance.phase === 'open' || !this.#kind.moves ? outcome : this.#undone(instance))
      if (turn !== undefined && changes) this.#shipLate(instance)
    }
    if (instance.running === 0 && partition.merging !== undefined) this.#links.calm(instance)
    this.busy(partition, -1)
    if (instance.head !== undefined) this.pump(instance)
  }

  /** What it did went with the state: it may run once more, elsewhere. */
  #undone({ key }: Instance): CallFailure {
    return { ...notHere(this.#ports.self, this.#kind.name, key), mayHaveRun: true }
  }

  #ship(effects: Effects, turn: Turn, outcome: Body | CallFailure): void {
    const { entry, call, running } = turn
    const told = (failed?: CallFailure): void => {
      entry.turn = undefined
      turn.settle(failed ?? outcome)
    }
    const { instance } = entry
    const { partition, key } = instance
    try {
      // Nor is told what was read of a state that its copies lack.
      if (call.readonly && partition.unshipped?.has(instance) !== true)
        effects.ship(partition.number, key, undefined, told)
      else this.ship(effects, instance, told)
    } catch (error) {
      const threw = this.#thrown(call, running, error)
      // Another copy of the call is to hear the same.
      if (entry.outcome !== undefined) entry.outcome = threw
      told(threw)
    }
  }

  /** The key as it is goes to its copies. Throws when it cannot be written: they lack its last change from then on. */
  ship(effects: Effects, instance: Instance, done: (failure?: CallFailure) => void): void {
    instance.partition.unshipped?.delete(instance)
    try {
      shipRecord(effects, instance, this.#ports.record(instance), done)
    } catch (error) {
      this.#unshipped(instance)
      throw error
    }
  }

  #unshipped(instance: Instance): void {
    const { partition } = instance
    partition.unshipped ??= new Set()
    partition.unshipped.add(instance)
  }

  /** A call that was cut off has changed its key after all: nobody waits for that, but copies must not lack it. */
  #shipLate(instance: Instance): void {
    const effects = this.#ports.effects()
    if (effects === undefined) return
    // What is on its way to another node stays as it is.
    if (instance.partition.phase !== 'active') {
      this.#unshipped(instance)
      return
    }
    try {
      this.ship(effects, instance, () => {})
    } catch {
      // It cannot be written: the next call of the key hears of that.
    }
  }

  /** The partition goes on here: what cut off calls have changed meanwhile goes to its copies. */
  thawed(partition: Partition): void {
    const { unshipped } = partition
    partition.unshipped = undefined
    if (unshipped === undefined) return
    for (const instance of unshipped) if (instance.phase === 'open') this.#shipLate(instance)
  }

  /** Something that a frozen partition waits for has begun (1), or ended (-1). */
  busy(partition: Partition, change: 1 | -1): void {
    partition.running += change
    if (partition.running > 0 || partition.frozen === undefined) return
    const { frozen } = partition
    partition.frozen = undefined
    frozen()
  }
}

/** Calls that run on stand in a list, through the pointers that they do not need any more as those that wait. */
function link(partition: Partition, turn: Turn): void {
  const { ongoing } = partition
  turn.next = ongoing
  if (ongoing !== undefined) ongoing.previous = turn
  partition.ongoing = turn
}

function unlink(partition: Partition, turn: Turn): void {
  const { next, previous } = turn
  if (previous !== undefined) previous.next = next
  else if (partition.ongoing === turn) partition.ongoing = next
  if (next !== undefined) next.previous = previous
  turn.next = undefined
  turn.previous = undefined
}
