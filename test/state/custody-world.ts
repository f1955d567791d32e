/**
 * Custody machines of several nodes in memory: messages are late, overtake each other and get lost with their connections,
 * views disagree, nodes join, leave, die and come back, stores are slow. State is a set of marks per partition.
 */
import assert from 'node:assert/strict'
import { SeededRandom } from '../../src/sim/random.ts'
import { Scheduler } from '../../src/sim/scheduler.ts'
import { Custody, type CustodyLimits, custodyLimits } from '../../src/state/custody.ts'
import type {
  CustodyInput,
  CustodyOutput,
  Owners,
  RefusalCode,
  Reply,
  ViewPeer,
} from '../../src/state/custody-io.ts'

export interface WorldOptions {
  readonly partitions: number
  readonly seed: number
  /** Chance that a message, or its answer, gets lost. */
  readonly loss?: number
  readonly delayMs?: readonly [min: number, max: number]
  /** How much later than others a node hears of a change. */
  readonly viewMs?: number
  readonly copiesLive?: boolean
  /** Chance that what a store does takes its time. */
  readonly slow?: number
  /** Chance that a chunk cannot be read. */
  readonly unreadable?: number
}

/** Marks travel as numbers of four bytes. */
function encode(marks: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(marks).buffer)
}

function decode(chunk: Uint8Array): number[] {
  return [...new Uint32Array(chunk.slice().buffer)]
}

export interface Membership {
  readonly name: string
  readonly boot: string
  readonly status: 'joining' | 'ready' | 'draining'
}

/** The owner of a partition: the ready member that scores highest. */
export class ScoreTable implements Owners {
  readonly #owners: (string | undefined)[]

  constructor(partitions: number, members: readonly Membership[]) {
    const ready = members.filter(({ status }) => status === 'ready').map(({ name }) => name)
    this.#owners = Array.from({ length: partitions }, (_, partition) => {
      let best: string | undefined
      let most = -1
      for (const name of ready) {
        const score = hash(`${name}/${partition}`)
        if (score > most) {
          most = score
          best = name
        }
      }
      return best
    })
  }

  ownerOf(partition: number): string | undefined {
    return this.#owners[partition]
  }
}

function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  value ^= value >>> 15
  value = Math.imul(value, 0x2c1b3c6d)
  return (value ^ (value >>> 13)) >>> 0
}

/** More than a view may be late, and a seek takes. */
const forgottenMs = 200

type Copying = { readonly from: Node; readonly partition: number; readonly copy: number; isStopped: boolean }

/** One life of a node. */
export class Node {
  readonly name: string
  readonly boot: string
  readonly custody: Custody
  readonly live: Map<number, Set<number>> = new Map()
  readonly aside: Map<number, Set<number>> = new Map()
  readonly active: Set<number> = new Set()
  readonly told: Map<number, Set<number>> = new Map()
  readonly copies: Map<number, Copying> = new Map()
  readonly incoming: Map<number, (answer: 'admit' | { code: RefusalCode; reason: string }) => void> =
    new Map()
  readonly events: Extract<CustodyOutput, { type: 'told' }>[] = []
  readonly freezes: Map<number, number> = new Map()
  members: readonly Membership[] = []
  table: Owners = { ownerOf: (): undefined => undefined }
  isDead = false
  /** Of what is done to a partition's store, one after the other. */
  readonly busyUntil: Map<number, number> = new Map()
  wakeAt: number = Infinity

  constructor(world: World, name: string, boot: string) {
    this.name = name
    this.boot = boot
    this.custody = new Custody({
      partitions: world.options.partitions,
      self: name,
      boot,
      copiesLive: world.options.copiesLive ?? true,
      size: (partition) => {
        const keys = this.live.get(partition)?.size ?? 0
        return { keys, bytes: keys * 4 }
      },
      limits: { ...custodyLimits, ...world.limits },
    })
  }
}

