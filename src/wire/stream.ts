/**
 * One exchange over TCP, in one direction: label, encryption and compression around one message (protocol
 * reference, section 8; memberlist's net.go).
 */
import type { Random } from '../env.ts'
import { compressType, decodeCompressed, encodeCompressed } from './compression.ts'
import { noBytes } from './cursor.ts'
import { hasKeys, openSealed, sealInto, sealOverheadBytes } from './encryption.ts'
import { WireError } from './error.ts'
import { hasLabel, type Label, labelType, makeLabel } from './label.ts'
import type { HeldNodes } from './node-record.ts'
import type { Envelope } from './packet.ts'
import { ValueScanner } from './scan.ts'
import { type StreamLimits, streamLimits } from './stream-limits.ts'
import {
  decodeStreamMessage,
  encodeStreamMessage,
  MessageMeter,
  type StreamMessage,
} from './stream-message.ts'

export { type HeldNodes, NodeRecord, NodeTable, type PushPullNode } from './node-record.ts'
export { type StreamLimits, streamLimits } from './stream-limits.ts'
export type { PushPull, StreamMessage } from './stream-message.ts'

/** Which side of the connection we are. Only the dialer writes the label header. */
export type StreamRole = 'dialer' | 'acceptor'

/** First byte of an encrypted stream; its length, big-endian, follows. */
const encryptType = 10
const encryptHeaderBytes = 5

/** Seals what is written to streams and makes readers for what arrives. */
export class StreamCodec {
  readonly #envelope: Envelope
  readonly #random: Random
  readonly #limits: StreamLimits
  readonly #label: Label

  /** RangeError for a label over 255 bytes. */
  constructor(envelope: Envelope, random: Random, limits: StreamLimits = streamLimits) {
    this.#envelope = envelope
    this.#random = random
    this.#limits = limits
    this.#label = makeLabel(envelope.label)
  }

