/**
 * The one way in which bytes from the network are refused. A `WireError` is data, not a bug: whoever reads
 * from the network catches it, counts its `drop` and goes on.
 */

/**
 * Why bytes were dropped. `empty`: nothing in it. `label`: of another cluster, or of none. `encryption`:
 * plain where keys are set, sealed where none are, or sealed with no key of ours. `crc`: damaged.
 * `malformed`: not what its type says. `type`: a type that is unknown here. `limit`: over a named limit.
 */
export type DropReason = 'empty' | 'label' | 'encryption' | 'crc' | 'malformed' | 'type' | 'limit'

/**
 * Bytes that cannot be read. Has no stack: a flood of bad packets makes one each, and capturing it is most
 * of the cost.
 */
export class WireError extends Error {
  readonly drop: DropReason

  constructor(drop: DropReason, message: string) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(message)
    Error.stackTraceLimit = limit
    this.name = 'WireError'
    this.drop = drop
  }
}