export class World {
  readonly options: WorldOptions
  readonly random: SeededRandom
  readonly nodes: Map<string, Node> = new Map()
  limits: Partial<CustodyLimits> = { inlineBytesMax: 64, frozenBytesMax: 512, movesMax: 8, copiesMax: 2 }
  /** Acknowledged marks by partition. */
  readonly acked: Map<number, Set<number>> = new Map()
  /** Marks that were on nodes when they died: only these may be lost. */
  readonly gone: Map<number, Set<number>> = new Map()
  /** Marks that were nowhere when somebody said that their partition is lost. */
  readonly lost: Map<number, Set<number>> = new Map()
  /** At most one may be active; off where views lie or nodes die. */
  isStrict = true
  members: Membership[] = []
  /** All were leaving or joining at some time: nobody can say whose a partition was. */
  wasOwnerless = false
  readonly cuts: Set<string> = new Set()
  messages = 0
  /** From now on nothing gets lost and all can be read. */
  calmAt: number = Infinity
  #marks = 0
  #asks = 0
  #boots = 0
  readonly #time = new Scheduler(0)
  /** Lives that were draining some time. */
  readonly #leavers = new Set<string>()
  readonly #deaths: { at: number; live: Map<number, Set<number>>; witnesses: Set<Node> }[] = []

  constructor(options: WorldOptions) {
    this.options = options
    this.random = new SeededRandom(options.seed)
  }

  // ---- time

  at(delayMs: number, run: () => void): void {
    this.#time.at(this.now + delayMs, run)
  }

  get now(): number {
    return this.#time.now
  }

  /** Runs what is due until then. */
  run(untilMs: number): void {
    while (this.#time.step(untilMs));
    this.#time.now = Math.max(this.now, untilMs)
  }

  delay(): number {
    const [min, max] = this.options.delayMs ?? [0.5, 5]
    return min + this.random.fraction() * (max - min)
  }

  // ---- members

  start(name: string, status: Membership['status'] = 'ready'): Node {
    const node = new Node(this, name, `b${++this.#boots}`)
    this.nodes.set(name, node)
    this.change(
      [...this.members.filter((other) => other.name !== name), { name, boot: node.boot, status }],
      name,
    )
    return node
  }

  become(name: string, status: Membership['status']): void {
    const boot = this.nodes.get(name)?.boot
    if (status === 'draining' && boot !== undefined) this.#leavers.add(boot)
    this.change(
      this.members.map((member) => (member.name === name ? { ...member, status } : member)),
      name,
    )
  }

  /** Gone without a word; the others hear of it after a while. */
  kill(name: string): void {
    const node = this.nodes.get(name)
    if (node === undefined) return
    for (const [partition, marks] of node.live)
      for (const mark of marks) setIn(this.gone, partition).add(mark)
    node.isDead = true
    this.#forget(node)
    this.nodes.delete(name)
    this.change(this.members.filter((member) => member.name !== name))
  }

  /** Who is killed with all who knew it, before anybody can have heard of it, is known to nobody. */
  #forget(node: Node): void {
    const witnesses = new Set<Node>()
    for (const other of this.nodes.values())
      if (other !== node && other.members.some(({ boot }) => boot === node.boot)) witnesses.add(other)
    this.#deaths.push({ at: this.now, live: new Map(node.live), witnesses })
    for (const { at, live, witnesses } of this.#deaths) {
      if (this.now - at > forgottenMs) continue
      witnesses.delete(node)
      if (witnesses.size > 0) continue
      for (const [partition, marks] of live) for (const mark of marks) setIn(this.lost, partition).add(mark)
    }
  }

  /** Killed, and back at once under its name. */
  restart(name: string): void {
    const status = this.members.find((member) => member.name === name)?.status
    this.kill(name)
    this.start(name, status)
  }

  /** All hear of it, each when it does; `first` at once. */
  change(members: Membership[], first?: string): void {
    this.members = members
    if (!members.some(({ status }) => status === 'ready')) this.wasOwnerless = true
    for (const node of this.nodes.values()) {
      const late = node.name === first ? 0 : this.random.fraction() * (this.options.viewMs ?? 50)
      this.at(late, () => {
        if (!node.isDead && this.members === members) this.see(node, members)
        // A later change tells the same, and more.
      })
    }
  }

