/**
 * The fingerprint of a run: everything observable is mixed into one hash, so two runs are the same exactly when their
 * hashes are. Integer arithmetic alone, so that it does not depend on the version of Node.
 */

export class Trace {
  #a = 0x811c9dc5
  #b = 0x01234567

  /** Mixes in one 32-bit integer. */
  number(value: number): void {
    this.#a = Math.imul(this.#a ^ value, 0x01000193)
    this.#b = Math.imul(this.#b ^ (value >>> 15) ^ value, 0x85ebca6b) ^ (this.#b >>> 13)
  }

  /** Mixes in a moment, to the microsecond. */
  time(ms: number): void {
    const micros = Math.round(ms * 1000)
    this.number(micros >>> 0)
    this.number(Math.floor(micros / 0x1_0000_0000))
  }

  text(text: string): void {
    this.number(text.length)
    for (let i = 0; i < text.length; i += 1) this.number(text.charCodeAt(i))
  }

  bytes(bytes: Uint8Array): void {
    const { length } = bytes
    this.number(length)
    // Four at a time: a run that moves much would spend a third of its time here otherwise.
    const words = length - (length % 4)
    for (let i = 0; i < words; i += 4) {
      this.number(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
    }
    for (let i = words; i < length; i += 1) this.number(bytes[i]!)
  }

  /** 16 hexadecimal digits. */
  get hash(): string {
    const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
    return hex(this.#a) + hex(this.#b)
  }
}
