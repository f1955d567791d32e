/**
 * Replication of one partition on five nodes that are split, crash, give it to each other, and merge what they find at once or
 * late. Each update adds a token to the set that a key is; a merge is a union. So whatever was told to be done must be in the end.
 */
import { SeededRandom } from '../../src/sim/random.ts'
import type { Seat } from '../../src/state/config.ts'
import type { CopiesNews } from '../../src/state/copies-port.ts'
import type { ReplicaOutput } from '../../src/state/exchange.ts'
import type { RecordLog } from '../../src/state/record-log.ts'
import { Replication } from '../../src/state/replication.ts'
import { replicationLimits } from '../../src/state/replication-config.ts'
import { bytes, seat } from './replication-stand.ts'

export interface SidesOptions {
  readonly copies: number
  /** Share of the sides that are merged as soon as they are found; the others wait. */
  readonly merged: number
  /** How likely a node that leads what is another's gives it, when it looks. */
  readonly gives: number
}

export interface SidesOutcome {
  /** Told to be done, and gone, though nobody has told a loss. */
  readonly missing: readonly string[]
  readonly leaders: number
  readonly seen: ReadonlyMap<string, number>
}

type Sets = Map<string, Set<string>>

interface Member {
  readonly name: string
  readonly replication: Replication
  phase: 'none' | 'seeking' | 'active'
  live: Sets
  /** Of other sides, not merged yet. */
  forks: readonly RecordLog[] | undefined
}

const acks = 2
const keys = ['k', 'l', 'm']
const steps = 400

/** One run of random events, then peace. */
export function runSides(seed: number, options: SidesOptions): SidesOutcome {
  return new SidesWorld(seed, options).run()
}

class SidesWorld {
  readonly #random: SeededRandom
  readonly #options: SidesOptions
  readonly #members = new Map<string, Member>()
  readonly #alive: Set<string>
  readonly #rank: ReadonlyMap<string, number>
  readonly #sent: { from: string; ask: Extract<ReplicaOutput, { type: 'ask' }> }[] = []
  readonly #told = new Set<string>()
  readonly #seen = new Map<string, number>()
  /** Names of one side of a split. */
  #aside = new Set<string>()
  #now = 0
  #tokens = 0

  constructor(seed: number, options: SidesOptions) {
    this.#random = new SeededRandom(seed)
    this.#options = options
    const names = [...'abcde']
    this.#alive = new Set(names)
    this.#rank = new Map(names.map((name) => [name, this.#random.fraction()]))
    for (const name of names) {
      const replication = this.#replication(name)
      this.#members.set(name, { name, replication, phase: 'none', live: new Map(), forks: undefined })
    }
  }

