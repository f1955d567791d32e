/**
 * The drill itself: a company of processes under load, a disturbance for each of them in turn, and at the end the state
 * against the books. Between two disturbances everyone sees one ring and no state is on the move.
 */
import { Failure } from '../command.ts'
import type { Place } from '../demo/fleet.ts'
import { pause } from '../quit.ts'
import { Company } from './company.ts'
import type { Lap, Setting } from './contract.ts'
import { compare, isLostInSilence, type Kind, type Promised, promised, type Terms } from './verdict.ts'

export interface Plan {
  readonly kind: Kind
  /** A file URL. */
  readonly entry: string
  readonly setting: Setting
  readonly nodes: number
  readonly rounds: number
  /** More rounds until so much time has passed. */
  readonly ms: number
  readonly keys: number
  readonly perSecond: number
  /** How long a process is down or stopped, or the split lasts. */
  readonly awayMs: number
  readonly leaveMs: number
}

/** What happens, as it happens. */
export type DrillEvent =
  | {
      readonly type: 'process'
      readonly name: string
      readonly pid: number | undefined
      readonly what: string
    }
  | Step
  | { readonly type: 'failed'; readonly call: string }
  | { readonly type: 'crashed'; readonly name: string; readonly why: string }
  /** A node said that partitions of another are gone. */
  | {
      readonly type: 'lost'
      readonly name: string
      readonly store: string
      readonly peer: string
      readonly partitions: number
    }
  | { readonly type: 'found'; readonly what: string }

/** One disturbance, until all was well again. */
export interface Step {
  readonly type: 'step'
  readonly round: number
  /** Who was disturbed. */
  readonly names: readonly string[]
  readonly ms: number
  readonly calls: number
  readonly failed: number
  readonly longestMs: number
}

export interface Summary {
  readonly type: 'summary'
  readonly kind: Kind
  readonly level: Setting['level']
  readonly merge: boolean
  readonly voters: number | null
  readonly nodes: number
  /** Rounds that were done, and disturbances in all. */
  readonly rounds: number
  readonly steps: number
  readonly calls: number
  readonly failed: number
  /** Acknowledged updates that the state does not have in the end. */
  readonly lost: number
  /** Updates that were applied more often than once, each time too many counted. */
  readonly doubled: number
  /** Keys whose state could not be read in the end. */
  readonly unread: number
  /** Longest time from the start of an update until one of its key was acknowledged: of all keys, and of half of them at most. */
  readonly maxUnavailableMs: number
  readonly medianUnavailableMs: number
  /** What nodes said of it themselves: partitions whose state was lost, and keys of which one of two states was dropped. */
  readonly lostPartitions: number
  readonly conflicts: number
  /** Processes that ended by themselves, or left with another exit code than 0. */
  readonly unexpectedExits: number
  /** Which of the counts the level promises to be 0. */
  readonly promised: readonly Promised[]
  /** They were, what was lost was told, everything could be read, and no process ended unasked. */
  readonly kept: boolean
}

/** Calls before the first disturbance and after the last one. */
const calmMs = 400
const settleMs = 120_000
const readMs = 20_000
/** The last calls have their own deadlines, which the service sets. */
const drainMs = 60_000

export class Exercise {
  readonly #plan: Plan
  readonly #quit: AbortSignal
  readonly #report: (event: DrillEvent) => void
  readonly #company: Company
  #unexpectedExits = 0
  #lostPartitions = 0
  #conflicts = 0
  #calls = 0
  #failed = 0
  #steps = 0

