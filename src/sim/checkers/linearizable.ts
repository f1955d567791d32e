/**
 * Whether a history of concurrent operations could have come of one object that does them one after the other, each at
 * some moment between its start and its end (Herlihy and Wing, 1990). The search is Wing and Gong's (1993) with the memory
 * of Lowe (2017): a set of operations that leads to a state that was seen with the same set is not tried again. Histories
 * are per key: an object is linearizable if each of its keys is (locality), and each search is short.
 */
import { checkWhole } from '../options.ts'

/** What the object does, one operation after the other. */
export interface SequentialModel<State, Input, Output> {
  readonly initial: State
  /**
   * The state after this operation; undefined: in that state it would not have answered so. An operation of which no
   * answer is known must be possible in every state.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined
  /** Equal for equal states, and for them alone. Default: `String`. */
  text?(state: State): string
}

/** Times are of one clock, or any numbers in the order of what happened. */
export interface Operation<Input, Output> {
  readonly input: Input
  readonly startedAt: number
  /** Infinity: nobody knows whether it took effect; it may do so at any time after its start, or never. */
  readonly endedAt: number
  /** Undefined where `endedAt` is Infinity. */
  readonly output: Output | undefined
}

export interface Linearization {
  /** `undecided`: more than `stepsMax` steps would have been needed. */
  readonly result: 'linearizable' | 'violated' | 'undecided'
  /** Places in the history: the order that was found, or the longest one that could be explained. */
  readonly order: readonly number[]
  /** Of those that were under way then, each contradicts that order. Empty where nothing is violated. */
  readonly stuck: readonly number[]
  readonly steps: number
}

const stepsMaxDefault = 1_000_000

/** A start or an end, in a list in order of time from which operations are taken out and put back. */
interface Mark {
  readonly op: number
  readonly at: number
  readonly isStart: boolean
  before: Mark | undefined
  after: Mark | undefined
}

/** Searches for an order. `stepsMax`: how often the model is asked at most (default 1,000,000). A wrong number throws `ERR_SHOAL_OPTION`. */
export function linearize<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  options: { readonly stepsMax?: number } = {},
): Linearization {
  const { stepsMax = stepsMaxDefault } = options
  checkWhole('stepsMax', stepsMax, 1)
  const { settled, open, starts, ends } = marksOf(history)
  const taken = new Taken(history)
  const seen = new Set<string>()
  const text = model.text?.bind(model) ?? String
  const path: { readonly op: number; readonly state: State }[] = []
  let best: readonly number[] = []
  let state = model.initial
  let steps = 0
  let mark = settled.after
  const told = (result: Linearization['result']): Linearization => {
    const order = result === 'linearizable' ? path.map(({ op }) => op) : best
    return { result, order, stuck: result === 'violated' ? stuckAfter(order, history) : [], steps }
  }
  while (taken.settledLeft > 0) {
    // Nothing else that has ended can be next: then one of those that may have taken effect at some time.
    if (mark !== undefined && !mark.isStart) mark = open.after
    if (mark !== undefined && (ends[mark.op] !== undefined || mark.at <= firstEnd(settled))) {
      if (++steps > stepsMax) return told('undecided')
      const { op } = mark
      const { input, output } = history[op]!
      const next = model.step(state, input, output)
      if (next !== undefined && isNew(op, next)) {
        path.push({ op, state })
        state = next
        unlink(starts[op]!)
        unlink(ends[op])
        mark = settled.after
      } else mark = mark.after
      continue
    }
    // What ended first can never be next any more: an earlier choice was wrong.
    if (path.length > best.length) best = path.map(({ op }) => op)
    const last = path.pop()
    if (last === undefined) return told('violated')
    state = last.state
    taken.remove(last.op)
    link(ends[last.op])
    link(starts[last.op]!)
    mark = starts[last.op]!.after
  }
  return told('linearizable')

  /** Takes the operation, unless the same ones have led to the same state before. */
  function isNew(op: number, next: State): boolean {
    taken.add(op)
    const known = `${taken.text}|${text(next)}`
    if (!seen.has(known)) {
      seen.add(known)
      return true
    }
    taken.remove(op)
    return false
  }
}

