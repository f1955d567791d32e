/**
 * A few nodes that replicate a few partitions, without sockets, promises or codecs: crashes, restarts with empty hands,
 * pauses, messages that are late (by up to 90 s), lost or out of order, and views that lag behind. Custody is a small one of
 * its own: whoever owns a partition by its view asks for it, is given it, or takes it from the copies. Clients append to
 * lists and read them, and all they hear must be explained by one order per key.
 */

import { SeededRandom } from '../../src/sim/random.ts'
import { Scheduler } from '../../src/sim/scheduler.ts'
import { type Config, compareConfigs, type Seat, sameSeat } from '../../src/state/config.ts'
import type { CopiesNews } from '../../src/state/copies-port.ts'
import type { Epoch } from '../../src/state/epoch.ts'
import { Replication } from '../../src/state/replication.ts'

export interface WorldOptions {
  readonly nodes: number
  readonly partitions: number
  readonly keys: number
  readonly copies: number
  readonly acks: number
  readonly calls: number
  readonly ms: number
}

export interface Call {
  readonly id: number
  readonly key: string
  readonly isAppend: boolean
  readonly start: number
  end: number
  /** What it heard; undefined: nothing in time. */
  result: readonly number[] | undefined
}

/** Of the key that its updates set and remove. */
export const markOf = (key: string): string => `${key} mark`

type CustodyPhase = 'none' | 'seeking' | 'active' | 'frozen'

interface Held {
  phase: CustodyPhase
  epoch: Epoch
  counter: number
  live: Map<string, number[]>
  /** Of the seek or give that is under way. */
  token: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class World {
  readonly options: WorldOptions
  readonly random: SeededRandom
  readonly nodes: ModelNode[] = []
  readonly calls: Call[] = []
  /** How often each rare thing happened. */
  readonly seen: Map<string, number> = new Map()
  /** The newest configuration that led each partition. */
  readonly led: Map<number, Config> = new Map()
  isCalm = false
  readonly #time = new Scheduler(0)
  #boots = 0

  constructor(seed: number, options: WorldOptions) {
    this.options = options
    this.random = new SeededRandom(seed)
    for (let i = 0; i < options.nodes; i++) this.nodes.push(new ModelNode(this, String.fromCharCode(97 + i)))
    for (const node of this.nodes) node.start(this.boot())
    for (const node of this.nodes) node.see(this.truth())
  }

  boot(): string {
    return `b${++this.#boots}`
  }

  saw(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1)
  }

  get now(): number {
    return this.#time.now
  }

  after(ms: number, run: () => void): void {
    this.#time.at(this.now + ms, run)
  }

  /** Runs until nothing is left to do, or until then. */
  run(until: number): void {
    while (this.#time.step(until));
    this.#time.now = until
  }

  truth(): Seat[] {
    return this.nodes.filter(({ isUp, isAccused }) => isUp && !isAccused).map(({ seat }) => seat)
  }

  /** Mostly fast, seldom slow, hardly ever a minute and a half. */
  delay(): number {
    const chance = this.random.fraction()
    if (this.isCalm || chance > 0.02) return 0.2 + this.random.fraction()
    if (chance > 0.004) return 10 + this.random.fraction() * 400
    return 1_000 + this.random.fraction() * 89_000
  }

  /** Whether so many copies would still be there that nothing may be lost: those not complete count as down. */
  mayLose(name: string): boolean {
    for (const [partition, config] of this.led) {
      let down = 0
      for (const seat of config.seats) {
        const node = this.nodes.find((one) => one.name === seat.name)!
        const base = node.replication.copyOf(partition)?.base
        const isGood = base !== undefined && compareConfigs(base, config) >= 0
        if (node.name === name || !node.isUp || !sameSeat(node.seat, seat) || node.isAccused || !isGood)
          down++
      }
      if (down > config.acks - 1) return false
    }
    return true
  }

  /** Everybody learns the truth, each at a time of their own. */
  spread(msMax: number, done?: () => void): void {
    for (const node of this.nodes) {
      this.after(this.random.fraction() * msMax, () => {
        if (node.isUp && !node.isPaused) node.see(this.truth())
      })
    }
    if (done !== undefined) this.after(msMax, done)
  }
}

export class ModelNode {
  readonly world: World
  readonly name: string
  seat: Seat
  replication: Replication
  isUp = false
  isPaused = false
  /** Somebody believes that it is dead, though it is not. */
  isAccused = false
  view: readonly Seat[] = []
  held: Held[] = []
  #queue: (() => void)[] = []
  #taken = new Set<string>()
  #disowned = new Set<string>()
  #tickAt = Infinity

