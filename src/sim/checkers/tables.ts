/**
 * The rule of tables: equal members make equal owner tables, on every node and at every time, and the table a node has
 * is that of the members it has. Members count with name, weight and zone, those alone that are ready and not known to
 * be gone. Compared are the digests, and what the tables say: each member's share, and the owners of some keys.
 */
import type { Millis } from '../../env.ts'
import type { ShoalNode } from '../../node.ts'
import { Violation } from './violation.ts'

/** What the rule reads of a node. */
export type Tabled = Pick<ShoalNode, 'name' | 'members' | 'ring' | 'share' | 'owner'>

interface Table {
  readonly digest: string
  readonly says: string
  readonly firstOn: string
}

/** Keys whose owners are compared. */
const keys: readonly string[] = Array.from({ length: 32 }, (_, i) => `table-${i}`)
/** Sets of members that are remembered; the oldest goes first. */
const tablesMax = 1024

export class Tables {
  readonly #byMembers = new Map<string, Table>()

  /** Call when the node's members or its table may have changed, after its turn. Throws a `Violation`. */
  check(node: Tabled, at: Millis): void {
    const members = membersOf(node)
    const { digest } = node.ring
    const known = this.#byMembers.get(members)
    if (known?.digest === digest && known.firstOn === node.name) return
    const says = whatItSays(node)
    if (known === undefined) {
      this.#remember(members, { digest, says, firstOn: node.name })
    } else if (known.digest !== digest || known.says !== says) {
      throw new Violation(
        'tables',
        at,
        `with the members ${members}, ${node.name} has table ${digest} and ${known.firstOn} had ${known.digest}`,
      )
    }
  }

  #remember(members: string, table: Table): void {
    if (this.#byMembers.size >= tablesMax) {
      const [oldest] = this.#byMembers.keys()
      this.#byMembers.delete(oldest!)
    }
    this.#byMembers.set(members, table)
  }
}

function membersOf(node: Tabled): string {
  const rows: string[] = []
  for (const { name, weight, zone, status, state } of node.members) {
    if (status === 'ready' && (state === 'alive' || state === 'suspect'))
      rows.push(`${name}*${weight}@${zone}`)
  }
  return rows.join(' ')
}

function whatItSays(node: Tabled): string {
  const shares = node.ring.members.map((name) => node.share(name))
  return `${shares.join()} ${keys.map((key) => node.owner(key)).join()}`
}
