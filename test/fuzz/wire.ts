/**
 * Throws mutated packets and streams at the readers: `node dist/test/fuzz/wire.js [count] [seed]`, default
 * 1,000,000 cases. Starts from the captured vectors, mutates them on every layer (the sealed bytes, what is
 * inside the encryption, the CRC or the compression), and checks that nothing but a drop reason or a
 * WireError comes out, that no case takes long, that memory stays bounded, and that what was read can be
 * written and read again. Ends with one summary line; the first failure prints its bytes and exits 1.
 */
import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import { encodeCompressed } from '../../src/wire/compression.ts'
import { decodeMessage, encodeMessage, type PacketMessage, WireError } from '../../src/wire/message.ts'
import { PacketCodec } from '../../src/wire/packet.ts'
import { decodeSerf } from '../../src/wire/serf.ts'
import { StreamCodec, type StreamRole } from '../../src/wire/stream.ts'
import { decodeTags } from '../../src/wire/tags.ts'
import { seeded } from '../wire/seeded.ts'
import {
  type Decoded,
  envelopeOf,
  flatten,
  fromHex,
  loadVectors,
  packetFiles,
  toHex,
  type Vector,
} from '../wire/vectors.ts'

/** A case over this is run again, and fails when it is slow twice: the machine may have been busy. */
const caseMsMax = 200
/** Heap and array buffers over what the corpus takes. */
const memoryBytesMax = 256 * 1024 * 1024

const count = Number(process.argv[2] ?? 1_000_000)
const seed = Number(process.argv[3] ?? 1)
const random = seeded(seed)
const below = (n: number): number => random.u32() % n

interface Target {
  readonly bytes: Uint8Array
  feed(bytes: Uint8Array): 'read' | 'waiting' | string
}

const samples: PacketMessage[] = []

function packetTarget(vector: Vector): Target[] {
  const codec = new PacketCodec(envelopeOf(vector, false), random)
  const feed = (bytes: Uint8Array) => {
    const dropped = codec.open(bytes, (message) => {
      if (below(64) === 0) samples.push(message)
    })
    return dropped ?? 'read'
  }
  const targets: Target[] = [{ bytes: fromHex(vector.hex), feed }]
  // Inside the encryption and the label: mutate what they carry, then wrap it as it should be.
  const plain = flatten(vector.decoded).wrappers.find((one) => one.wrapper === 'encryption')?.plaintextHex
  if (plain !== undefined) {
    targets.push({ bytes: fromHex(plain), feed: (bytes) => feed(codec.seal([bytes], false)) })
  }
  return targets
}

function streamTarget(vector: Vector): Target[] {
  const codec = new StreamCodec(envelopeOf(vector, false), random)
  const role: StreamRole = vector.side === 'dialer' ? 'acceptor' : 'dialer'
  const feed = (bytes: Uint8Array, of = codec) => {
    const reader = of.reader(role)
    const chunkBytes = below(4) === 0 ? 1 + below(50) : bytes.length
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      try {
        if (reader.push(bytes.subarray(at, at + chunkBytes)) !== undefined) return 'read'
      } catch (error) {
        if (error instanceof WireError) return error.drop
        throw error
      }
    }
    return 'waiting'
  }
  const targets: Target[] = [{ bytes: fromHex(vector.hex), feed }]
  const bare = new StreamCodec({ ...envelopeOf(vector, false), keyring: undefined, label: '' }, random)
  const inside = (vector.decoded['compressed'] ?? vector.decoded['encrypted']) as Decoded | undefined
  if (inside?.plaintextHex !== undefined) {
    const plain = fromHex(inside.plaintextHex)
    targets.push({ bytes: plain, feed: (bytes) => feed(bytes, bare) })
    targets.push({ bytes: plain, feed: (bytes) => feed(encodeCompressed(bytes), bare) })
  }
  return targets
}

/** Readers of whole values, which throw WireError. */
function valueTarget(vector: Vector): Target[] {
  const feed = (bytes: Uint8Array) => {
    try {
      decodeTags(bytes)
      decodeSerf(bytes)
      return 'read'
    } catch (error) {
      if (error instanceof WireError) return error.drop
      throw error
    }
  }
  return [{ bytes: fromHex(vector.hex), feed }]
}

const targets: Target[] = [
  ...packetFiles
    .flatMap((file) => loadVectors(file).filter((vector) => vector.kind === 'captured'))
    .flatMap(packetTarget),
  ...loadVectors('alive-encodings').flatMap((vector) => packetTarget({ ...vector, decoded: {} })),
  ...loadVectors('tcp-streams').flatMap(streamTarget),
  ...loadVectors('serf-messages').flatMap(valueTarget),
]