  constructor(world: World, name: string) {
    this.world = world
    this.name = name
    this.seat = { name, boot: '' }
    this.replication = this.#replication()
  }

  start(boot: string): void {
    this.seat = { name: this.name, boot }
    this.isUp = true
    this.isPaused = this.isAccused = false
    this.view = []
    this.#queue = []
    this.#tickAt = Infinity
    this.replication = this.#replication()
    this.held = Array.from({ length: this.world.options.partitions }, () => ({
      phase: 'none',
      epoch: { counter: 0, boot: '' },
      counter: 0,
      live: new Map(),
      token: 0,
    }))
  }

  crash(): void {
    this.isUp = false
  }

  pause(): void {
    this.isPaused = true
  }

  wake(): void {
    this.isPaused = false
    const queue = this.#queue
    this.#queue = []
    for (const run of queue) if (this.isUp) run()
    this.#drain()
  }

  /** Runs something in this process: later if it is paused, never if it is another process by then. */
  in(run: () => void): void {
    const { seat } = this
    const guarded = (): void => {
      if (this.isUp && sameSeat(this.seat, seat)) run()
    }
    if (this.isPaused) this.#queue.push(guarded)
    else guarded()
  }

  see(view: readonly Seat[]): void {
    if (!view.some((seat) => sameSeat(seat, this.seat))) view = [...view, this.seat]
    this.view = view
    this.replication.viewChanged(this.world.now)
    for (let partition = 0; partition < this.held.length; partition++) this.#review(partition)
    this.#drain()
  }

  owners(partition: number, most: number): Seat[] {
    const rank = ({ name }: Seat): number =>
      Math.imul(name.charCodeAt(0) * 31 + partition * 17 + 7, 0x9e3779b1) >>> 8
    return [...this.view].sort((a, b) => rank(a) - rank(b)).slice(0, most)
  }

  ownerOf(partition: number): Seat | undefined {
    return this.owners(partition, 1)[0]
  }

  /** Runs a call if this node leads its partition; `done` with the list, or undefined: elsewhere. */
  call(partition: number, call: Call, done: (result: readonly number[] | undefined) => void): void {
    const held = this.held[partition]!
    if (held.phase !== 'active') {
      done(undefined)
      return
    }
    const { key, id } = call
    const list = held.live.get(key) ?? []
    held.live.set(key, list)
    const isNew = call.isAppend && !list.includes(id)
    if (isNew) list.push(id)
    const result = call.isAppend ? list.slice(0, list.indexOf(id) + 1) : [...list]
    const told = (failure?: unknown): void => done(failure === undefined ? result : undefined)
    if (isNew) {
      this.#mark(partition, held, key, id)
      this.replication.ship(partition, key, encoder.encode(JSON.stringify(list)), told)
    } else this.replication.confirm(partition, key, told)
    this.#drain()
  }

  /** Beside each list a key that every other update of it sets, and the rest remove. */
  #mark(partition: number, { live }: Held, key: string, id: number): void {
    const isSet = id % 2 === 0
    if (isSet) live.set(markOf(key), [id])
    else live.delete(markOf(key))
    const record = isSet ? encoder.encode(JSON.stringify([id])) : undefined
    this.replication.ship(partition, markOf(key), record, () => {})
  }