  run(): SidesOutcome {
    for (let at = 0; at < steps; at++) this.#event(at)
    this.#split(new Set())
    for (let round = 0; round < 60; round++) {
      // Copies of which nobody speaks are found after some of these.
      if (round > 20) this.#now += replicationLimits.repairMs
      for (let at = 0; at < 60; at++) {
        if (at % 20 === 0) this.#look(1)
        this.#carry(true)
      }
    }
    const leaders = [...this.#living()].filter(({ phase }) => phase === 'active')
    const held = new Set(leaders.flatMap(({ live }) => [...live.values()].flatMap((set) => [...set])))
    const isLost = (this.#seen.get('lost') ?? 0) > 0
    const missing = isLost ? [] : [...this.#told].filter((token) => !held.has(token))
    return { missing, leaders: leaders.length, seen: this.#seen }
  }

  #event(at: number): void {
    const random = this.#random
    const what = random.fraction()
    if (what < 0.1) {
      const leaders = [...this.#living()].filter(({ phase }) => phase === 'active')
      if (leaders.length > 0) this.#update(random.pick(leaders), random.pick(keys))
    } else if (what < 0.115) {
      const aside = [...this.#alive].filter(() => random.chance(0.5))
      this.#split(this.#aside.size === 0 ? new Set(aside) : new Set())
    } else if (what < 0.12 && at > 100 && this.#alive.size === this.#members.size) {
      this.#alive.delete(random.pick([...this.#alive]))
      this.#saw('crash')
      this.#viewChanged()
    } else if (what < 0.2) this.#look(0.5)
    else this.#carry(false)
  }

  #saw(what: string): void {
    this.#seen.set(what, (this.#seen.get(what) ?? 0) + 1)
  }

  *#living(): Generator<Member> {
    for (const name of this.#alive) yield this.#members.get(name)!
  }

  #isNear(a: string, b: string): boolean {
    return this.#alive.has(b) && this.#aside.has(a) === this.#aside.has(b)
  }

  /** Whom a node sees, in the order of preference. */
  #view(name: string): Seat[] {
    const seen = [...this.#alive].filter((other) => this.#isNear(name, other))
    return seen.sort((a, b) => this.#rank.get(a)! - this.#rank.get(b)!).map(seat)
  }

  #replication(name: string): Replication {
    return new Replication({
      self: seat(name),
      partitions: 1,
      copies: this.#options.copies,
      acks,
      acksMin: 1,
      voters: undefined,
      // Small batches: what is half done is the matter here.
      limits: { ...replicationLimits, copyBytesMax: 1e6, effectsWaitingMax: 1e3, batchBytesMax: 30 },
      owners: (_, most) => this.#view(name).slice(0, most),
      peers: () => this.#view(name).filter((one) => one.name !== name),
      isBereft: () => false,
      isGone: (one) => !this.#isNear(name, one.name),
      random: () => this.#random.fraction(),
      settled: () => undefined,
      hear: () => {},
    })
  }

  #split(aside: Set<string>): void {
    this.#aside = aside
    this.#viewChanged()
    this.#look(0.5)
  }

  #viewChanged(): void {
    for (const member of this.#living()) {
      member.replication.viewChanged(this.#now)
      this.#drain(member)
    }
  }

  /** What custody would do by the table; `merged`: the share of what waits that is merged now. */
  #look(merged: number): void {
    for (const member of this.#living()) {
      const { name, replication } = member
      const owner = this.#members.get(this.#view(name)[0]!.name)!
      if (owner === member && member.phase === 'none') {
        member.phase = 'seeking'
        replication.take(0, replication.promised(0), this.#now)
      } else if (owner !== member && member.phase === 'seeking') {
        member.phase = 'none'
        replication.abandon(0)
      } else if (owner !== member && member.phase === 'active') {
        if (this.#random.chance(this.#options.gives)) this.#give(member, owner)
        else if (this.#random.chance(0.3)) this.#end(member)
      }
      if (member.forks !== undefined && this.#random.chance(merged)) this.#merge(member)
      this.#drain(member)
    }
  }

  #end(member: Member): void {
    member.replication.yield(0)
    this.#ended(member)
  }

  #ended(member: Member): void {
    member.phase = 'none'
    member.live = new Map()
    member.forks = undefined
  }

  #update(member: Member, key: string): void {
    const token = `${key}${++this.#tokens}`
    const set = new Set([...(member.live.get(key) ?? []), token])
    member.live.set(key, set)
    const { replication } = member
    replication.ship(0, key, encode(set), (failure) => {
      const [led] = replication.leading()
      // Of one that is alone nothing is promised.
      if (failure === undefined && led !== undefined && led[1].acks >= acks) this.#told.add(token)
    })
    this.#drain(member)
  }

  /** A planned move in one step. */
  #give(from: Member, to: Member): void {
    if (from.replication.forksOf(0) !== undefined || to.replication.forksOf(0) !== undefined) return
    const list = from.replication.listOf(0)
    const may = to.phase === 'active' ? to.replication.mayMerge(0, list) : 'merge'
    this.#drain(to)
    if (may === 'drop') this.#end(from)
    else if (may === 'wait') from.replication.thawed(0)
    else {
      this.#saw('given')
      const collection = from.replication.collect(0)
      for (let chunk = collection.next(200); chunk instanceof Uint8Array; chunk = collection.next(200))
        to.replication.accept(0, chunk)
      collection.close()
      const counter = Math.max(from.replication.promised(0), to.replication.promised(0)) + 1
      const wasLive = to.phase === 'active'
      if (!wasLive) to.live = new Map()
      to.phase = 'active'
      to.replication.lead(0, { counter, boot: seat(to.name).boot }, list, this.#now)
      for (const [key, set] of from.live) this.#bring(to, key, set, wasLive)
      this.#found(to)
      this.#end(from)
      this.#drain(to)
    }
    this.#drain(from)
  }

  /** Adds to what is live. */
  #bring(member: Member, key: string, more: Iterable<string>, isShipped: boolean): void {
    const before = member.live.get(key) ?? []
    const set = new Set([...before, ...more])
    member.live.set(key, set)
    if (isShipped) member.replication.ship(0, key, encode(set), () => {})
  }

  #found(member: Member): void {
    member.forks = member.replication.forksOf(0)
    if (member.forks === undefined) return
    this.#saw('fork')
    if (this.#random.chance(this.#options.merged)) this.#merge(member)
  }

  #merge(member: Member): void {
    const { forks = [] } = member
    member.forks = undefined
    for (const { key, record } of forks.flatMap((log) => [...log.entries()]))
      if (record !== undefined) this.#bring(member, key, decode(record), true)
    member.replication.merged(0)
  }

