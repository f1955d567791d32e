/**
 * What callers of ledgers asked and were told, in the order in which it happened all over the world, and what of it must
 * never be. Nobody but a simulation can write down such a history.
 */
import { linearize, type Operation, type SequentialModel } from '../../src/sim/checkers/linearizable.ts'
import { Violation } from '../../src/sim/checkers/violation.ts'
import type { Found, LedgerCall, Update } from './ledger.ts'

/** One call. */
export interface LedgerOp {
  readonly key: string
  readonly call: LedgerCall
  readonly update: Update
  /** Name and boot of whoever made it. */
  readonly caller: string
  readonly timeoutMs: number
  /** Places in the order of all that happened; `endedAt` is Infinity while nobody knows what became of it. */
  readonly startedAt: number
  readonly startedMs: number
  endedAt: number
  found: Found | undefined
  /** It failed, and cannot have run. */
  isUnrun: boolean
  isSettled: boolean
  failure: string | undefined
}

/** What a run promises. */
export interface LedgerRules {
  /** Nothing acknowledged is lost. */
  readonly keepsAll: boolean
  /** What is lost is told. */
  readonly tellsLosses: boolean
  readonly isLinearizable: boolean
  /** More copies may be out of reach than its level allows for: a key of which that is told begins anew. */
  readonly mayBeginAnew: boolean
  /** A call that is repeated hears what it heard first: nobody forgets what it had answered, nor does another one answer it anew. */
  readonly isOnce: boolean
  /** Updates of one caller to one key happen in the order in which they were asked for, also of those that overlap. */
  readonly keepsOrder: boolean
  /** No call fails. */
  readonly mayFail: boolean
  /** No two owners run calls of a key at once. */
  readonly mayOverlap: boolean
}

/** A handler that runs. */
interface Run {
  readonly who: string
  readonly isGone: () => boolean
}

/** How many updates there were, and the last. */
interface Tally {
  readonly count: number
  readonly last: string
}

type Asked = Pick<LedgerOp, 'call' | 'update'>

/** Beyond, the list alone says that all is well. */
const stepsMax = 20_000

const tally: SequentialModel<Tally, Asked, Found> = {
  initial: { count: 0, last: '' },
  step: (before, { call, update }, found) => {
    if (found !== undefined && (found.count !== before.count || found.last !== before.last)) return undefined
    const happens = call === 'append' || call === 'slow' || (call === 'swap' && before.last === update.expect)
    if (found !== undefined && found.isAdded !== happens) return undefined
    return happens ? { count: before.count + 1, last: update.token } : before
  },
  text: ({ count, last }) => `${count} ${last}`,
}

export class LedgerHistory {
  /** Those of the present; `check` holds to those of the end. */
  rules: LedgerRules
  readonly ops: LedgerOp[] = []
  /** Runs of handlers beyond the first of an update. */
  repeatedRuns = 0
  /** Answers of an owner after a newer one had answered for that key: how many, and how long after at most. */
  readonly late = { answers: 0, msMax: 0 }
  undecided = 0
  readonly #now: () => number
  readonly #broken: (violation: Violation) => void
  readonly #running = new Map<string, Set<Run>>()
  readonly #ran = new Set<string>()
  readonly #newest = new Map<string, { epoch: number; sinceMs: number }>()
  #order = 0

  /** `broken` hears of what is wrong at once; the rest is told by `check`. */
  constructor(rules: LedgerRules, now: () => number, broken: (violation: Violation) => void) {
    this.rules = rules
    this.#now = now
    this.#broken = broken
  }

  began(
    key: string,
    call: LedgerCall,
    update: Update,
    from: { readonly caller: string; readonly timeoutMs: number },
  ): LedgerOp {
    this.#order += 1
    const op: LedgerOp = {
      key,
      call,
      update,
      ...from,
      startedAt: this.#order,
      startedMs: this.#now(),
      endedAt: Number.POSITIVE_INFINITY,
      found: undefined,
      isUnrun: false,
      isSettled: false,
      failure: undefined,
    }
    this.ops.push(op)
    return op
  }

