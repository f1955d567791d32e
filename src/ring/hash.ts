/**
 * Where a key or a point lies: FarmHash `Fingerprint32` of the UTF-8 bytes.
 *
 * Of the FarmHash family only the fingerprints are fixed for ever and equal on every CPU. This is our own
 * writing of the algorithm as published with google/farmhash (`farmhashmk`, by Geoff Pike; MIT licence), in
 * 32-bit integer arithmetic without BigInt; it takes over the constants and the order of mixing, not the
 * code. It covers every length, so that no platform is without a ring. The native add-on (npm `farmhash`)
 * answers the same and is used where it is faster: long keys. Where it cannot be loaded, nothing changes but
 * the speed of long keys.
 */
import { createRequire } from 'node:module'

/** Names the hash in the ring's parameters: nodes that place keys by another one must not share a ring. */
export const hashName = 'farmhash-fingerprint32'

const c1 = 0xcc9e2d51
const c2 = 0x1b873593
const murAdd = 0xe6546b64

// Three ways for three lengths (UTF-16 units), by time per key on one x64 core, Node 20: copying unit by unit
// 44 to 68 ns up to 24 units, `encodeInto` 110 to 190 ns up to 96, the add-on 200 ns and up beyond.
const copyUnitsMax = 24
const encodeUnitsMax = 96

// The bytes of the key that is being hashed: at most three per unit.
const scratch = new Uint8Array(3 * encodeUnitsMax)
const scratchView = new DataView(scratch.buffer)
const encoder = new TextEncoder()

/**
 * The u32 hash of a key's UTF-8 bytes. As everywhere in JavaScript, a lone surrogate has no UTF-8 form and
 * counts as U+FFFD, so two keys that differ only in lone surrogates share a partition.
 */
export function hashKey(key: string): number {
  const length = key.length
  if (length > copyUnitsMax) return length > encodeUnitsMax ? hashLong(key) : hashEncoded(key)
  for (let i = 0; i < length; i++) {
    const unit = key.charCodeAt(i)
    if (unit > 0x7f) return hashEncoded(key)
    scratch[i] = unit
  }
  return fingerprint32(scratchView, length)
}

/** `hashKey` in JS alone, for any length: what a platform without the add-on uses. */
export function hashEncoded(key: string): number {
  if (key.length <= encodeUnitsMax)
    return fingerprint32(scratchView, encoder.encodeInto(key, scratch).written)
  const bytes = encoder.encode(key)
  return fingerprint32(new DataView(bytes.buffer, bytes.byteOffset), bytes.length)
}

type Native = (input: string) => number
let native: Native | undefined | null = null

function hashLong(key: string): number {
  if (native === null) native = loadNative()
  return native === undefined ? hashEncoded(key) : native(key)
}

/** A CommonJS add-on with prebuilt binaries for the common platforms; it throws on the others. */
function loadNative(): Native | undefined {
  try {
    const farmhash = createRequire(import.meta.url)('farmhash') as { fingerprint32: Native }
    return farmhash.fingerprint32
  } catch {
    return undefined
  }
}

/** Fingerprint32 of the first `length` bytes. */
export function fingerprint32(bytes: DataView, length: number): number {
  if (length > 24) return hashOver24(bytes, length)
  if (length > 12) return hash13to24(bytes, length)
  if (length > 4) return hash5to12(bytes, length)
  return hash0to4(bytes, length)
}

function word(bytes: DataView, at: number): number {
  return bytes.getInt32(at, true)
}

function rotate(value: number, bits: number): number {
  return (value >>> bits) | (value << (32 - bits))
}

function scramble(a: number): number {
  return Math.imul(rotate(Math.imul(a, c1), 17), c2)
}

function mix(h: number): number {
  return (Math.imul(rotate(h, 19), 5) + murAdd) | 0
}

function mur(a: number, h: number): number {
  return mix(h ^ scramble(a))
}

function finish(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function hash0to4(bytes: DataView, length: number): number {
  let b = 0
  let c = 9
  for (let i = 0; i < length; i++) {
    b = (Math.imul(b, c1) + bytes.getInt8(i)) | 0
    c ^= b
  }
  return finish(mur(b, mur(length, c)))
}

function hash5to12(bytes: DataView, length: number): number {
  const a = (length + word(bytes, 0)) | 0
  const b = (length * 5 + word(bytes, length - 4)) | 0
  const c = (9 + word(bytes, (length >> 1) & 4)) | 0
  return finish(mur(c, mur(b, mur(a, length * 5))))
}

function hash13to24(bytes: DataView, length: number): number {
  const half = length >> 1
  const c = word(bytes, length - 8)
  const d = word(bytes, half)
  const f = word(bytes, length - 4)
  let a = (rotate(word(bytes, half - 4), 12) + f) | 0
  let h = (Math.imul(d, c1) + length) | 0
  h = (mur(c, h) + a) | 0
  a = (rotate(a, 3) + c) | 0
  h = (mur(word(bytes, 0), h) + a) | 0
  a = (rotate((a + f) | 0, 12) + d) | 0
  h = (mur(word(bytes, 4), h) + a) | 0
  return finish(h)
}

function hashOver24(bytes: DataView, length: number): number {
  let h = length
  let g = Math.imul(c1, length)
  let f = g
  h = mix(mix(h ^ scramble(word(bytes, length - 4))) ^ scramble(word(bytes, length - 16)))
  g = mix(mix(g ^ scramble(word(bytes, length - 8))) ^ scramble(word(bytes, length - 12)))
  f = (rotate((f + scramble(word(bytes, length - 20))) | 0, 19) + 113) | 0
  let at = 0
  for (let blocks = Math.floor((length - 1) / 20); blocks > 0; blocks--, at += 20) {
    const a = word(bytes, at)
    const b = word(bytes, at + 4)
    const c = word(bytes, at + 8)
    const d = word(bytes, at + 12)
    const e = word(bytes, at + 16)
    h = (mur(d, (h + a) | 0) + e) | 0
    g = (mur(c, (g + b) | 0) + a) | 0
    f = (mur((b + Math.imul(e, c1)) | 0, (f + c) | 0) + d) | 0
    f = (f + g) | 0
    g = (g + f) | 0
  }
  g = Math.imul(rotate(Math.imul(rotate(g, 11), c1), 17), c1)
  f = Math.imul(rotate(Math.imul(rotate(f, 11), c1), 17), c1)
  h = Math.imul(rotate(mix((h + g) | 0), 17), c1)
  h = Math.imul(rotate(mix((h + f) | 0), 17), c1)
  return h >>> 0
}
