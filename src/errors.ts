/**
 * Anything a caller can act on is a `ShoalError`. A bug fails an assertion; a bad packet is data: counted,
 * published, dropped.
 */

/** The closed list of codes. See docs/errors.md for what to do about each. */
export type ShoalErrorCode =
  | 'ERR_SHOAL_OPTION'
  | 'ERR_SHOAL_STATE'
  | 'ERR_SHOAL_JOIN'
  | 'ERR_SHOAL_NO_OWNER'
  | 'ERR_SHOAL_NOT_OWNER'
  | 'ERR_SHOAL_TIMEOUT'
  | 'ERR_SHOAL_DISCONNECTED'
  | 'ERR_SHOAL_OVERLOADED'
  | 'ERR_SHOAL_TOO_LARGE'
  | 'ERR_SHOAL_NO_METHOD'
  | 'ERR_SHOAL_REMOTE'
  | 'ERR_SHOAL_HANDOFF'

/** Codes whose failures pass by themselves: the same call may succeed later. */
const retryableCodes: ReadonlySet<ShoalErrorCode> = new Set<ShoalErrorCode>([
  'ERR_SHOAL_JOIN',
  'ERR_SHOAL_NO_OWNER',
  'ERR_SHOAL_NOT_OWNER',
  'ERR_SHOAL_TIMEOUT',
  'ERR_SHOAL_DISCONNECTED',
  'ERR_SHOAL_OVERLOADED',
  'ERR_SHOAL_HANDOFF',
])

/** Whether failures with this code pass by themselves, unless an error says otherwise. */
export function retryableByNature(code: ShoalErrorCode): boolean {
  return retryableCodes.has(code)
}

export interface ShoalErrorDetail {
  cause?: unknown
  /** Default: by code. */
  retryable?: boolean
  /** Default false. */
  mayHaveRun?: boolean
  /** Default 0. */
  retryAfterMs?: number
  remoteCode?: string | undefined
}

const brand = Symbol.for('shoal.error')

export class ShoalError extends Error {
  readonly code: ShoalErrorCode
  /** The same call may succeed later or elsewhere. */
  readonly retryable: boolean
  /** The handler may have run (once) although no reply arrived. False is a promise that it did not. */
  readonly mayHaveRun: boolean
  /** `ERR_SHOAL_OVERLOADED`: milliseconds after which whoever refused may take such a call again; 0: it did not say. */
  readonly retryAfterMs: number
  /** `ERR_SHOAL_REMOTE`: the `code` of what the handler threw, if it has one of 1 to 64 characters of printable ASCII. */
  readonly remoteCode: string | undefined

  constructor(code: ShoalErrorCode, message: string, detail: ShoalErrorDetail = {}) {
    super(message, 'cause' in detail ? { cause: detail.cause } : undefined)
    this.name = 'ShoalError'
    this.code = code
    this.retryable = detail.retryable ?? retryableByNature(code)
    this.mayHaveRun = detail.mayHaveRun ?? false
    this.retryAfterMs = detail.retryAfterMs ?? 0
    this.remoteCode = detail.remoteCode
    Object.defineProperty(this, brand, { value: true })
  }
}

/** The time that a call had, as messages name it; undefined: its first caller is another node, which knows. */
export function within(timeoutMs: number | undefined): string {
  return timeoutMs === undefined ? 'within its deadline' : `within ${Math.round(timeoutMs)} ms`
}

/** True for a `ShoalError` of any copy of this package (a brand check: `instanceof` fails across copies). */
export function isShoalError(value: unknown): value is ShoalError {
  return typeof value === 'object' && value !== null && (value as { [brand]?: unknown })[brand] === true
}
