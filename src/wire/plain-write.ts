/**
 * MessagePack for plain values: text, numbers, booleans, null, undefined, bytes, and arrays and objects of them. That is
 * nearly every body, and written straight into a slab it takes less than half of msgpackr's time. Whatever else
 * there is (dates, classes, big integers, functions, cycles) is msgpackr's: `writePlain` then answers `undefined`. What
 * both write reads the same with either.
 */

/** Where the bytes of a value lie; nobody writes there again. */
export interface Written {
  readonly source: Uint8Array
  readonly start: number
  readonly end: number
}

/** Deeper values are msgpackr's, a cycle among them. */
export const plainDepthMax = 64

const slabBytes = 65_536
/** Longest text that is written unit by unit, in UTF-16 units. */
const unitsMax = 48
const utf8 = new TextEncoder()
/** Within for…in the engine knows the answer of this one, not of `Object.hasOwn`. */
const hasOwn = Object.prototype.hasOwnProperty

let buffer = new Uint8Array(0)
let view = new DataView(buffer.buffer)
let start = 0
let at = 0
let isWriting = false

/**
 * Encodes a plain value; `undefined` when it is not plain. A property that is computed may throw, which is the caller's to
 * hear, or encode something itself, which is msgpackr's then.
 */
export function writePlain(value: unknown): Written | undefined {
  if (isWriting) return undefined
  isWriting = true
  start = at
  let isPlain = false
  try {
    isPlain = write(value, 0)
  } finally {
    isWriting = false
    if (!isPlain) at = start
  }
  return isPlain ? { source: buffer, start, end: at } : undefined
}

/** Room for so many bytes more. What was begun moves to a new slab; what was handed out stays where it is. */
function reserve(bytes: number): void {
  if (at + bytes <= buffer.length) return
  const begun = at - start
  const slab = new Uint8Array(Math.max(slabBytes, 2 * (begun + bytes)))
  slab.set(buffer.subarray(start, at))
  buffer = slab
  view = new DataView(slab.buffer)
  start = 0
  at = begun
}

function write(value: unknown, depth: number): boolean {
  reserve(9)
  switch (typeof value) {
    case 'string':
      writeText(value)
      return true
    case 'number':
      writeNumber(value)
      return true
    case 'boolean':
      buffer[at++] = value ? 0xc3 : 0xc2
      return true
    case 'undefined':
      buffer[at++] = 0xd4
      buffer[at++] = 0
      buffer[at++] = 0
      return true
    case 'object':
      if (value === null) {
        buffer[at++] = 0xc0
        return true
      }
      if (depth === plainDepthMax) return false
      if (value.constructor === Object) return writeObject(value as Record<string, unknown>, depth + 1)
      if (value.constructor === Array) return writeArray(value as unknown[], depth + 1)
      if (value.constructor === Uint8Array) return writeBytes(value as Uint8Array)
      return false
    default:
      return false
  }
}

function writeObject(object: Record<string, unknown>, depth: number): boolean {
  // The slab may change meanwhile, the distance from the start does not.
  const head = at++ - start
  let count = 0
  for (const key in object) {
    if (!hasOwn.call(object, key)) continue
    reserve(5)
    writeText(key)
    if (!write(object[key], depth)) return false
    count++
  }
  if (count < 16) {
    buffer[start + head] = 0x80 | count
    return true
  }
  return writeLongHead(head, 0xde, count)
}

function writeArray(array: readonly unknown[], depth: number): boolean {
  const { length } = array
  const head = at++ - start
  for (let i = 0; i < length; i++) if (!write(array[i], depth)) return false
  if (length < 16) {
    buffer[start + head] = 0x90 | length
    return true
  }
  return writeLongHead(head, 0xdc, length)
}

/** Makes room for the count behind what it counts: rare, and cheaper than to count first. */
function writeLongHead(head: number, tag: number, count: number): boolean {
  if (count > 0xffff) return false
  reserve(2)
  const from = start + head
  buffer.copyWithin(from + 3, from + 1, at)
  buffer[from] = tag
  buffer[from + 1] = count >>> 8
  buffer[from + 2] = count
  at += 2
  return true
}

function writeNumber(value: number): void {
  if (value >>> 0 === value) {
    if (value < 0x80) buffer[at++] = value
    else if (value < 0x100) {
      buffer[at++] = 0xcc
      buffer[at++] = value
    } else if (value < 0x10000) {
      buffer[at++] = 0xcd
      buffer[at++] = value >>> 8
      buffer[at++] = value
    } else {
      buffer[at++] = 0xce
      view.setUint32(at, value)
      at += 4
    }
  } else if (value >= -0x20 && value < 0 && Number.isInteger(value)) buffer[at++] = value
  else if (value >> 0 === value) {
    buffer[at++] = 0xd2
    view.setInt32(at, value)
    at += 4
  } else {
    buffer[at++] = 0xcb
    view.setFloat64(at, value)
    at += 8
  }
}

function writeText(text: string): void {
  const { length } = text
  if (length > unitsMax || !writeAscii(text, length)) writeUtf8(text)
}

/** False, and nothing written, when there is more than ASCII in it. */
function writeAscii(text: string, length: number): boolean {
  reserve(2 + length)
  const bytes = buffer
  let to = at
  if (length < 32) bytes[to++] = 0xa0 | length
  else {
    bytes[to++] = 0xd9
    bytes[to++] = length
  }
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) return false
    bytes[to + i] = unit
  }
  at = to + length
  return true
}

function writeUtf8(text: string): void {
  reserve(5 + 3 * text.length)
  const { written } = utf8.encodeInto(text, buffer.subarray(at + 5))
  const from = at + 5
  let to = at
  if (written < 32) buffer[to++] = 0xa0 | written
  else if (written < 0x100) {
    buffer[to++] = 0xd9
    buffer[to++] = written
  } else if (written < 0x10000) {
    buffer[to++] = 0xda
    buffer[to++] = written >>> 8
    buffer[to++] = written
  } else {
    buffer[to++] = 0xdb
    view.setUint32(to, written)
    to += 4
  }
  if (to < from) buffer.copyWithin(to, from, from + written)
  at = to + written
}

function writeBytes(bytes: Uint8Array): boolean {
  const { length } = bytes
  reserve(5 + length)
  if (length < 0x100) {
    buffer[at++] = 0xc4
    buffer[at++] = length
  } else if (length < 0x10000) {
    buffer[at++] = 0xc5
    buffer[at++] = length >>> 8
    buffer[at++] = length
  } else {
    buffer[at++] = 0xc6
    view.setUint32(at, length)
    at += 4
  }
  buffer.set(bytes, at)
  at += length
  return true
}
