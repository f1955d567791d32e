/** What a checker of whole nodes may hear. A new rule is one file with one of these. */

import type { Env } from '../../env.ts'
import type { MemberChange } from '../../membership.ts'
import type { ShoalNode } from '../../node.ts'
import type { Member } from '../../roster.ts'
import type { CallContext } from '../../shard/context.ts'
import type { Violation } from './violation.ts'

/** A node under watch: one boot of a process, and the node it runs. */
export interface Subject {
  readonly node: ShoalNode
  readonly env: Env
  /** Its process has ended, or runs another boot by now. */
  readonly isGone: boolean
}

/**
 * Throw a `Violation`, or report one where a throw would be caught on its way. `changed` is called after the event, once
 * the node has settled what the event brought; the others in the midst of it.
 */
export interface Checker {
  /** A node was put under watch, before it starts. */
  watched?(subject: Subject, report: (violation: Violation) => void): void
  /** The node noticed something of a member. */
  member?(subject: Subject, change: MemberChange, member: Member): void
  /** A handler that was registered through the watched node begins to run. */
  ran?(subject: Subject, call: CallContext): void
  /** Members or table of the node changed in the event that just passed. */
  changed?(subject: Subject): void
}
