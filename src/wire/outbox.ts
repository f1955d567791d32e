/**
 * Writes RPC frames (layout: frame.ts) one behind the other into a slab, so that everything a turn of the
 * loop has to say to a peer leaves in one write. Long bodies are not copied: they become a segment of their own.
 */
import type { Body } from './body.ts'
import {
  extension,
  flag,
  frameType,
  type GoawayCode,
  goawayCodes,
  type HelloFrame,
  methodBytesMax,
  methodsMax,
  prefaceBytes,
  type RequestFrame,
  tracestateBytesMax,
} from './frame.ts'
import type { TraceContext } from './trace.ts'

/** Bodies from here on travel by reference; below it a copy is cheaper than two more pieces of a write. */
export const copyBytesMax = 4_096

const slabBytesMin = 4_096
const slabBytesMax = 65_536
const bodyFlag: Readonly<Record<Body['kind'], number>> = { none: 0, bytes: 1, value: 2 }
const utf8 = new TextEncoder()
/** Room for the longest head of a request without its texts. */
const requestHeadBytes = 80
/** Room for a text of up to 255 UTF-16 units, before it is known to be short enough, and its count. */
const shortTextRoom = 255 * 3 + 1

export interface OutboxLimits {
  readonly keyBytesMax: number
  readonly messageBytesMax: number
}

export class Outbox {
  /** Longest frame written, header included: the lesser of both sides' limits. */
  frameBytesMax: number
  /** Bytes written and not yet taken. */
  pendingBytes = 0

  readonly #limits: OutboxLimits
  readonly #methods = new Map<string, number>()
  #buffer: Uint8Array = new Uint8Array(0)
  #slabBytes = slabBytesMin
  #from = 0
  #at = 0
  #segments: Uint8Array[] = []

  constructor(limits: OutboxLimits, frameBytesMax: number) {
    this.#limits = limits
    this.frameBytesMax = frameBytesMax
  }

  /** Takes what was written since the last time, in order. */
  take(): Uint8Array[] {
    this.#cut()
    const segments = this.#segments
    this.#segments = []
    this.pendingBytes = 0
    return segments
  }

  preface(): void {
    this.#reserve(prefaceBytes.length)
    this.#buffer.set(prefaceBytes, this.#at)
    this.#at += prefaceBytes.length
    this.pendingBytes += prefaceBytes.length
  }

  hello(hello: HelloFrame): void {
    const start = this.#open(frameType.hello, hello.proves ? flag.proves : 0, 64 + 3 * shortTextRoom)
    this.#u32(hello.features)
    this.#u32(hello.frameBytesMax)
    this.#u32(hello.streamWindowBytes)
    this.#buffer.set(hello.nonce, this.#at)
    this.#at += hello.nonce.length
    this.#shortText(hello.name)
    this.#shortText(hello.boot)
    this.#shortText(hello.cluster)
    this.#close(start)
  }

  proof(proof: Uint8Array): void {
    const start = this.#open(frameType.proof, 0, proof.length)
    this.#buffer.set(proof, this.#at)
    this.#at += proof.length
    this.#close(start)
  }

  goaway(code: GoawayCode, message: string): void {
    const start = this.#open(frameType.goaway, 0, 3 + this.#limits.messageBytesMax)
    this.#buffer[this.#at++] = goawayCodes.indexOf(code)
    this.#longText(message)
    this.#close(start)
  }

  /** `answer`: the sign of life that the peer asked for. */
  ping(answer: boolean): void {
    this.#close(this.#open(frameType.ping, answer ? flag.answer : 0, 0))
  }

  cancel(id: number): void {
    const start = this.#open(frameType.cancel, 0, 4)
    this.#u32(id)
    this.#close(start)
  }