  constructor(plan: Plan, quit: AbortSignal, report: (event: DrillEvent) => void) {
    this.#plan = plan
    this.#quit = quit
    this.#report = report
    const { entry, setting, nodes, leaveMs, kind } = plan
    const isSplit = kind === 'split'
    this.#company = new Company(
      { entry, setting, leaveMs, cuttable: isSplit, members: nodes, clients: isSplit ? 2 : 1 },
      {
        changed: ({ name, child }, what) => report({ type: 'process', name, pid: child?.pid, what }),
        crashed: ({ name }, why) => {
          this.#unexpectedExits++
          report({ type: 'crashed', name, why })
        },
        lost: ({ name }, { store, peer, partitions }) => {
          if (peer === undefined) this.#conflicts++
          else report({ type: 'lost', name, store, peer, partitions })
          this.#lostPartitions += partitions
        },
      },
    )
  }

  /** Rejects with a `Failure` when it cannot be carried through. */
  async run(): Promise<Summary> {
    const { keys: keyCount, perSecond, rounds, ms } = this.#plan
    const company = this.#company
    const { members, clients } = company
    await company.start()
    await company.together(members, settleMs)
    const keys = Array.from({ length: keyCount }, (_, index) => `key-${index + 1}`)
    const load = { keys, perSecond: perSecond / clients.length }
    await Promise.all(clients.map((client) => company.ask(client, 'load', load)))
    const startedAt = performance.now()
    await this.#calm()
    let round = 0
    while (round < rounds || performance.now() - startedAt < ms) {
      round++
      for (const places of this.#turns(round)) await this.#step(round, places)
    }
    await this.#calm()
    await Promise.all(clients.map((client) => company.ask(client, 'stop', undefined, drainMs)))
    await this.#lap()
    return this.#judge(round)
  }

  /** Ends every process. */
  close(): Promise<void> {
    return this.#company.close()
  }

  /** Who is disturbed in a round: each in turn, or in a split the smaller side, another one each time. */
  #turns(round: number): readonly (readonly Place[])[] {
    const { members } = this.#company
    if (this.#plan.kind !== 'split') return members.map((place) => [place])
    const few = Math.max(1, Math.floor((members.length - 1) / 2))
    return [
      Array.from({ length: few }, (_, index) => members[(round * few + index) % members.length] as Place),
    ]
  }

  async #step(round: number, places: readonly Place[]): Promise<void> {
    const { members } = this.#company
    const startedAt = performance.now()
    await this.#disturb(places)
    await this.#company.together(members, settleMs)
    const ms = Math.round(performance.now() - startedAt)
    this.#steps++
    const { calls, failed, longestMs } = await this.#lap()
    const names = places.map(({ name }) => name)
    this.#report({ type: 'step', round, names, ms, calls, failed, longestMs: Math.round(longestMs) })
  }

  async #disturb(places: readonly Place[]): Promise<void> {
    const company = this.#company
    const { kind, awayMs } = this.#plan
    const [place] = places
    if (place === undefined) return
    const others = company.members.filter((other) => !places.includes(other))
    switch (kind) {
      case 'rolling':
        await company.leave(place)
        await company.restart(place)
        return
      case 'crash':
        company.kill(place)
        await this.#wait(awayMs)
        await company.together(others, settleMs)
        await company.restart(place)
        return
      case 'pause':
        company.stop(place)
        await this.#wait(awayMs)
        company.continue(place)
        return
      case 'split': {
        const [here, there] = company.clients
        if (here === undefined || there === undefined) return
        await company.cut([
          [here, ...others],
          [there, ...places],
        ])
        await this.#wait(awayMs)
        await company.cut(undefined)
        return
      }
      default:
        kind satisfies never
    }
  }

  #calm(): Promise<void> {
    return this.#wait(calmMs)
  }

  async #wait(ms: number): Promise<void> {
    await pause(ms, this.#quit)
    if (this.#quit.aborted) throw new Failure('interrupted')
  }

  async #lap(): Promise<Lap> {
    const { clients } = this.#company
    const laps = await Promise.all(clients.map((client) => this.#company.ask(client, 'lap', undefined)))
    const sum: Lap = {
      calls: laps.reduce((total, { calls }) => total + calls, 0),
      failed: laps.reduce((total, { failed }) => total + failed, 0),
      longestMs: Math.max(...laps.map(({ longestMs }) => longestMs)),
      failures: laps.flatMap(({ failures }) => failures),
    }
    this.#calls += sum.calls
    this.#failed += sum.failed
    for (const call of sum.failures) this.#report({ type: 'failed', call })
    return sum
  }

  async #judge(rounds: number): Promise<Summary> {
    const { kind, setting, nodes } = this.#plan
    const { clients } = this.#company
    const books = (
      await Promise.all(clients.map((client) => this.#company.ask(client, 'books', undefined)))
    ).flat()
    const keys = [...new Set(books.map(({ key }) => key))]
    const reader = clients[0] as Place
    const ask = { keys, withinMs: readMs }
    const states = new Map(await this.#company.ask(reader, 'read', ask, readMs + drainMs))
    const { lost, doubled, unread, examples } = compare(books, states)
    for (const what of examples) this.#report({ type: 'found', what })
    const waits = books.map(({ unavailableMs }) => unavailableMs).sort((a, b) => a - b)
    const counts = { failed: this.#failed, lost, doubled }
    const terms = termsOf(kind, setting, nodes)
    const isKept = promised(terms).every((name) => counts[name] === 0)
    const told = { lostPartitions: this.#lostPartitions, conflicts: this.#conflicts }
    const isSilent = isLostInSilence(terms, lost, told.lostPartitions + told.conflicts)
    if (isSilent) this.#report({ type: 'found', what: 'updates were lost, and no node has said so' })
    return {
      type: 'summary',
      kind,
      level: setting.level,
      merge: setting.merge,
      voters: setting.voters ?? null,
      nodes,
      rounds,
      steps: this.#steps,
      calls: this.#calls,
      ...counts,
      unread,
      maxUnavailableMs: Math.round(waits.at(-1) ?? 0),
      medianUnavailableMs: Math.round(waits[waits.length >> 1] ?? 0),
      ...told,
      unexpectedExits: this.#unexpectedExits,
      promised: promised(terms),
      kept: isKept && !isSilent && unread === 0 && this.#unexpectedExits === 0,
    }
  }
}

export function termsOf(kind: Kind, setting: Setting, nodes: number): Terms {
  const { level, merge, voters, copies = 2, acks = Math.min(2, copies) } = setting
  return { kind, level, merge, quorum: voters !== undefined, spread: acks > Math.floor((nodes - 1) / 2) }
}
