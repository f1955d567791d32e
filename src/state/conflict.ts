/** What an entity tells its node's user unasked. */

/** Two nodes had a key at the same time, and one of the two states is gone. */
export interface EntityConflict {
  readonly entity: string
  readonly key: string
  readonly partition: number
  /** Which of them stays: that with the newer stamp. `ours`: what this node had. */
  readonly kept: 'ours' | 'theirs'
  /** The other one, for whoever can save something of it. */
  readonly dropped: unknown
  /** Why `merge` did not make one of the two; undefined: the entity has none. */
  readonly error: unknown
}

export interface EntityNotice {
  readonly code: 'entityCloseFailed' | 'stateCannotMove'
  readonly message: string
  readonly detail: Readonly<Record<string, unknown>>
}
