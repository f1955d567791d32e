/**
 * The cluster's keys: the first seals, all open (protocol reference, section 6; memberlist's keyring.go).
 * Rotation without a gap: `add` the new key everywhere, `use` it everywhere, `remove` the old one
 * everywhere.
 */
import { createSecretKey, type KeyObject } from 'node:crypto'

/** A key as bytes and as node:crypto likes it best. */
interface Key {
  readonly bytes: Uint8Array
  readonly secret: KeyObject
}

/** An ordered list of distinct AES keys of 16, 24 or 32 bytes. Empty: nothing is encrypted. */
export class Keyring {
  /** The primary first. */
  #keys: Key[] = []

  /** The first key is the primary; repeated keys count once. RangeError for a key of the wrong size. */
  constructor(keys: readonly Uint8Array[]) {
    for (const key of keys) this.add(key)
  }

  /** The key that seals; undefined when the ring is empty. */
  get primary(): Uint8Array | undefined {
    return this.#keys[0]?.bytes
  }

  /** All keys, the primary first. */
  get keys(): readonly Uint8Array[] {
    return this.#keys.map((key) => key.bytes)
  }

  /** How many keys there are. */
  get size(): number {
    return this.#keys.length
  }

  /** Key number `index` for node:crypto; 0 is the primary. */
  secret(index: number): KeyObject | undefined {
    return this.#keys[index]?.secret
  }

  /**
   * Opens also with this key from now on; a known key changes nothing. Into an empty ring it goes as
   * primary. RangeError for a key of the wrong size.
   */
  add(key: Uint8Array): void {
    if (key.length !== 16 && key.length !== 24 && key.length !== 32) {
      throw new RangeError(`a key has 16, 24 or 32 bytes, not ${key.length}`)
    }
    if (this.#find(key) >= 0) return
    const bytes = Uint8Array.from(key)
    this.#keys.push({ bytes, secret: createSecretKey(bytes) })
  }

  /** Seals with this key from now on. RangeError when the ring does not hold it. */
  use(key: Uint8Array): void {
    const index = this.#find(key)
    if (index < 0) throw new RangeError('the key to use is not in the ring: add it first')
    this.#keys.unshift(...this.#keys.splice(index, 1))
  }

  /** Forgets a key; an unknown one changes nothing. RangeError for the primary. */
  remove(key: Uint8Array): void {
    const index = this.#find(key)
    if (index === 0) throw new RangeError('the primary key cannot be removed: use another one first')
    if (index > 0) this.#keys.splice(index, 1)
  }

  #find(key: Uint8Array): number {
    return this.#keys.findIndex(
      ({ bytes }) => bytes.length === key.length && bytes.every((byte, i) => byte === key[i]),
    )
  }
}
