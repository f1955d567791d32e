/**
 * LZW as Go's compress/lzw does it: least significant bit first, literals of 8 bits (protocol reference,
 * section 5). That is the GIF variant. Codes start at 9 bits and grow to 12; 256 clears the table, 257
 * ends. The output equals Go's byte for byte.
 */
import { WireError } from './error.ts'

const clearCode = 256
const endCode = 257
const firstWidth = 9
const widthMax = 12
const codeMax = 4095

/** Open addressing over (code, next byte) pairs, at most a quarter full. */
const tableBits = 14
const tableSize = 1 << tableBits
const tableKeys = new Int32Array(tableSize)
const tableCodes = new Uint16Array(tableSize)

/** The compressed form of `bytes`. It can be larger: at worst 1.5 times, and a few bytes. */
export function compress(bytes: Uint8Array): Uint8Array {
  // Each code is at most 12 bits and stands for at least one byte; clears come once per 3838 codes.
  const out = new Uint8Array(Math.ceil(bytes.length * 1.5) + Math.ceil(bytes.length / 1024) + 8)
  let at = 0
  let bits = 0
  let bitCount = 0
  let width = firstWidth
  let high = endCode
  let overflow = 1 << firstWidth

  function emit(code: number): void {
    bits |= code << bitCount
    bitCount += width
    while (bitCount >= 8) {
      out[at++] = bits
      bits >>>= 8
      bitCount -= 8
    }
  }

  /** Counts the entry that follows a code; true when the table is full, after starting a new one. */
  function full(): boolean {
    high++
    if (high === overflow) {
      width++
      overflow <<= 1
    }
    if (high !== codeMax) return false
    emit(clearCode)
    width = firstWidth
    high = endCode
    overflow = 1 << firstWidth
    tableKeys.fill(0)
    return true
  }

  tableKeys.fill(0)
  emit(clearCode)
  if (bytes.length > 0) {
    let code = bytes[0]!
    for (let i = 1; i < bytes.length; i++) {
      const literal = bytes[i]!
      // Plus one, so that zero marks a free slot.
      const key = ((code << 8) | literal) + 1
      let slot = (Math.imul(key, 0x9e3779b1) >>> (32 - tableBits)) | 0
      while (tableKeys[slot] !== 0 && tableKeys[slot] !== key) slot = (slot + 1) & (tableSize - 1)
      if (tableKeys[slot] === key) {
        code = tableCodes[slot]!
        continue
      }
      emit(code)
      code = literal
      if (full()) continue
      tableKeys[slot] = key
      tableCodes[slot] = high
    }
    emit(code)
    full()
  }
  emit(endCode)
  if (bitCount > 0) out[at++] = bits
  return out.slice(0, at)
}

const prefixes = new Uint16Array(codeMax + 1)
const suffixes = new Uint8Array(codeMax + 1)
const lengths = new Uint32Array(codeMax + 1)

/**
 * The bytes behind a compressed form; what follows its end code is ignored. WireError 'malformed' for a
 * code that cannot be and for a missing end, 'limit' as soon as more than `bytesMax` bytes would come out.
 */
export function decompress(bytes: Uint8Array, bytesMax: number): Uint8Array {
  let out = new Uint8Array(Math.min(bytesMax, bytes.length * 4 + 64))
  let size = 0
  let at = 0
  let bits = 0
  let bitCount = 0
  let width = firstWidth
  let overflow = 1 << firstWidth
  let high = endCode
  let last = -1

  for (;;) {
    while (bitCount < width) {
      if (at === bytes.length) throw new WireError('malformed', 'compressed bytes end without an end code')
      bits |= bytes[at++]! << bitCount
      bitCount += 8
    }
    const code = bits & ((1 << width) - 1)
    bits >>>= width
    bitCount -= width
    if (code === clearCode) {
      width = firstWidth
      overflow = 1 << firstWidth
      high = endCode
      last = -1
      continue
    }
    if (code === endCode) return out.subarray(0, size)
    if (code > high) throw new WireError('malformed', 'a compressed code is not in the table')

    // A code that is only now being defined stands for the last one and its own first byte.
    const selfDefined = code === high && last >= 0 && code > endCode
    const source = selfDefined ? last : code
    const sourceLength = source < clearCode ? 1 : lengths[source]!
    const length = selfDefined ? sourceLength + 1 : sourceLength
    if (size + length > bytesMax) throw new WireError('limit', `over ${bytesMax} bytes decompressed`)
    if (size + length > out.length) {
      const grown = new Uint8Array(Math.min(bytesMax, Math.max(out.length * 2, size + length)))
      grown.set(out)
      out = grown
    }
    let walk = source
    let to = size + sourceLength
    while (walk > endCode) {
      out[--to] = suffixes[walk]!
      walk = prefixes[walk]!
    }
    out[--to] = walk
    if (selfDefined) out[size + sourceLength] = walk
    size += length

    if (last >= 0) {
      suffixes[high] = walk
      prefixes[high] = last
      lengths[high] = (last < clearCode ? 1 : lengths[last]!) + 1
    }
    last = code
    high++
    if (high >= overflow) {
      if (width === widthMax) {
        // The table stays as it is until a clear code.
        last = -1
        high--
      } else {
        width++
        overflow <<= 1
      }
    }
  }
}
