/** Where partitions are that a claim asks for, grouped for its answer. */
import type { Elsewhere } from './custody-io.ts'

interface Life {
  readonly name: string
  readonly boot: string
}

const nowhere: Life = { name: '', boot: '' }

interface Group extends Elsewhere {
  readonly partitions: number[]
}

export class Places {
  readonly all: Group[] = []
  readonly #groups = new Map<Life, Map<number, Group>>()

  /** `life` undefined: nobody knows. */
  add(life: Life | undefined, counter: number, partition: number): void {
    const to = life ?? nowhere
    let groups = this.#groups.get(to)
    if (groups === undefined) {
      groups = new Map()
      this.#groups.set(to, groups)
    }
    let group = groups.get(counter)
    if (group === undefined) {
      group = { name: to.name, boot: to.boot, counter, partitions: [] }
      groups.set(counter, group)
      this.all.push(group)
    }
    group.partitions.push(partition)
  }
}