  /** False, and nothing written, when the call passes a limit of size. */
  request(id: number, remainingMs: number, request: RequestFrame): boolean {
    const { method, key, trace, tracestate, body } = request
    const bodyBytes = body.end - body.start
    const keyChars = key === undefined ? 0 : key.length
    if (keyChars > this.#limits.keyBytesMax || bodyBytes > this.frameBytesMax) return false
    const index = this.#methods.get(method) ?? this.#learn(method)
    if (index === undefined) return false
    let flags = bodyFlag[body.kind]
    if (key !== undefined) flags |= flag.keyed
    if (request.idempotent) flags |= flag.idempotent
    if (trace !== undefined) flags |= flag.trace
    if (index === 0) flags |= flag.spelled
    if (request.input) flags |= flag.input
    if (tracestate !== undefined || request.bulk) flags |= flag.extended
    const texts =
      keyChars * 3 +
      (index === 0 ? shortTextRoom : 0) +
      (tracestate === undefined ? 0 : 3 * tracestateBytesMax)
    const copied = bodyBytes < copyBytesMax ? bodyBytes : 0
    const start = this.#open(frameType.request, flags, requestHeadBytes + texts + copied)
    this.#u32(id)
    this.#u32(remainingMs)
    this.#u16(index)
    if (key !== undefined) {
      this.#buffer[this.#at++] = request.hops
      this.#u32(request.partition)
      this.#u32(request.digest)
      const lengthAt = this.#at
      this.#at += 2
      this.#text(key)
      const keyBytes = this.#at - lengthAt - 2
      if (keyBytes > this.#limits.keyBytesMax) return this.#undo(start)
      this.#buffer[lengthAt] = keyBytes >>> 8
      this.#buffer[lengthAt + 1] = keyBytes
    }
    if (trace !== undefined) this.#trace(trace)
    if ((flags & flag.extended) !== 0 && !this.#extensions(request)) return this.#undo(start)
    if (index === 0 && !this.#shortText(method)) return this.#undo(start)
    if (this.#at - start + bodyBytes > this.frameBytesMax) return this.#undo(start)
    this.#body(start, body, bodyBytes)
    return true
  }

  /** False, and nothing written, when the reply is too long for the peer. `output`: the callee's stream follows. */
  reply(id: number, body: Body, output: boolean): boolean {
    const bodyBytes = body.end - body.start
    if (10 + bodyBytes > this.frameBytesMax) return false
    const start = this.#open(
      frameType.reply,
      bodyFlag[body.kind] | (output ? flag.output : 0),
      bodyBytes < copyBytesMax ? 4 + bodyBytes : 4,
    )
    this.#u32(id)
    this.#body(start, body, bodyBytes)
    return true
  }

  /** A chunk of a stream, which must be shorter than a frame may be. `ofCaller`: we made the call it belongs to. */
  data(id: number, ofCaller: boolean, chunk: Body): void {
    const bytes = chunk.end - chunk.start
    const flags = bodyFlag[chunk.kind] | (ofCaller ? flag.ofCaller : 0)
    const start = this.#open(frameType.data, flags, bytes < copyBytesMax ? 4 + bytes : 4)
    this.#u32(id)
    this.#body(start, chunk, bytes)
  }

  /** Nothing more comes of a stream that we write (`end`), or is wanted of one that we read (`stop`). */
  streamOver(type: 'end' | 'stop', id: number, ofCaller: boolean): void {
    const start = this.#open(frameType[type], ofCaller ? flag.ofCaller : 0, 4)
    this.#u32(id)
    this.#close(start)
  }

  /** We take so many bytes more of a stream. */
  credit(id: number, ofCaller: boolean, bytes: number): void {
    const start = this.#open(frameType.credit, ofCaller ? flag.ofCaller : 0, 8)
    this.#u32(id)
    this.#u32(bytes)
    this.#close(start)
  }

  /** So many bytes of data frames have arrived. */
  received(bytes: number): void {
    const start = this.#open(frameType.received, 0, 4)
    this.#u32(bytes)
    this.#close(start)
  }

  error(
    id: number,
    code: number,
    flags: number,
    digest: number,
    retryAfterMs: number,
    message: string,
    owner: string | undefined,
    remoteCode?: string,
  ): void {
    const after = Math.ceil(Math.min(retryAfterMs, 0xffff_ffff))
    const withAfter = after > 0 ? flags | flag.retryAfter : flags
    const withAll = remoteCode === undefined ? withAfter : withAfter | flag.remoteCode
    const room = remoteCode === undefined ? 15 : 15 + shortTextRoom
    const start = this.#open(frameType.error, withAll, room + this.#limits.messageBytesMax + shortTextRoom)
    this.#u32(id)
    this.#buffer[this.#at++] = code
    this.#u32(digest)
    if (after > 0) this.#u32(after)
    if (remoteCode !== undefined) this.#shortText(remoteCode)
    this.#longText(message)
    if (owner !== undefined) this.#shortText(owner)
    this.#close(start)
  }

  #trace(trace: TraceContext): void {
    this.#u32(trace.t0)
    this.#u32(trace.t1)
    this.#u32(trace.t2)
    this.#u32(trace.t3)
    this.#u32(trace.s0)
    this.#u32(trace.s1)
    this.#buffer[this.#at++] = trace.flags
  }

  /** False when the tracestate is too long. */
  #extensions({ tracestate, bulk }: RequestFrame): boolean {
    const blockAt = this.#at
    this.#at += 2
    if (bulk) {
      this.#buffer[this.#at++] = extension.bulk
      this.#u16(0)
    }
    if (tracestate !== undefined) {
      if (tracestate.length > tracestateBytesMax) return false
      this.#buffer[this.#at++] = extension.tracestate
      const lengthAt = this.#at
      this.#at += 2
      this.#text(tracestate)
      const bytes = this.#at - lengthAt - 2
      if (bytes > tracestateBytesMax) return false
      this.#buffer[lengthAt] = bytes >>> 8
      this.#buffer[lengthAt + 1] = bytes
    }
    const block = this.#at - blockAt - 2
    this.#buffer[blockAt] = block >>> 8
    this.#buffer[blockAt + 1] = block
    return true
  }

  /** Gives a method a number, once, and tells the peer. 0: spell it out. Undefined: its name is too long. */
  #learn(method: string): number | undefined {
    const name = utf8.encode(method)
    if (name.length > methodBytesMax) return undefined
    const index = this.#methods.size + 1
    if (index > methodsMax) return 0
    this.#methods.set(method, index)
    const start = this.#open(frameType.method, 0, 2 + name.length)
    this.#u16(index)
    this.#buffer.set(name, this.#at)
    this.#at += name.length
    this.#close(start)
    return index
  }

  #open(type: number, flags: number, bytes: number): number {
    this.#reserve(6 + bytes)
    const start = this.#at
    this.#buffer[start + 4] = type
    this.#buffer[start + 5] = flags
    this.#at = start + 6
    return start
  }