  see(node: Node, members: readonly Membership[]): void {
    const others: ViewPeer[] = members
      .filter(({ name }) => name !== node.name)
      .map(({ name, boot, status }) => ({ name, boot, isLeaving: status === 'draining' }))
    // Who leaves is seen to, if not before it is gone.
    const seen = node.members.filter(({ name }) => name !== node.name)
    if (seen.some(({ boot }) => this.#leavers.has(boot) && !members.some((other) => other.boot === boot))) {
      const peers = seen.map(({ name, boot, status }) => {
        return { name, boot, isLeaving: status === 'draining' || this.#leavers.has(boot) }
      })
      this.feed(node, { type: 'peers', peers })
    }
    const before = node.table
    const owners = new ScoreTable(this.options.partitions, members)
    const gained: number[] = []
    const lost: number[] = []
    let isSame = true
    for (let partition = 0; partition < this.options.partitions; partition++) {
      const from = before.ownerOf(partition)
      const to = owners.ownerOf(partition)
      if (from === to) continue
      isSame = false
      if (to === node.name) gained.push(partition)
      else if (from === node.name) lost.push(partition)
    }
    node.members = members
    node.table = owners
    if (isSame) this.feed(node, { type: 'peers', peers: others })
    else this.feed(node, { type: 'view', owners, gained, lost, peers: others })
  }

  // ---- calls

  /** One call of a partition somewhere where it is active now; what it did is acknowledged. */
  mark(partition: number): boolean {
    const holders = [...this.nodes.values()].filter((node) => node.active.has(partition))
    if (holders.length === 0) return false
    const holder = this.random.pick(holders)
    const mark = ++this.#marks
    setIn(holder.live, partition).add(mark)
    setIn(this.acked, partition).add(mark)
    return true
  }

  // ---- the machine

  feed(node: Node, input: CustodyInput): void {
    if (node.isDead) return
    this.log?.(`${this.now.toFixed(1)} ${node.name} < ${JSON.stringify(input)}`)
    const waiting = [input]
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      node.custody.handle(next, this.now)
      for (let output = node.custody.poll(); output !== undefined; output = node.custody.poll()) {
        this.#perform(node, output, (more) => waiting.push(more))
      }
    }
    const { deadline } = node.custody
    if (deadline < node.wakeAt) {
      node.wakeAt = deadline
      this.at(Math.max(0, deadline - this.now), () => {
        if (node.wakeAt !== deadline) return
        node.wakeAt = Infinity
        this.feed(node, { type: 'tick' })
      })
    }
  }

  /** Set to see what happens. */
  log: ((line: string) => void) | undefined

  #perform(node: Node, output: CustodyOutput, feed: (input: CustodyInput) => void): void {
    this.log?.(`${this.now.toFixed(1)} ${node.name} > ${JSON.stringify(output)}`)
    switch (output.type) {
      case 'ask':
        this.#ask(node, output)
        break
      case 'answer':
        this.#answers.get(`${node.name} ${node.boot} ${output.id}`)?.(output.reply)
        break
      case 'freeze':
        for (const partition of output.partitions) {
          assert.ok(node.active.delete(partition), 'only what is active is frozen')
          const token = (node.freezes.get(partition) ?? 0) + 1
          node.freezes.set(partition, token)
          this.#afterWhile(node, partition, () => {
            if (node.freezes.get(partition) === token)
              this.feed(node, { type: 'frozen', partitions: [partition] })
          })
        }
        break
      case 'thaw':
        for (const partition of output.partitions) {
          node.freezes.set(partition, (node.freezes.get(partition) ?? 0) + 1)
          node.active.add(partition)
          this.#check(partition)
        }
        break
      case 'release':
        for (const partition of output.partitions) {
          assert.ok(!node.active.has(partition), 'nothing is released that is active')
          node.live.delete(partition)
          node.told.delete(partition)
        }
        break
      case 'collect': {
        const marks = this.#untold(node, output.partition)
        if (marks.length * 4 > output.bytesMax) {
          feed({ type: 'collected', partition: output.partition, chunks: [], complete: false })
          break
        }
        const chunks = marks.length === 0 ? [] : [encode(marks)]
        this.#tell(node, output.partition, marks)
        this.#afterWhile(node, output.partition, () =>
          this.feed(node, { type: 'collected', partition: output.partition, chunks, complete: true }),
        )
        break
      }
      case 'copy':
        this.#copy(node, output)
        break
      case 'stop': {
        const copy = node.copies.get(output.partition)
        if (copy !== undefined) copy.isStopped = true
        node.copies.delete(output.partition)
        node.told.delete(output.partition)
        break
      }
      case 'admit':
        node.incoming.get(output.id)?.('admit')
        break
      case 'reject':
        node.incoming.get(output.id)?.(output.refusal)
        node.incoming.delete(output.id)
        break
      case 'accept': {
        const { id, partition, chunks } = output
        this.#afterWhile(node, partition, () => {
          const isBad = this.now < this.calmAt && this.random.chance(this.options.unreadable ?? 0)
          if (!isBad)
            for (const chunk of chunks)
              for (const mark of decode(chunk)) setIn(node.aside, partition).add(mark)
          this.feed(node, { type: 'accepted', id, partition, reason: isBad ? 'unreadable' : undefined })
        })
        break
      }
      case 'discard':
        node.aside.delete(output.partition)
        for (const id of [...node.incoming.keys()]) {
          if (this.#incomingOf.get(id) === output.partition) node.incoming.delete(id)
        }
        break
      case 'activate':
        for (const partition of output.partitions) {
          const aside = node.aside.get(partition)
          node.aside.delete(partition)
          for (const mark of aside ?? []) setIn(node.live, partition).add(mark)
          node.active.add(partition)
          this.#check(partition)
        }
        break
      case 'served':
      case 'along':
      case 'take':
      case 'abandon':
      case 'depose':
        break
      case 'told':
        node.events.push(output)
        if (output.what === 'lost') {
          for (const partition of output.partitions)
            for (const mark of this.#absent(partition)) setIn(this.lost, partition).add(mark)
        }
        break
      default:
        output satisfies never
    }
  }

  readonly #answers = new Map<string, (reply: Reply) => void>()

  #ask(node: Node, { id, to, ask }: Extract<CustodyOutput, { type: 'ask' }>): void {
    this.messages += 1
    const copy = structuredClone(ask)
    let isOver = false
    const unanswered = (): void => {
      if (isOver) return
      isOver = true
      this.feed(node, { type: 'unanswered', id })
    }
    if (!this.#reaches(node, to) || this.#isLost()) {
      this.at(this.delay(), unanswered)
      return
    }
    this.at(2_000, unanswered)
    this.at(this.delay(), () => {
      const target = this.nodes.get(to)
      if (target === undefined || target.isDead || !this.#reaches(node, to)) {
        this.at(this.delay(), unanswered)
        return
      }
      const asked = ++this.#asks
      this.#answers.set(`${target.name} ${target.boot} ${asked}`, (reply) => {
        this.#answers.delete(`${target.name} ${target.boot} ${asked}`)
        const back = structuredClone(reply)
        if (this.#isLost()) this.at(this.delay(), unanswered)
        else
          this.at(this.delay(), () => {
            if (isOver || !this.#reaches(node, to)) return
            isOver = true
            this.feed(node, { type: 'answered', id, reply: back })
          })
      })
      this.feed(target, { type: 'asked', id: asked, from: node.name, ask: copy })
    })
  }

  /** The marks that have not been told to whoever takes this partition. */
  #untold(node: Node, partition: number): number[] {
    const told = node.told.get(partition)
    return [...(node.live.get(partition) ?? [])].filter((mark) => !told?.has(mark))
  }

  #tell(node: Node, partition: number, marks: readonly number[]): void {
    const told = setIn(node.told, partition)
    for (const mark of marks) told.add(mark)
  }

  #copy(node: Node, output: Extract<CustodyOutput, { type: 'copy' }>): void {
    const { partition, copy, after, to, toBoot } = output
    const copying: Copying = { from: node, partition, copy, isStopped: false }
    node.copies.set(partition, copying)
    if (after === 0) node.told.delete(partition)
    let bytes = 0
    const ends = (outcome: 'whole' | { code: RefusalCode; reason: string }): void => {
      if (copying.isStopped || node.isDead) return
      node.copies.delete(partition)
      this.feed(node, { type: 'copied', partition, copy, outcome, bytes })
    }
    const breaks = (): void => this.at(this.delay(), () => ends({ code: 'broken', reason: 'torn' }))
    if (!this.#reaches(node, to)) {
      breaks()
      return
    }
    this.at(this.delay(), () => {
      const target = this.nodes.get(to)
      if (target === undefined || target.isDead) {
        breaks()
        return
      }
      const id = ++this.#asks
      const chunk = (): void => {
        const isTorn = copying.isStopped || node.isDead || !this.#reaches(node, to) || this.#isLost()
        const marks = this.#untold(node, partition).slice(0, 10)
        if (isTorn || target.isDead) {
          this.feed(target, { type: 'received', id, reason: 'torn', bytes })
          breaks()
          return
        }
        if (marks.length === 0) {
          this.feed(target, { type: 'received', id, reason: undefined, bytes })
          if (this.#isLost()) breaks()
          else this.at(this.delay(), () => ends('whole'))
          return
        }
        this.#tell(node, partition, marks)
        bytes += marks.length * 4
        this.at(this.delay(), () => {
          if (target.incoming.get(id) !== undefined)
            for (const mark of marks) setIn(target.aside, partition).add(mark)
          chunk()
        })
      }
      target.incoming.set(id, (answer) => {
        if (answer === 'admit') {
          // Another copy of it, should it still come in, is of no use.
          for (const other of [...target.incoming.keys()])
            if (other !== id && this.#incomingOf.get(other) === partition) target.incoming.delete(other)
          this.#incomingOf.set(id, partition)
          chunk()
        } else this.at(this.delay(), () => ends(answer))
      })
      this.feed(target, {
        type: 'copying',
        id,
        from: node.name,
        boot: node.boot,
        toBoot,
        partition,
        copy,
        after,
      })
    })
  }

  readonly #incomingOf = new Map<number, number>()

  #isLost(): boolean {
    return this.now < this.calmAt && this.random.chance(this.options.loss ?? 0)
  }

  #reaches(from: Node, to: string): boolean {
    return !this.cuts.has(`${from.name} ${to}`)
  }

  #afterWhile(node: Node, partition: number, fn: () => void): void {
    const isSlow = this.random.chance(this.options.slow ?? 0)
    const at =
      Math.max(this.now, node.busyUntil.get(partition) ?? 0) + (isSlow ? this.random.fraction() * 30 : 0)
    node.busyUntil.set(partition, at)
    this.at(at - this.now, () => {
      if (!node.isDead) fn()
    })
  }

  #check(partition: number): void {
    if (!this.isStrict) return
    const holders = [...this.nodes.values()]
      .filter((node) => node.active.has(partition))
      .map(({ name }) => name)
    assert.ok(
      holders.length <= 1,
      `partition ${partition} is active on ${holders.join(' and ')} at ${this.now}`,
    )
  }

  /** Every partition is active on its owner alone, with all marks; nothing is left over. */
  settled(): void {
    const table = new ScoreTable(this.options.partitions, this.members)
    for (let partition = 0; partition < this.options.partitions; partition++) {
      const owner = table.ownerOf(partition)
      const holders = [...this.nodes.values()]
        .filter((node) => node.active.has(partition))
        .map(({ name }) => name)
      if (owner === undefined) continue
      const phases = [...this.nodes.values()]
        .map((node) => `${node.name}:${node.custody.where(partition)}`)
        .join(' ')
      assert.deepEqual(holders, [owner], `holders of ${partition}: ${phases}`)
    }
    for (const node of this.nodes.values()) {
      assert.equal(node.aside.size, 0, `${node.name} has copies that are not live`)
      assert.equal(node.custody.astray.size, 0)
      assert.equal(node.custody.sought.size, 0)
    }
  }

  /** What was acknowledged and is nowhere, though nobody died with it. */
  missing(): number[] {
    return this.#missingBut(this.gone)
  }

  /** What was acknowledged and is nowhere, and nobody has said so. */
  untold(): number[] {
    return this.#missingBut(this.lost)
  }

  #missingBut(excused: ReadonlyMap<number, ReadonlySet<number>>): number[] {
    return [...this.acked.keys()].filter((partition) =>
      this.#absent(partition).some((mark) => !excused.get(partition)?.has(mark)),
    )
  }

  #absent(partition: number): number[] {
    const found = new Set<number>()
    for (const node of this.nodes.values()) for (const mark of node.live.get(partition) ?? []) found.add(mark)
    return [...(this.acked.get(partition) ?? [])].filter((mark) => !found.has(mark))
  }
}

export function setIn(sets: Map<number, Set<number>>, key: number): Set<number> {
  const known = sets.get(key)
  if (known !== undefined) return known
  const set = new Set<number>()
  sets.set(key, set)
  return set
}
