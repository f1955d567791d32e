/** What the seeker (seeker.ts) notes of each partition that is sought, and of each round of questions. */
import type { Millis } from '../env.ts'
import type { Peer } from './ground.ts'
import { Hints } from './hints.ts'
import type { Entry } from './timetable.ts'

/** What is sought. */
export interface Seek {
  /** The round or the entry of the timetable that has it; what another one says of it is out of date. */
  token: Round | Entry | undefined
  /** Whoever has it, as was said last: calls go there. */
  holder: Peer | undefined
  /** It is frozen there: calls wait. */
  isSealed: boolean
  /** Whoever had it by the last table or by its own word, and has not said that it has it no more. */
  prior: Peer | undefined
  counter: number
  readonly since: Millis
  tries: number
  /** Hints that were followed since all were asked: two may name each other. */
  hops: number
  /** Nobody has it: its copies are being brought together here. */
  isTaking: boolean
}

/** Who was asked for some of what is sought, and what came of it. */
export interface Round {
  readonly isEveryone: boolean
  until: Millis
  readonly partitions: Set<number>
  readonly asked: Set<Peer>
  readonly waiting: Set<Peer>
  readonly answered: Set<Peer>
  /** Who is said to have it, as the newest word is. */
  readonly hints: Hints
  /** Somebody may open it, or have it again: it must not be opened here. */
  readonly contested: Set<number>
  counter: number
  /** One that was asked is gone without an answer: it may have given what it had to one that had answered before. */
  isStale: boolean
  isOver: boolean
}

export function isRound(token: Seek['token']): token is Round {
  return token !== undefined && 'partitions' in token
}

/** All of these are asked for all of those, and nobody has answered. */
export function newRound(
  peers: readonly Peer[],
  partitions: readonly number[],
  isEveryone: boolean,
  until: Millis,
): Round {
  return {
    isEveryone,
    until,
    partitions: new Set(partitions),
    asked: new Set(peers),
    waiting: new Set(peers),
    answered: new Set(),
    hints: new Hints(),
    contested: new Set(),
    counter: 0,
    isStale: false,
    isOver: false,
  }
}