/** Which operations are in the order so far. */
class Taken {
  /** Those that ended and are not in it. */
  settledLeft: number
  /** Of an operation that ended its place among them, by start; -1 for others. */
  readonly #places: readonly number[]
  readonly #isTaken: boolean[]
  /** All that ended and began earlier are taken: few lie beyond it, however long the history. */
  #low = 0
  /** What of those without an end is taken. */
  readonly #unsettled = new Set<number>()

  constructor(history: readonly Operation<unknown, unknown>[]) {
    const settled = [...history.keys()]
      .filter((op) => history[op]!.endedAt !== Number.POSITIVE_INFINITY)
      .sort((a, b) => history[a]!.startedAt - history[b]!.startedAt)
    const places = history.map(() => -1)
    for (const [place, op] of settled.entries()) places[op] = place
    this.#places = places
    this.#isTaken = settled.map(() => false)
    this.settledLeft = settled.length
  }

  add(op: number): void {
    const place = this.#places[op]!
    if (place < 0) {
      this.#unsettled.add(op)
      return
    }
    this.#isTaken[place] = true
    this.settledLeft -= 1
    while (this.#isTaken[this.#low]) this.#low += 1
  }

  remove(op: number): void {
    const place = this.#places[op]!
    if (place < 0) {
      this.#unsettled.delete(op)
      return
    }
    this.#isTaken[place] = false
    this.settledLeft += 1
    this.#low = Math.min(this.#low, place)
  }

  /** Equal for equal sets. */
  get text(): string {
    let text = `${this.#low}`
    let left = this.#isTaken.length - this.settledLeft - this.#low
    for (let place = this.#low; left > 0; place += 1) {
      if (!this.#isTaken[place]) continue
      text += `,${place}`
      left -= 1
    }
    if (this.#unsettled.size === 0) return text
    return `${text};${[...this.#unsettled].sort((a, b) => a - b).join()}`
  }
}

/** `settled`: starts and ends of those that ended; `open`: the starts of the others. Both begin with a mark that is none. */
function marksOf(history: readonly Operation<unknown, unknown>[]): {
  readonly settled: Mark
  readonly open: Mark
  readonly starts: readonly Mark[]
  readonly ends: readonly (Mark | undefined)[]
} {
  const mark = (op: number, at: number, isStart: boolean): Mark => ({
    op,
    at,
    isStart,
    before: undefined,
    after: undefined,
  })
  const listOf = (marks: Mark[]): Mark => {
    // What ends at the moment at which another begins may have come after it.
    marks.sort((a, b) => a.at - b.at || Number(b.isStart) - Number(a.isStart))
    const head = mark(-1, 0, true)
    let last = head
    for (const one of marks) {
      last.after = one
      one.before = last
      last = one
    }
    return head
  }
  const starts = history.map(({ startedAt }, op) => mark(op, startedAt, true))
  const ends = history.map(({ endedAt }, op) =>
    endedAt === Number.POSITIVE_INFINITY ? undefined : mark(op, endedAt, false),
  )
  return {
    settled: listOf([
      ...starts.filter(({ op }) => ends[op] !== undefined),
      ...ends.filter((end) => end !== undefined),
    ]),
    open: listOf(starts.filter(({ op }) => ends[op] === undefined)),
    starts,
    ends,
  }
}

/** When the first of those that are left ended. */
function firstEnd(settled: Mark): number {
  let mark = settled.after
  while (mark?.isStart) mark = mark.after
  return mark?.at ?? Number.POSITIVE_INFINITY
}

function unlink(mark: Mark | undefined): void {
  if (mark === undefined) return
  if (mark.before !== undefined) mark.before.after = mark.after
  if (mark.after !== undefined) mark.after.before = mark.before
}

/** Puts back what was taken out last. */
function link(mark: Mark | undefined): void {
  if (mark === undefined) return
  if (mark.before !== undefined) mark.before.after = mark
  if (mark.after !== undefined) mark.after.before = mark
}

/** Those that had begun when the first one of what is left had ended. */
function stuckAfter(order: readonly number[], history: readonly Operation<unknown, unknown>[]): number[] {
  const placed = new Set(order)
  const left = [...history.keys()].filter((op) => !placed.has(op))
  const firstEnd = Math.min(...left.map((op) => history[op]!.endedAt))
  return left.filter((op) => history[op]!.startedAt <= firstEnd)
}
