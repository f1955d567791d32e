/** Where partitions are that a claim asks for, grouped for its answer. */
import { type Elsewhere, unknownCounter, unsureCounter } from './custody-io.ts'

interface Life {
  readonly name: string
  readonly boot: string
  readonly isGone: boolean
}

const nowhere: Life = { name: '', boot: '', isGone: false }

interface Group extends Elsewhere {
  readonly partitions: number[]
}

export class Places {
  readonly all: Group[] = []
  readonly #groups = new Map<Life, Map<number, Group>>()

  /** This node has heard that it is there. */
  heard(life: Life, partition: number): void {
    this.add(life, unknownCounter, partition)
  }

  /** It should be there, as far as this node knows. */
  believed(life: Life, partition: number): void {
    this.add(life, unsureCounter, partition)
  }

  /** `life` took it from here; undefined: nobody knows who. */
  add(life: Life | undefined, counter: number, partition: number): void {
    const to = life ?? nowhere
    let groups = this.#groups.get(to)
    if (groups === undefined) {
      groups = new Map()
      this.#groups.set(to, groups)
    }
    let group = groups.get(counter)
    if (group === undefined) {
      group = { name: to.name, boot: to.boot, counter, isGone: to.isGone, partitions: [] }
      groups.set(counter, group)
      this.all.push(group)
    }
    group.partitions.push(partition)
  }
}
