/**
 * Checks what a test gives a simulation. A misspelled fault is one that never happens, and a test that goes green for
 * nothing: whoever writes plain JavaScript has no compiler to say so.
 */
import { ShoalError } from '../errors.ts'

/** What is expected instead; `undefined` for a value that has sense. */
export type OptionCheck = (value: unknown) => string | undefined

export const isBoolean: OptionCheck = (value) =>
  value === undefined || typeof value === 'boolean' ? undefined : 'true or false'

/** Throws `ERR_SHOAL_OPTION` for options that are no object, an option that is none, and a value without sense. */
export function checkNamed(
  options: unknown,
  known: Readonly<Record<string, OptionCheck>>,
  prefix: string = '',
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new ShoalError('ERR_SHOAL_OPTION', `${prefix}options: expected an object, got ${shown(options)}`)
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name))
      throw new ShoalError('ERR_SHOAL_OPTION', `${prefix}${name}: no such option, got ${shown(value)}`)
    const range = known[name]?.(value)
    if (range !== undefined) throw wrong(`${prefix}${name}`, range, value)
  }
}

/** Throws `ERR_SHOAL_OPTION` unless it is a whole number from `min` on. */
export function checkWhole(name: string, value: unknown, min: number): void {
  if (!Number.isSafeInteger(value) || (value as number) < min)
    throw wrong(name, `a whole number from ${min} on`, value)
}

/** Throws `ERR_SHOAL_OPTION` unless it can be called. */
export function checkFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw wrong(name, 'a function', value)
}

export function wrong(name: string, range: string, value: unknown): ShoalError {
  return new ShoalError('ERR_SHOAL_OPTION', `${name}: expected ${range}, got ${shown(value)}`)
}

/** A value in a message; text in quotes, as `'5'` is not 5. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
