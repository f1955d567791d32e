/** What travels over connections, for those who look at bytes: checkers of protocols, records of a conversation. */

/** One direction of one connection; the same object for all its bytes. */
export interface Wire {
  readonly from: { readonly name: string }
  readonly to: { readonly name: string }
  /** Where the connection was made to, on either machine. */
  readonly port: number
  /** The same number for both directions of a connection, and for no other. */
  readonly connection: number
}

/** Hears what one machine hands to its kernel for another, in order, whether it will arrive or not. */
export type WireListener = (wire: Wire, bytes: Uint8Array) => void
