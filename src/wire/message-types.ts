/** The type bytes of memberlist's messages (protocol reference, section 2). */

/**
 * First byte of each message. Those of wrappers (compound, compress, encrypt, CRC, label) are where they
 * are read.
 */
export const messageTypes = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  user: 8,
  nack: 11,
  error: 13,
} as const
