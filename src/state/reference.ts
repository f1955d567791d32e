/** The callers' side of an entity: a key as an object whose methods are the calls. Knows nothing of where the key is. */
import { ShoalError } from '../errors.ts'
import { callIdBytesMax, callIdFits, writeCallBody } from './call-body.ts'
import type { Entity, EntityCallOptions, EntityReference, EntityReferences } from './entity.ts'
import { type OpenCall, OpenCalls } from './open-calls.ts'

const optionNames: readonly string[] = [
  'timeoutMs',
  'signal',
  'bulk',
  'whenStalled',
  'callId',
  'detached',
] satisfies (keyof EntityCallOptions)[]

/** Makes keyed calls. */
export interface EntityCaller {
  /** Boot id of this node. */
  readonly origin: string
  /** Tells `open` as soon as the call is settled, also if it cannot be made. */
  call(
    method: string,
    key: string,
    body: unknown,
    options: EntityCallOptions | undefined,
    open: OpenCall,
  ): Promise<unknown>
}

/** Where a reference keeps its key: not a name, for all names may be calls. */
const keyOf = Symbol('key')

interface Reference {
  readonly [keyOf]: string
}

/** The methods of all keys' references are made once. */
export function references<Calls>(
  {
    name,
    definition,
  }: Pick<Entity<unknown, Calls>, 'name'> & { readonly definition: { readonly calls: Calls } },
  caller: EntityCaller,
): EntityReferences<Calls> {
  const open = new OpenCalls()
  const calls: object = Object.create(null)
  for (const call of Object.keys(definition.calls as object)) {
    const method = `${name}/${call}`
    const value = function (
      this: Reference | undefined,
      arg?: unknown,
      options?: EntityCallOptions,
    ): Promise<unknown> {
      const key = this?.[keyOf]
      return key === undefined ? torn(method) : made(caller, open, method, key, arg, options)
    }
    Object.defineProperty(calls, call, { value, enumerable: true })
  }
  return {
    get(key) {
      if (typeof key !== 'string') {
        throw new ShoalError('ERR_SHOAL_OPTION', `key: expected text, got ${typeof key}`)
      }
      const reference = Object.create(calls) as Record<symbol, string>
      reference[keyOf] = key
      return reference as object as EntityReference<Calls>
    },
  }
}

/** Where the key is is known to the reference alone. */
function torn(method: string): Promise<never> {
  const message = `${method}: called without the reference it belongs to: write (argument) => reference.call(argument)`
  return Promise.reject(new ShoalError('ERR_SHOAL_OPTION', message))
}

function whyNotOptions(options: unknown): string | undefined {
  if (typeof options !== 'object' || options === null) {
    return `options: expected an object behind the argument, got ${typeof options}`
  }
  for (const option in options) {
    if (!optionNames.includes(option)) return `no such option: ${option}`
  }
  const { signal, detached } = options as { readonly [Option in keyof EntityCallOptions]: unknown }
  const aborts: unknown = (signal as AbortSignal | null | undefined)?.throwIfAborted
  if (signal !== undefined && typeof aborts !== 'function') return 'signal: expected an AbortSignal'
  if (detached !== undefined && typeof detached !== 'boolean') return 'detached: expected true or false'
  return undefined
}

function made(
  caller: EntityCaller,
  calls: OpenCalls,
  method: string,
  key: string,
  arg: unknown,
  options: EntityCallOptions | undefined,
): Promise<unknown> {
  if (options !== undefined) {
    const why = whyNotOptions(options)
    if (why !== undefined) {
      return Promise.reject(new ShoalError('ERR_SHOAL_OPTION', `${method}: ${why}`))
    }
  }
  const named: unknown = options?.callId
  if (named !== undefined && (typeof named !== 'string' || named === '' || !callIdFits(named))) {
    const shown = typeof named === 'string' ? JSON.stringify(named) : typeof named
    const message = `${method}: callId: expected text of 1 to ${callIdBytesMax} bytes, got ${shown}`
    return Promise.reject(new ShoalError('ERR_SHOAL_OPTION', message))
  }
  const callId = named ?? ''
  const open = calls.open(key)
  const { seq, previous } = open
  const body = writeCallBody(caller.origin, seq, previous, calls.settledBelow, callId, arg)
  return caller.call(method, key, body, options, open)
}
