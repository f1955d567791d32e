/** Checks of what a peer says, field by field. */

/** A whole number from 0 on. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/**
 * The highest counter of a tenure, revision of a list, and version of a change that is read from anybody. Each grows by one with
 * what it counts: a partition whose owner changes a thousand times a second gets there in 4,000 years. So a higher one is an
 * error or a lie, and one above which nobody could count on. Logs keep 48 bits.
 */
export const counterMax: number = 2 ** 47

/**
 * What is said of many partitions at once, and is only to begin above, is believed up to here: a wrong counter of one partition
 * must not become that of all.
 */
export const hearsayMax: number = counterMax / 2

/** A number that grows over the life of a cluster. */
export function isCounter(value: unknown): value is number {
  return isCount(value) && value <= counterMax
}

/** The next one. At the bound it stays: others read no higher one, and of equal epochs boot ids decide which is newer. */
export function counterAfter(counter: number): number {
  return Math.min(counter + 1, counterMax)
}

/** `lengthMax`: in characters. */
export function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === 'string' && value.length <= lengthMax
}