  answered(op: LedgerOp, found: Found): void {
    if (op.found !== undefined) {
      // What changes nothing may run once more.
      if (this.rules.isOnce && isUpdate(op) && JSON.stringify(op.found) !== JSON.stringify(found))
        this.#tell(
          'answers',
          `${what(op)} was answered twice, and otherwise: ${JSON.stringify([op.found, found])}`,
        )
      return
    }
    this.#order += 1
    op.endedAt = this.#order
    op.found = found
    op.isSettled = true
    this.#heardOf(op.key, found)
  }

  failed(op: LedgerOp, error: unknown, mayHaveRun: boolean): void {
    if (op.found !== undefined) return
    op.isSettled = true
    op.isUnrun = !mayHaveRun
    op.failure = error instanceof Error ? error.message : String(error)
    if (!this.rules.mayFail)
      this.#tell('failed', `${what(op)} failed ${this.#now() - op.startedMs} ms on: ${op.failure}`)
  }

  /** A handler begins; what is returned is to be called when it has ended. */
  ran(key: string, call: LedgerCall, token: string, run: Run): () => void {
    const known = token !== '' && this.#ran.has(token)
    if (known) this.repeatedRuns += 1
    else this.#ran.add(token)
    if (call === 'peek') return () => {}
    const running = this.#running.get(key) ?? new Set()
    this.#running.set(key, running)
    for (const other of running) {
      if (other.isGone()) running.delete(other)
      else if (other.who === run.who || !this.rules.mayOverlap)
        this.#tell('overlap', `${call} of "${key}" begins on ${run.who} while one runs on ${other.who}`)
    }
    running.add(run)
    return () => running.delete(run)
  }

  /**
   * Holds what is there in the end against all that was told. Throws a `Violation`. `isLost`: a node said that what it held
   * of the key is gone.
   */
  check(key: string, tokens: readonly string[], isLost = false): void {
    const ops = this.ops.filter((op) => op.key === key)
    const asked = new Map(ops.filter(isUpdate).map((op) => [op.update.token, op]))
    const places = new Map<string, number>()
    for (const [place, token] of tokens.entries()) {
      const op = asked.get(token)
      if (places.has(token)) this.#throw('doubled', `"${key}" has ${token} twice`)
      if (op === undefined) this.#throw('foreign', `"${key}" has ${token}, for which nobody asked`)
      else if (op.isUnrun)
        this.#throw('unrun', `${what(op)} failed with mayHaveRun: false and happened (${op.failure})`)
      else if (op.found?.isAdded === false && this.rules.isOnce)
        this.#throw('unasked', `${what(op)} was refused and happened`)
      places.set(token, place)
    }
    // What is lost is lost with a word.
    if (this.rules.keepsAll || (this.rules.tellsLosses && !isLost)) this.#allKept(ops, places)
    if (this.rules.keepsOrder) this.#inOrder(key, tokens, asked)
    if (!this.rules.isLinearizable || (isLost && this.rules.mayBeginAnew)) return
    this.#inPlaces(ops, tokens)
    this.#explained(key, ops, tokens)
    this.#inTenures(key, tokens, asked)
  }

  #allKept(ops: readonly LedgerOp[], places: ReadonlyMap<string, number>): void {
    for (const op of ops)
      if (op.found?.isAdded && !places.has(op.update.token))
        this.#throw(
          'lost',
          `${what(op)} was acknowledged by ${op.found.by} (epoch ${op.found.epoch}) and is gone`,
        )
  }

  #inOrder(key: string, tokens: readonly string[], asked: ReadonlyMap<string, LedgerOp>): void {
    const latest = new Map<string, LedgerOp>()
    for (const token of tokens) {
      const op = asked.get(token) as LedgerOp
      const before = latest.get(op.caller)
      if (before !== undefined && before.startedAt > op.startedAt)
        this.#throw(
          'order',
          `${before.update.token} happened before ${token} in "${key}", and was asked for after it`,
        )
      latest.set(op.caller, op)
    }
  }

  /** Owners followed each other: what one did comes after all of the one before. */
  #inTenures(key: string, tokens: readonly string[], asked: ReadonlyMap<string, LedgerOp>): void {
    let latest: Found | undefined
    for (const token of tokens) {
      const found = asked.get(token)?.found
      if (found === undefined) continue
      const [before, after] = [counterOf(latest), counterOf(found)]
      if (after < before || (after === before && latest?.epoch !== found.epoch)) {
        const who = `${latest?.by} (epoch ${latest?.epoch})`
        this.#throw(
          'tenures',
          `${token} of "${key}" by ${found.by} (epoch ${found.epoch}) came after one by ${who}`,
        )
      }
      latest = found
    }
  }

  /**
   * The list itself is an order of all updates: each answer must come of its place in it, and what ended before another began
   * must lie before it.
   */
  #inPlaces(ops: readonly LedgerOp[], tokens: readonly string[]): void {
    const places = new Map(tokens.map((token, place) => [token, place]))
    const moments: { readonly at: number; readonly op: LedgerOp; readonly isStart: boolean }[] = []
    for (const op of ops) {
      const { found, update } = op
      if (op.call === 'peek' || (found === undefined && !places.has(update.token))) continue
      const isFitting = found?.isAdded !== true || places.get(update.token) === found.count
      if (found !== undefined && (!isFitting || (tokens[found.count - 1] ?? '') !== found.last))
        this.#throw(
          'linearizable',
          `${what(op)} found ${found.count} updates and "${found.last}" at ${found.by} (epoch ${found.epoch}), and the list is another`,
        )
      moments.push({ at: op.startedAt, op, isStart: true })
      if (found !== undefined) moments.push({ at: op.endedAt, op, isStart: false })
    }
    moments.sort((a, b) => a.at - b.at)
    let [least, latest] = [0, undefined as LedgerOp | undefined]
    for (const { op, isStart } of moments) {
      const before = op.found?.count ?? places.get(op.update.token) ?? 0
      if (isStart && before < least && latest !== undefined)
        this.#throw(
          'linearizable',
          `${what(op)} came of a state with ${before} updates, and began when ${what(latest)} had ended with ${least}`,
        )
      const after = before + (op.found?.isAdded === true ? 1 : 0)
      if (isStart || after <= least) continue
      least = after
      latest = op
    }
  }

  #explained(key: string, ops: readonly LedgerOp[], tokens: readonly string[]): void {
    const kept = new Set(tokens)
    this.#order += 1
    const asked: Operation<Asked, Found>[] = ops
      .filter(({ call }) => call !== 'peek')
      // What nobody knows of and left nothing behind may as well never happen.
      .filter((op) => op.found !== undefined || (isUpdate(op) && kept.has(op.update.token)))
      .map((op) => ({ input: op, output: op.found, startedAt: op.startedAt, endedAt: op.endedAt }))
    const last: Found = { isAdded: false, count: tokens.length, last: tokens.at(-1) ?? '', by: '', epoch: '' }
    const end: Operation<Asked, Found> = {
      input: { call: 'read', update: { token: '', expect: '' } },
      output: last,
      startedAt: this.#order,
      endedAt: this.#order + 1,
    }
    const history = [...asked, end]
    const { result, order, stuck } = linearize(tally, history, { stepsMax })
    if (result === 'undecided') this.undecided += 1
    if (result !== 'violated') return
    const told = (place: number): string => {
      const { input, output } = history[place] as Operation<Asked, Found>
      const name = input.update.token === '' ? input.call : `${input.call} ${input.update.token}`
      return output === undefined
        ? name
        : `${name} (found ${output.count} "${output.last}" at ${output.by} ${output.epoch})`
    }
    this.#throw(
      'linearizable',
      `no order explains the calls of "${key}": after ${order.slice(-3).map(told).join(', ')} none of ${stuck.slice(0, 6).map(told).join(', ')} can come`,
    )
  }

  #heardOf(key: string, found: Found): void {
    const counter = counterOf(found)
    const newest = this.#newest.get(key)
    if (newest === undefined || counter > newest.epoch) {
      this.#newest.set(key, { epoch: counter, sinceMs: this.#now() })
    } else if (counter < newest.epoch) {
      this.late.answers += 1
      this.late.msMax = Math.max(this.late.msMax, this.#now() - newest.sinceMs)
    }
  }

  #tell(rule: string, message: string): void {
    this.#broken(new Violation(rule, this.#now(), message))
  }

  #throw(rule: string, message: string): never {
    throw new Violation(rule, this.#now(), message)
  }
}

/** Of its epoch, which is `counter@boot`. */
function counterOf(found: Found | undefined): number {
  return found === undefined ? 0 : Number.parseInt(found.epoch, 10)
}

function isUpdate({ call }: LedgerOp): boolean {
  return call !== 'read' && call !== 'peek'
}

function what({ key, call, update, caller, startedMs }: LedgerOp): string {
  return `${call} ${update.token} of "${key}" by ${caller} (made at ${startedMs.toFixed(1)})`
}