/** Bytes that mean something at the head of a value or a wrapper. */
const heads = [
  ...[
    0x00, 0x07, 0x09, 0x0a, 0x0c, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc4, 0xc6, 0xc7,
    0xc9,
  ],
  ...[
    0xca, 0xcb, 0xcc, 0xcf, 0xd0, 0xd3, 0xd4, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xe0, 0xf4,
    0xff,
  ],
]

function splice(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const out = new Uint8Array(bytes.length - remove + insert.length)
  out.set(bytes.subarray(0, at))
  out.set(insert, at)
  out.set(bytes.subarray(at + remove), at + insert.length)
  return out
}

function mutateOnce(bytes: Uint8Array): Uint8Array {
  const at = below(bytes.length + 1)
  const span = Math.min(bytes.length - at, 1 + below(8))
  const none = new Uint8Array(0)
  switch (below(11)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return splice(bytes, at, span, none)
    case 2:
      return splice(bytes, at, 0, random.bytes(1 + below(8)))
    case 3:
      return splice(bytes, at, span, random.bytes(span))
    case 4:
      return splice(bytes, at, Math.min(1, span), Uint8Array.of(heads[below(heads.length)]!))
    case 5:
      // A header that announces very much.
      return splice(bytes, at, span, Uint8Array.of(heads[below(heads.length)]!, 0xff, 0xff, 0xff, 0xff))
    case 6: {
      const other = targets[below(targets.length)]!.bytes
      return splice(bytes, at, span, other.subarray(below(other.length)))
    }
    case 7:
      return splice(bytes, at, 0, bytes.subarray(at, at + 1 + below(100)))
    case 8:
      return splice(bytes, at, 0, new Uint8Array(1 + below(2000)).fill(heads[below(heads.length)]!))
    default: {
      const out = bytes.slice()
      if (out.length > 0) out[below(out.length)]! ^= 1 << below(8)
      return out
    }
  }
}

/** A few mutations, and sometimes a wrapper around the result or a CRC that is right again. */
function mutate(bytes: Uint8Array): Uint8Array {
  let out = bytes
  for (let times = 1 + below(4); times > 0; times--) out = mutateOnce(out)
  const wrapping = below(12)
  if (wrapping === 0) out = encodeCompressed(out)
  else if (wrapping === 1 && out.length < 65_536) {
    out = splice(out, 0, 0, Uint8Array.of(7, 1, out.length >>> 8, out.length & 255))
  } else if (wrapping === 2) out = splice(new Uint8Array(5), 5, 0, out)
  if (out.length > 5 && (out[0] === 12 || wrapping === 2) && below(4) > 0) {
    out = out.slice()
    out[0] = 12
    new DataView(out.buffer).setUint32(1, crc32(out.subarray(5)))
  }
  return out
}

/** What was read must survive being written, unless it must not go out at all. */
function checkSamples(): void {
  for (const message of samples.splice(0)) {
    let bytes: Uint8Array
    try {
      bytes = encodeMessage(message)
    } catch (error) {
      if (error instanceof RangeError) continue
      throw error
    }
    const again = decodeMessage(bytes)
    assert.deepEqual(encodeMessage(again as PacketMessage), bytes)
  }
}

function memoryBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function fail(message: string, bytes: Uint8Array, cause?: unknown): never {
  console.error(`fuzz/wire: ${message} (seed ${seed})\n${toHex(bytes)}`)
  if (cause !== undefined) console.error(cause)
  process.exit(1)
}

const started = performance.now()
const memoryStart = memoryBytes()
const outcomes: Record<string, number> = {}
let slowestMs = 0
let memoryMost = 0
let bytesFed = 0
for (let i = 0; i < count; i++) {
  const target = targets[below(targets.length)]!
  const bytes = mutate(target.bytes)
  bytesFed += bytes.length
  try {
    const before = performance.now()
    const outcome = target.feed(bytes)
    let ms = performance.now() - before
    if (ms > caseMsMax) {
      const again = performance.now()
      target.feed(bytes)
      ms = Math.min(ms, performance.now() - again)
      if (ms > caseMsMax) fail(`one case took ${ms.toFixed(0)} ms`, bytes)
    }
    slowestMs = Math.max(slowestMs, ms)
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    checkSamples()
  } catch (error) {
    fail('a foreign exception', bytes, error)
  }
  if (i % 5000 === 0) {
    memoryMost = Math.max(memoryMost, memoryBytes() - memoryStart)
    if (memoryMost > memoryBytesMax) fail(`memory grew by ${memoryMost} bytes`, bytes)
  }
}
const seconds = (performance.now() - started) / 1000
console.log(
  `fuzz/wire: ${count} cases, seed ${seed}, ${(bytesFed / 1e6).toFixed(0)} MB in ${seconds.toFixed(1)} s, ` +
    `slowest ${slowestMs.toFixed(1)} ms, memory +${(memoryMost / 1e6).toFixed(0)} MB, outcomes ${JSON.stringify(outcomes)}`,
)
