/** The states of a member as numbers, those of push/pull; the last two never leave a table. */
export const state = { alive: 0, suspect: 1, dead: 2, left: 3, tombstone: 4, absent: 255 } as const