  #close(start: number): void {
    this.#length(start, this.#at - start)
  }

  #length(start: number, frameBytes: number): void {
    const buffer = this.#buffer
    const length = frameBytes - 4
    buffer[start] = length >>> 24
    buffer[start + 1] = length >>> 16
    buffer[start + 2] = length >>> 8
    buffer[start + 3] = length
    this.pendingBytes += frameBytes
  }

  #undo(start: number): false {
    this.#at = start
    return false
  }

  #body(start: number, body: Body, bytes: number): void {
    this.#length(start, this.#at - start + bytes)
    if (bytes === 0) return
    const { source } = body
    const whole = body.start === 0 && body.end === source.length
    if (bytes < copyBytesMax) {
      this.#buffer.set(whole ? source : source.subarray(body.start, body.end), this.#at)
      this.#at += bytes
      return
    }
    this.#cut()
    this.#segments.push(whole ? source : source.subarray(body.start, body.end))
  }

  #u16(value: number): void {
    const buffer = this.#buffer
    buffer[this.#at++] = value >>> 8
    buffer[this.#at++] = value
  }

  #u32(value: number): void {
    const buffer = this.#buffer
    const at = this.#at
    buffer[at] = value >>> 24
    buffer[at + 1] = value >>> 16
    buffer[at + 2] = value >>> 8
    buffer[at + 3] = value
    this.#at = at + 4
  }

  /** At most 255 bytes, which the first byte counts. False, and nothing written, when it is longer. */
  #shortText(text: string): boolean {
    if (text.length > 255) return false
    const lengthAt = this.#at++
    this.#text(text)
    const bytes = this.#at - lengthAt - 1
    if (bytes > 255) {
      this.#at = lengthAt
      return false
    }
    this.#buffer[lengthAt] = bytes
    return true
  }

  /** Cut to the longest message allowed, between characters. */
  #longText(text: string): void {
    const lengthAt = this.#at
    this.#at += 2
    const room = this.#buffer.subarray(this.#at, this.#at + this.#limits.messageBytesMax)
    const { written } = utf8.encodeInto(text, room)
    this.#at += written
    this.#buffer[lengthAt] = written >>> 8
    this.#buffer[lengthAt + 1] = written
  }

  /** Three bytes per UTF-16 unit must have been reserved. */
  #text(text: string): void {
    const buffer = this.#buffer
    const at = this.#at
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) {
        this.#at = at + utf8.encodeInto(text, buffer.subarray(at)).written
        return
      }
      buffer[at + i] = code
    }
    this.#at = at + text.length
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    this.#cut()
    this.#buffer = new Uint8Array(Math.max(this.#slabBytes, bytes))
    this.#slabBytes = Math.min(this.#slabBytes * 2, slabBytesMax)
    this.#from = this.#at = 0
  }

  /** Ends the segment being written. Its bytes are the stream's from then on, the slab behind it is ours. */
  #cut(): void {
    if (this.#at === this.#from) return
    this.#segments.push(this.#buffer.subarray(this.#from, this.#at))
    this.#from = this.#at
  }
}
