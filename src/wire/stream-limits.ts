/** What a stranger's stream may make us hold. memberlist's own: protocol reference, section 16. */

/** Bounds on what one stream may cost. */
export const streamLimits = {
  /** Members in one push/pull; memberlist allows 1,048,576, which its own 20 MiB cannot hold. */
  pushPullNodesMax: 131_072,
  /** Bytes of one struct: a header, or a member with name, Meta and unknown fields. */
  structBytesMax: 65_536,
  /** Bytes of user state in a push/pull, and of a user message. */
  userStateBytesMax: 20_971_520,
  /** Bytes of a whole stream as received, label and encryption included. */
  streamBytesMax: 20_971_520,
  /** Bytes of a message behind a compression. */
  decompressedBytesMax: 41_943_040,
  /** Bytes of such a message that need no justification by their compressed size. */
  decompressedBytesFree: 1_048_576,
  /**
   * Times the compressed size that a larger one may have. A push/pull of 10,000 members has 5, of 10,000
   * equal ones 17; without this, 31 kB from a stranger would become 40 MiB and stop the process for a
   * quarter of a second.
   */
  decompressedRatioMax: 100,
} as const

/** Limits of the shape of `streamLimits`. */
export type StreamLimits = { readonly [Name in keyof typeof streamLimits]: number }
