/** Checks of numbers that users give: the error names what was wrong, the value and the range. */
import { ShoalError } from './errors.ts'

export function integer(option: string, value: unknown, min: number, max: number): number {
  if (!Number.isInteger(value)) throw wrong(option, value, `a whole number from ${min} to ${max}`)
  return number(option, value, min, max)
}

export function number(option: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw wrong(option, value, `a number from ${min} to ${max}`)
  }
  return value
}

export function wrong(option: string, value: unknown, range: string): ShoalError {
  return new ShoalError('ERR_SHOAL_OPTION', `${option}: expected ${range}, got ${shown(value)}`)
}

export function noSuchOption(option: string, value: unknown): ShoalError {
  return new ShoalError('ERR_SHOAL_OPTION', `${option}: no such option, got ${shown(value)}`)
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
