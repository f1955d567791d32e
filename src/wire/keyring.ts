/**
 * The cluster's keys: the first seals, all open (protocol reference, section 6; memberlist's keyring.go).
 * Rotation without a gap: `add` the new key everywhere, `use` it everywhere, `remove` the old one everywhere.
 */

/** An ordered list of distinct AES keys of 16, 24 or 32 bytes. Empty: nothing is encrypted. */
export class Keyring {
  constructor(_keys: readonly Uint8Array[]) {}

  /** The key that seals; undefined when the ring is empty. */
  get primary(): Uint8Array | undefined {
    throw new Error('not yet')
  }

  /** All keys, the primary first. */
  get keys(): readonly Uint8Array[] {
    throw new Error('not yet')
  }

  /** Opens also with this key from now on; a known key changes nothing. Into an empty ring it goes as primary. RangeError: wrong size. */
  add(_key: Uint8Array): void {}

  /** Seals with this key from now on. RangeError when the ring does not hold it. */
  use(_key: Uint8Array): void {}

  /** Forgets a key; an unknown one changes nothing. RangeError for the primary. */
  remove(_key: Uint8Array): void {}
}