  /**
   * All the bytes to write for this message. RangeError for values the format must not carry, and over the
   * limits.
   */
  seal(message: StreamMessage, role: StreamRole): Uint8Array {
    const { keyring, verifyOutgoing, compress } = this.#envelope
    const header = role === 'dialer' ? this.#label.header : noBytes
    const sealing = verifyOutgoing && hasKeys(keyring)
    if (!sealing && !compress) return this.#checked(encodeStreamMessage(message, this.#limits, header))
    const plain = encodeStreamMessage(message, this.#limits, noBytes)
    // A stream is compressed even if it grows, as in Go.
    const inner = compress ? encodeCompressed(plain) : plain
    const frontBytes = header.length + (sealing ? encryptHeaderBytes : 0)
    const out = new Uint8Array(frontBytes + inner.length + (sealing ? sealOverheadBytes : 0))
    out.set(header)
    if (!sealing) {
      out.set(inner, header.length)
      return this.#checked(out)
    }
    const length = inner.length + sealOverheadBytes
    out[header.length] = encryptType
    new DataView(out.buffer).setUint32(header.length + 1, length)
    const extra = this.#extra(out.subarray(header.length, frontBytes))
    sealInto(out, frontBytes, inner, keyring, extra, this.#random)
    return this.#checked(out)
  }

  #checked(stream: Uint8Array): Uint8Array {
    const { streamBytesMax } = this.#limits
    if (stream.length <= streamBytesMax) return stream
    throw new RangeError(`a stream has at most ${streamBytesMax} bytes, not ${stream.length}`)
  }

  /** Reads what the other side writes; `role` is ours. Members that are `held` come out as what is held of them. */
  reader(role: StreamRole, held?: HeldNodes): StreamReader {
    // Only who dialled sends the label header; the answer carries the label in its authenticated data alone.
    const expected = role === 'acceptor' ? this.#label : noLabel
    return new StreamReader(this.#envelope, this.#limits, expected, (front) => this.#extra(front), held)
  }

  /**
   * What encryption authenticates besides the plaintext: type and length in front of the envelope, and the
   * label.
   */
  #extra(front: Uint8Array): Uint8Array {
    const extra = new Uint8Array(front.length + this.#label.bytes.length)
    extra.set(front)
    extra.set(this.#label.bytes, front.length)
    return extra
  }
}

const noLabel = makeLabel('')

/** Collects one message from chunks of any size. Made by `StreamCodec.reader`. */
export class StreamReader {
  readonly #envelope: Envelope
  readonly #limits: StreamLimits
  readonly #label: Label
  readonly #extra: (front: Uint8Array) => Uint8Array
  readonly #held: HeldNodes | undefined
  readonly #meter: MessageMeter
  readonly #scanner = new ValueScanner()
  #bytes: Uint8Array = noBytes
  #size = 0
  /** Where the part behind the label starts, once the label was seen. */
  #start = -1
  /** What the part behind the label is, once its first byte was seen. */
  #kind: 'encrypted' | 'compressed' | 'plain' | undefined
  #done = false
  #failure: unknown

  constructor(
    envelope: Envelope,
    limits: StreamLimits,
    label: Label,
    extra: (front: Uint8Array) => Uint8Array,
    held: HeldNodes | undefined,
  ) {
    this.#envelope = envelope
    this.#limits = limits
    this.#label = label
    this.#extra = extra
    this.#held = held
    this.#meter = new MessageMeter(limits, held)
  }

  /**
   * Feeds bytes. The message once it is whole, which may have views into them: copy what is kept. Undefined while more
   * is needed (the bytes are copied) or after it was handed out; what follows it is ignored. Throws WireError, then and
   * on every later call, when the bytes can never become a message or pass a limit.
   */
  push(chunk: Uint8Array): StreamMessage | undefined {
    if (this.#done) return undefined
    if (this.#failure !== undefined) throw this.#failure
    try {
      this.#append(chunk)
      const message = this.#read()
      if (message === undefined) {
        // Not `slice`, which is no copy of a Buffer.
        if (this.#bytes === chunk) this.#bytes = new Uint8Array(chunk)
        return undefined
      }
      this.#done = true
      this.#bytes = noBytes
      return message
    } catch (error) {
      this.#failure = error
      this.#bytes = noBytes
      throw error
    }
  }

  /** Bytes kept for a message that is not whole yet. */
  get heldBytes(): number {
    return this.#bytes.length
  }

  #append(chunk: Uint8Array): void {
    const size = this.#size + chunk.length
    if (size > this.#limits.streamBytesMax) {
      throw new WireError('limit', `over ${this.#limits.streamBytesMax} bytes in a stream`)
    }
    this.#size = size
    if (size === chunk.length) {
      // Often the first bytes are all of them.
      this.#bytes = chunk
      return
    }
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(
        Math.max(size, Math.min(this.#bytes.length * 2, this.#limits.streamBytesMax)),
      )
      grown.set(this.#bytes.subarray(0, size - chunk.length))
      this.#bytes = grown
    }
    this.#bytes.set(chunk, size - chunk.length)
  }

  #read(): StreamMessage | undefined {
    if (this.#start < 0 && !this.#readLabel()) return undefined
    if (this.#kind === undefined) {
      if (this.#size === this.#start) return undefined
      this.#kind = this.#readKind(this.#bytes[this.#start]!)
    }
    switch (this.#kind) {
      case 'encrypted':
        return this.#readEncrypted()
      case 'compressed':
        return this.#readCompressed()
      case 'plain': {
        const end = this.#meter.advance(this.#bytes, this.#size)
        if (end === undefined) return undefined
        return decodeStreamMessage(this.#bytes.subarray(this.#start, end), this.#held, this.#meter.table)
      }
      default:
        return this.#kind satisfies never
    }
  }

  /** False while the header is incomplete and right so far. */
  #readLabel(): boolean {
    const { header } = this.#label
    if (this.#size === 0) return false
    const seen = this.#bytes.subarray(0, Math.min(this.#size, Math.max(header.length, 1)))
    const whole = seen.length >= header.length
    const right = whole ? hasLabel(seen, this.#label) : seen.every((byte, i) => byte === header[i])
    if (!right) {
      const other = seen[0] === labelType ? 'another label' : 'no label'
      throw new WireError('label', `the stream has ${other}`)
    }
    if (whole) this.#start = header.length
    return whole
  }

  #readKind(first: number): 'encrypted' | 'compressed' | 'plain' {
    const { keyring, verifyIncoming } = this.#envelope
    const keys = hasKeys(keyring)
    if (first === encryptType) {
      if (!keys) throw new WireError('encryption', 'the stream is encrypted and there is no key')
      return 'encrypted'
    }
    if (keys && verifyIncoming) throw new WireError('encryption', 'the stream is not encrypted')
    if (first === compressType) {
      this.#scanner.start(this.#start + 1)
      return 'compressed'
    }
    this.#meter.start(this.#start)
    return 'plain'
  }

  #readEncrypted(): StreamMessage | undefined {
    const at = this.#start + encryptHeaderBytes
    if (this.#size < at) return undefined
    const front = this.#bytes.subarray(this.#start, at)
    const length = new DataView(front.buffer, front.byteOffset).getUint32(1)
    if (at + length > this.#limits.streamBytesMax) {
      throw new WireError('limit', `${length} encrypted bytes announced`)
    }
    if (this.#size < at + length) return undefined
    const { keyring } = this.#envelope
    const sealed = this.#bytes.subarray(at, at + length)
    const plain = hasKeys(keyring) ? openSealed(sealed, keyring, this.#extra(front)) : undefined
    if (plain === undefined) throw new WireError('encryption', 'no key opens the stream')
    return plain[0] === compressType ? this.#inflate(plain) : this.#whole(plain)
  }

  #readCompressed(): StreamMessage | undefined {
    const complete = this.#scanner.advance(this.#bytes, this.#size)
    if (this.#scanner.at > this.#limits.streamBytesMax) {
      throw new WireError('limit', `${this.#scanner.at} compressed bytes announced`)
    }
    if (!complete) return undefined
    return this.#inflate(this.#bytes.subarray(this.#start, this.#scanner.at))
  }

  #inflate(bytes: Uint8Array): StreamMessage {
    const { decompressedBytesMax, decompressedBytesFree, decompressedRatioMax } = this.#limits
    const justified = Math.max(decompressedBytesFree, bytes.length * decompressedRatioMax)
    return this.#whole(decodeCompressed(bytes, Math.min(decompressedBytesMax, justified)))
  }

  /** A message whose bytes are all there. */
  #whole(bytes: Uint8Array): StreamMessage {
    this.#meter.start(0)
    const end = this.#meter.advance(bytes, bytes.length)
    if (end === undefined) throw new WireError('malformed', 'the message is cut short')
    return decodeStreamMessage(bytes.subarray(0, end), this.#held, this.#meter.table)
  }
}