  #drain(member: Member): void {
    const { name, replication } = member
    for (;;) {
      replication.flush(this.#now)
      const output = replication.poll()
      if (output === undefined) return
      if (output.type === 'settle') output.done(output.failure)
      else if (output.type === 'ask') this.#sent.push({ from: name, ask: output })
      else if (output.type === 'news') this.#news(member, output.news)
    }
  }

  #news(member: Member, news: CopiesNews): void {
    this.#saw(news.type)
    if (news.type === 'taken' && news.lost) this.#saw('lost')
    if (news.type === 'held') member.phase = 'none'
    else if (news.type === 'deposed' || news.type === 'doubted') this.#ended(member)
    else if (member.phase !== 'seeking') member.replication.yield(0)
    else {
      member.phase = 'active'
      member.live = new Map()
      if (news.type === 'blank') return
      for (const { key, record } of member.replication.toLive(0)?.entries() ?? [])
        if (record !== undefined) member.live.set(key, decode(record))
      this.#found(member)
    }
  }

  /** One message arrives, or time passes. */
  #carry(isCalm: boolean): void {
    const random = this.#random
    this.#now += 1 + 3 * random.fraction()
    const [sent] = this.#sent.splice(random.below(Math.min(this.#sent.length, 4) || 1), 1)
    if (sent !== undefined) this.#deliver(sent.from, sent.ask, isCalm)
    else this.#now += isCalm ? 200 : 20
    for (const member of this.#living()) {
      if (member.replication.deadline <= this.#now) member.replication.tick(this.#now)
      this.#drain(member)
    }
  }

  #deliver(from: string, { id, to, ask }: Extract<ReplicaOutput, { type: 'ask' }>, isCalm: boolean): void {
    if (!this.#alive.has(from)) return
    const isLost = (): boolean => !isCalm && this.#random.chance(0.02)
    let reply: unknown
    if (this.#isNear(from, to.name) && !isLost()) {
      const receiver = this.#members.get(to.name)!
      reply = receiver.replication.answer(from, ask, this.#now)
      this.#drain(receiver)
      if (isLost()) reply = undefined
    }
    const sender = this.#members.get(from)!
    sender.replication.answered(id, reply, this.#now)
    this.#drain(sender)
  }
}

function encode(set: Iterable<string>): Uint8Array {
  return bytes(JSON.stringify([...set].sort()))
}

function decode(record: Uint8Array): Set<string> {
  return new Set(JSON.parse(new TextDecoder().decode(record)) as string[])
}
