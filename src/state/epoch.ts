/**
 * Who may change a partition's state, in what order. A new owner takes an epoch above every one it has heard of; whoever
 * has promised a newer epoch refuses what comes with an older one, so an owner that was deposed unawares, and a write of
 * it that arrives a minute late, change nothing.
 */

import { counterMax } from './fields.ts'

/** One tenure of one owner. Immutable. */
export interface Epoch {
  readonly counter: number
  /** Boot id of the owner, so that two who took over at once differ, and a restarted node is another. */
  readonly boot: string
}

/** Which state of a key is newer: by epoch, then by how often the key was changed. */
export interface Stamp {
  readonly epoch: Epoch
  readonly version: number
}

/** Before any owner. */
export const noEpoch: Epoch = Object.freeze({ counter: 0, boot: '' })

/** Newer than whatever was there. */
export const lastStamp: Stamp = Object.freeze({
  epoch: Object.freeze({ counter: counterMax, boot: '' }),
  version: counterMax,
})

/** Negative: `a` is older; 0: the same. */
export function compareEpochs(a: Epoch, b: Epoch): number {
  if (a.counter !== b.counter) return a.counter - b.counter
  return a.boot < b.boot ? -1 : a.boot > b.boot ? 1 : 0
}

export function compareStamps(a: Stamp, b: Stamp): number {
  return compareEpochs(a.epoch, b.epoch) || a.version - b.version
}

/** As users see it: `7@9f3c…`. */
export function epochText({ counter, boot }: Epoch): string {
  return `${counter}@${boot}`
}
