/** The checks of a definition: whoever gets one wrong hears which option, before anything is hosted. */
import { ShoalError } from '../errors.ts'
import { nameFits } from '../shard/methods.ts'
import { copiesMax } from './config.ts'
import type { EntityOptions } from './entity.ts'
import { schemaMax } from './records.ts'

const known: readonly string[] = [
  'open',
  'calls',
  'level',
  'copies',
  'acks',
  'acksMin',
  'quorum',
  'interleave',
  'readonly',
  'snapshot',
  'restore',
  'version',
  'merge',
  'idleMs',
  'close',
  'keysMax',
  'bytesMax',
  'whenFull',
  'remoteStacks',
] satisfies (keyof EntityOptions<unknown, unknown>)[]

const votersMax = 99
const idleMsMax = 30 * 24 * 3_600_000
/** A reference with such a method would be taken for something else. */
const reservedCalls: readonly string[] = ['then', '__proto__']

type Unchecked = { readonly [Option in keyof EntityOptions<unknown, unknown>]?: unknown }

/** Throws `ERR_SHOAL_OPTION`. */
export function checkDefinition(name: string, definition: Unchecked): void {
  if (typeof name !== 'string' || name === '' || !nameFits(`${name}/`) || name.includes('/')) {
    throw new ShoalError('ERR_SHOAL_OPTION', `entity: expected a name without "/", got ${shown(name)}`)
  }
  const wrong = (option: string, value: unknown, range: string): ShoalError =>
    new ShoalError('ERR_SHOAL_OPTION', `entity "${name}": ${option}: expected ${range}, got ${shown(value)}`)
  if (typeof definition !== 'object' || definition === null) {
    throw wrong('definition', definition, 'an object with open and calls')
  }
  for (const option of Object.keys(definition)) {
    if (known.includes(option)) continue
    throw new ShoalError('ERR_SHOAL_OPTION', `entity "${name}": no such option: ${option}`)
  }
  for (const option of ['open', 'snapshot', 'restore', 'merge', 'close'] as const) {
    const value: unknown = definition[option]
    if (typeof value !== 'function' && (option === 'open' || value !== undefined)) {
      throw wrong(option, value, 'a function')
    }
    const isAsync = typeof value === 'function' && value.constructor.name === 'AsyncFunction'
    if (isAsync && (option === 'merge' || option === 'snapshot'))
      throw wrong(option, 'an async one', 'a function that returns at once')
  }
  checkCalls(name, definition, wrong)
  checkCopies(definition, wrong)
  const { version, idleMs, keysMax, bytesMax, whenFull, remoteStacks } = definition
  inRange('version', version, 0, schemaMax, true)
  inRange('idleMs', idleMs, 1, idleMsMax, false)
  inRange('keysMax', keysMax, 1, Number.MAX_SAFE_INTEGER, true)
  inRange('bytesMax', bytesMax, 1, Number.MAX_SAFE_INTEGER, true)
  if (whenFull !== undefined && whenFull !== 'refuse' && whenFull !== 'evict') {
    throw wrong('whenFull', whenFull, `'refuse' or 'evict'`)
  }
  if (whenFull !== undefined && keysMax === undefined && bytesMax === undefined) {
    throw wrong('whenFull', whenFull, 'keysMax or bytesMax beside it')
  }
  if (remoteStacks !== undefined && typeof remoteStacks !== 'boolean') {
    throw wrong('remoteStacks', remoteStacks, 'true or false')
  }

  function inRange(option: string, value: unknown, min: number, max: number, whole: boolean): void {
    if (value === undefined) return
    const isNumber = typeof value === 'number' && value >= min && value <= max
    if (!isNumber || (whole && !Number.isInteger(value))) {
      throw wrong(option, value, `a ${whole ? 'whole ' : ''}number from ${min} to ${max}`)
    }
  }
}

type Wrong = (option: string, value: unknown, range: string) => ShoalError

function checkCalls(name: string, definition: Unchecked, wrong: Wrong): void {
  const { interleave, readonly } = definition
  const calls: unknown = definition.calls
  if (typeof calls !== 'object' || calls === null || Array.isArray(calls))
    throw wrong('calls', calls, 'an object of functions')
  const names = Object.keys(calls)
  if (names.length === 0) throw wrong('calls', [], 'at least one call')
  for (const call of names) {
    const value = (calls as Record<string, unknown>)[call]
    if (typeof value !== 'function') throw wrong(`calls.${call}`, value, 'a function')
    if (reservedCalls.includes(call))
      throw wrong('calls', call, `other names than ${reservedCalls.join(', ')}`)
    if (!nameFits(`${name}/${call}`)) throw wrong('calls', call, 'shorter names: NAME/CALL is a method')
  }
  for (const [option, list] of Object.entries({ interleave, readonly })) {
    if (list === undefined) continue
    if (!Array.isArray(list)) throw wrong(option, list, 'a list of calls')
    for (const call of list as unknown[]) {
      if (!names.includes(call as string)) throw wrong(option, call, `names of calls (${names.join(', ')})`)
    }
  }
}

function checkCopies(definition: Unchecked, wrong: Wrong): void {
  const { level, copies, acks, acksMin, quorum } = definition
  if (level !== undefined && level !== 'routed' && level !== 'handoff' && level !== 'replicated') {
    throw wrong('level', level, `'routed', 'handoff' or 'replicated'`)
  }
  for (const [option, value] of Object.entries({ copies, acks, acksMin, quorum })) {
    if (value !== undefined && level !== 'replicated')
      throw wrong(option, value, `level: 'replicated' beside it`)
  }
  if (copies !== undefined && !isWhole(copies, 2, copiesMax)) {
    throw wrong('copies', copies, `a whole number from 2 to ${copiesMax}`)
  }
  const most = Number(copies ?? 2)
  if (acks !== undefined && !isWhole(acks, 1, most)) {
    throw wrong('acks', acks, `a whole number from 1 to copies (${most})`)
  }
  const mostMin = Number(acks ?? Math.min(2, most))
  if (acksMin !== undefined && !isWhole(acksMin, 1, mostMin)) {
    throw wrong('acksMin', acksMin, `a whole number from 1 to acks (${mostMin})`)
  }
  if (quorum === undefined) return
  if (typeof quorum !== 'object') throw wrong('quorum', quorum, `{ voters }, how many nodes there are`)
  const voters = (quorum as { readonly voters?: unknown } | null)?.voters
  if (!isWhole(voters, 1, votersMax)) {
    throw wrong('quorum.voters', voters, `a whole number from 1 to ${votersMax}`)
  }
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (Array.isArray(value) && value.length === 0) return 'none'
  return typeof value === 'object' || typeof value === 'function' ? typeof value : String(value)
}
