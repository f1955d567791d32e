/** A few nodes that replicate, message by message; a cable between them may be pulled. */
import type { Seat } from '../../src/state/config.ts'
import type { ReplicaOutput } from '../../src/state/exchange.ts'
import { Replication } from '../../src/state/replication.ts'
import { replicationLimits } from '../../src/state/replication-config.ts'

type Ask = Extract<ReplicaOutput, { type: 'ask' }>

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export class Stand {
  now: number = 0
  readonly nodes: Map<string, Replication> = new Map()
  readonly alive: Set<string>
  /** Names of one side of a split; empty: there is none. */
  aside: string = ''
  readonly news: string[] = []
  readonly told: (string | undefined)[] = []
  /** What members heard of settled calls. */
  readonly heard: string[] = []
  readonly sent: { readonly from: string; readonly ask: Ask }[] = []
  /** Keeps what would go out to be delivered by hand. */
  isHeld: boolean = false
  onNews: (() => void) | undefined

  constructor(
    names: string,
    options: {
      copies?: number
      acks?: number
      acksMin?: number
      voters?: number
      copyBytesMax?: number
      effectsWaitingMax?: number
      partitions?: number
    } = {},
  ) {
    this.alive = new Set(names)
    const { copies = 2, acks = 2, acksMin = 1, copyBytesMax = 1e6, effectsWaitingMax = 1e3 } = options
    for (const name of names) {
      const others = (): Seat[] => [...this.alive].filter((one) => this.#isNear(name, one)).map(seat)
      this.nodes.set(
        name,
        new Replication({
          self: seat(name),
          partitions: options.partitions ?? 4,
          copies,
          acks,
          acksMin,
          voters: options.voters,
          limits: { ...replicationLimits, copyBytesMax, effectsWaitingMax },
          owners: (_, most) => others().slice(0, most),
          peers: () => others().filter((one) => one.name !== name),
          isBereft: () => false,
          isGone: (one) => !this.alive.has(one.name) || !this.#isNear(name, one.name),
          random: () => 0.5,
          settled: () => bytes(`all of ${name}`),
          hear: (settled) => this.heard.push(`${name}: ${new TextDecoder().decode(settled)}`),
        }),
      )
    }
  }

  of(name: string): Replication {
    return this.nodes.get(name)!
  }

  /** Carries messages until there are none. */
  run(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false
      for (const [name, node] of this.nodes) {
        if (!this.alive.has(name)) continue
        node.tick(this.now)
        for (let output = node.poll(); output !== undefined; output = node.poll()) {
          isBusy = true
          this.#perform(name, node, output)
        }
      }
    }
  }

  die(name: string): void {
    this.alive.delete(name)
    for (const one of this.alive) this.of(one).viewChanged(this.now)
    this.run()
  }

  /** These see the others no more, nor do they see them; '': all see each other again. */
  split(names: string): void {
    this.aside = names
    for (const one of this.alive) this.of(one).viewChanged(this.now)
    this.run()
  }

  take(name: string): void {
    this.of(name).take(0, 0, this.now)
    this.run()
  }

  ship(name: string, key: string, value: string): void {
    this.of(name).ship(0, key, bytes(value), (failure) => this.told.push(failure?.code))
    this.run()
  }

  texts(name: string): string[] {
    const log = this.of(name).copyOf(0)?.log
    return [...(log?.entries() ?? [])]
      .filter(({ record }) => record !== undefined)
      .map(({ key, record }) => `${key}=${new TextDecoder().decode(record)}`)
      .sort()
  }

  #isNear(a: string, b: string): boolean {
    return this.aside.includes(a) === this.aside.includes(b)
  }

  #perform(name: string, node: Replication, output: ReplicaOutput): void {
    if (output.type === 'settle') output.done(output.failure)
    else if (output.type === 'news') {
      this.news.push(`${name} ${output.news.type}`)
      this.onNews?.()
    } else if (output.type === 'ask') {
      this.sent.push({ from: name, ask: output })
      if (this.isHeld) return
      const { name: to } = output.to
      const peer = this.alive.has(to) && this.#isNear(name, to) ? this.nodes.get(to) : undefined
      node.answered(output.id, peer?.answer(name, output.ask, this.now), this.now)
    }
  }
}

/** "a" with "b", and "c" with "d" who know of nothing, lead at once; "c" has changed that key. */
export function apart(before = 'k', there = 'k'): Stand {
  const stand = new Stand('abcd')
  stand.take('a')
  stand.ship('a', before, 'before')
  stand.split('cd')
  stand.take('c')
  stand.ship('c', there, 'c')
  return stand
}

export function seat(name: string): Seat {
  return { name, boot: `boot-${name}` }
}

/** What the commit of a planned move carries. */
export function given(stand: Stand, name: string): [list: readonly string[], chunk: Uint8Array] {
  const collection = stand.of(name).collect(0)
  const chunk = collection.next(1e6) as Uint8Array
  collection.close()
  return [stand.of(name).listOf(0), chunk]
}