  #replication(): Replication {
    const { world } = this
    const { copies, acks, partitions } = world.options
    return new Replication({
      self: this.seat,
      partitions,
      copies,
      acks,
      acksMin: 1,
      limits: {
        copyBytesMax: 1e6,
        batchBytesMax: 120,
        takeoverWaitMs: 5_000,
        repairMs: 3_000,
        effectsWaitingMax: 65_536,
      },
      owners: (partition, most) => this.owners(partition, most),
      peers: () => this.view.filter(({ name }) => name !== this.name),
      isBereft: () => false,
      isGone: (seat) => !this.view.some((one) => sameSeat(one, seat)),
      random: () => world.random.fraction(),
      settled: () => undefined,
      hear: () => {},
    })
  }

  #drain(): void {
    const { world, replication } = this
    replication.flush(world.now)
    for (let output = replication.poll(); output !== undefined; output = replication.poll()) {
      switch (output.type) {
        case 'ask':
          this.#ask(
            output.to,
            (node) => node.replication.answer(this.name, output.ask, world.now),
            (reply) => {
              if (output.ask.type === 'ship') {
                for (const row of (reply as { rows?: { type: string }[] } | undefined)?.rows ?? [])
                  world.saw(row.type)
                if ((reply as { type?: string } | undefined)?.type === 'stranger') world.saw('stranger')
              }
              replication.answered(output.id, reply, world.now)
            },
          )
          break
        case 'settle':
          output.done(output.failure)
          break
        case 'news':
          this.#news(output.news)
          break
        case 'settled':
          world.saw('settled')
          break
        default:
          output satisfies never
      }
      replication.flush(world.now)
    }
    for (const [partition, config] of replication.leading()) {
      const known = world.led.get(partition)
      if (known === undefined || compareConfigs(config, known) > 0) world.led.set(partition, config)
    }
    const { deadline } = replication
    if (deadline < this.#tickAt) {
      this.#tickAt = deadline
      world.after(Math.max(0, deadline - world.now), () =>
        this.in(() => {
          this.#tickAt = Infinity
          replication.tick(world.now)
          this.#drain()
        }),
      )
    }
  }

  /** One question to one process: told once, `undefined` when no answer came in time. */
  #ask<Reply>(to: Seat, answer: (node: ModelNode) => Reply, told: (reply: Reply | undefined) => void): void {
    const { world } = this
    let isTold = false
    const tell = (reply: Reply | undefined): void => {
      if (isTold) return
      isTold = true
      this.in(() => {
        told(reply)
        this.#drain()
      })
    }
    world.after(500, () => tell(undefined))
    if (!world.isCalm && world.random.chance(0.01)) return
    const node = world.nodes.find(({ name }) => name === to.name)!
    world.after(world.delay(), () => {
      if (!node.isUp || !sameSeat(node.seat, to)) return
      node.in(() => {
        const reply = answer(node)
        node.#drain()
        world.after(world.delay(), () => tell(reply))
      })
    })
  }

  #news(news: CopiesNews): void {
    const { world } = this
    if (news.type === 'blank') {
      news.partitions.forEach((partition, index) => {
        this.#news({ type: 'taken', partition, epoch: news.epochs[index]!, lost: news.lost.has(partition) })
      })
      return
    }
    if (news.type === 'doubted') {
      for (const partition of news.partitions) this.#news({ type: 'deposed', partition, counter: 0, by: '' })
      return
    }
    const { partition } = news
    const held = this.held[partition]!
    world.saw(news.type === 'taken' && news.lost ? 'lost' : news.type)
    if (news.type === 'taken') {
      if (held.phase !== 'seeking') {
        this.replication.yield(partition)
        return
      }
      held.live.clear()
      this.#bring(partition)
      this.#activate(partition, news.epoch)
      this.replication.merged(partition)
      return
    }
    if (news.type === 'held') {
      if (held.phase === 'seeking') this.#retry(partition, 5)
      return
    }
    held.counter = Math.max(held.counter, news.counter)
    held.phase = 'none'
    held.live.clear()
    held.token++
    this.#review(partition)
  }

  #activate(partition: number, epoch: Epoch): void {
    const held = this.held[partition]!
    held.phase = 'active'
    held.epoch = epoch
    held.counter = Math.max(held.counter, epoch.counter)
    held.token++
    this.#review(partition)
  }

  /** What is ours and not here is sought. */
  #review(partition: number): void {
    const held = this.held[partition]!
    const isOurs = this.ownerOf(partition)?.name === this.name
    if (isOurs && held.phase === 'none') {
      held.phase = 'seeking'
      this.#seek(partition)
    } else if (!isOurs && held.phase === 'seeking') {
      held.phase = 'none'
      held.token++
      this.replication.abandon(partition)
    }
  }

  #retry(partition: number, ms: number): void {
    const held = this.held[partition]!
    const token = ++held.token
    this.world.after(ms, () =>
      this.in(() => {
        if (held.phase === 'seeking' && held.token === token) this.#seek(partition)
      }),
    )
  }

  #seek(partition: number): void {
    const held = this.held[partition]!
    const token = ++held.token
    const peers = this.view.filter(({ name }) => name !== this.name)
    let left = peers.length
    let holder: Seat | undefined
    let isContested = false
    const heard = (peer: Seat, claim: { phase: CustodyPhase; counter: number } | undefined): void => {
      if (held.phase !== 'seeking' || held.token !== token) return
      if (claim === undefined && this.view.some((seat) => sameSeat(seat, peer))) {
        this.#retry(partition, 50)
        return
      }
      if (claim !== undefined) {
        held.counter = Math.max(held.counter, claim.counter)
        if (claim.phase === 'active' || claim.phase === 'frozen') holder = peer
        if (claim.phase === 'seeking' && peer.name < this.name) isContested = true
      }
      if (--left > 0) return
      if (holder !== undefined) this.#pull(partition, holder)
      else if (isContested) this.#retry(partition, 20)
      else this.replication.take(partition, held.counter, this.world.now)
    }
    if (peers.length === 0) {
      this.replication.take(partition, held.counter, this.world.now)
      return
    }
    for (const peer of peers) {
      this.#ask(
        peer,
        (node) => ({ phase: node.held[partition]!.phase, counter: node.held[partition]!.counter }),
        (claim) => heard(peer, claim),
      )
    }
  }

  #pull(partition: number, holder: Seat): void {
    const held = this.held[partition]!
    const token = held.token
    this.#ask(
      holder,
      (node) => node.#give(partition, this),
      () => {
        // Given in a message of its own; if it does not come, we ask again.
        if (held.phase === 'seeking' && held.token === token) this.#retry(partition, 100)
      },
    )
  }

  /** Hands a partition over: frozen, sent, and released once the taker has said so. */
  #give(partition: number, taker: ModelNode): void {
    const { world } = this
    const held = this.held[partition]!
    if (held.phase !== 'active' || this.ownerOf(partition)?.name === this.name) return
    const collection = this.replication.collect(partition)
    held.phase = 'frozen'
    const token = ++held.token
    const chunks: Uint8Array[] = []
    for (;;) {
      const chunk = collection.next(60)
      if (chunk === undefined) break
      chunks.push(chunk as Uint8Array)
    }
    collection.close()
    const list = this.replication.listOf(partition)
    const { epoch } = held
    const { seat } = taker
    world.saw('give')
    this.#ask(
      seat,
      (node) => node.#accept(partition, epoch, chunks, list, `${this.seat.boot} ${token}`),
      (isTaken) => {
        if (held.phase !== 'frozen' || held.token !== token) return
        if (isTaken === true) {
          held.phase = 'none'
          held.live.clear()
          this.replication.yield(partition)
          this.#review(partition)
        } else if (isTaken === false || !this.view.some((one) => sameSeat(one, seat))) {
          world.saw('thaw')
          this.replication.thawed(partition)
          held.phase = 'active'
        } else {
          // It may have it: frozen until it says so, or is gone.
          this.#await(partition, token, seat)
        }
      },
    )
  }

  #await(partition: number, token: number, taker: Seat): void {
    const { world } = this
    const held = this.held[partition]!
    this.#ask(
      taker,
      (node) => node.#hasTaken(`${this.seat.boot} ${token}`),
      (isTaken) => {
        if (held.phase !== 'frozen' || held.token !== token) return
        const isGone = !this.view.some((one) => sameSeat(one, taker))
        if (isTaken === true) {
          held.phase = 'none'
          held.live.clear()
          this.replication.yield(partition)
          this.#review(partition)
        } else if (isGone || isTaken === false) {
          world.saw('thaw')
          this.replication.thawed(partition)
          held.phase = 'active'
          held.token++
        } else world.after(100, () => this.in(() => this.#await(partition, token, taker)))
      },
    )
  }

  /** From now on it is settled: what was not taken is not taken when it comes late. */
  #hasTaken(give: string): boolean {
    if (!this.#taken.has(give)) this.#disowned.add(give)
    return this.#taken.has(give)
  }

  /** Makes live what was brought together. Of a key that two sides have one is enough here. */
  #bring(partition: number): void {
    const { live } = this.held[partition]!
    for (const log of [this.replication.toLive(partition), ...(this.replication.forksOf(partition) ?? [])])
      for (const { key, record } of log?.entries() ?? [])
        if (record !== undefined && !live.has(key))
          live.set(key, JSON.parse(decoder.decode(record)) as number[])
  }

  #accept(
    partition: number,
    epoch: Epoch,
    chunks: readonly Uint8Array[],
    list: readonly string[],
    give: string,
  ): boolean {
    const held = this.held[partition]!
    if (held.phase !== 'seeking' || this.#disowned.has(give)) return false
    this.#taken.add(give)
    held.live.clear()
    this.replication.discard(partition)
    for (const chunk of chunks) {
      for (const record of this.replication.accept(partition, chunk)) void record
    }
    const next = { counter: Math.max(epoch.counter, held.counter) + 1, boot: this.seat.boot }
    this.replication.lead(partition, next, list, this.world.now)
    this.#bring(partition)
    this.replication.merged(partition)
    this.#activate(partition, next)
    return true
  }
}
