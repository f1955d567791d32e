/**
 * Reads RPC frames (layout: frame.ts). A cursor: `next` steps to the next whole frame, the `read…` method of its type
 * puts the frame's fields into the reader's own, so that a frame costs no object here. Frames are read where they
 * arrived; only one that came in pieces is put together, in an array of its own. Neither is ever written again, so
 * bodies may be kept without a copy.
 */
import { readAscii } from './ascii.ts'
import {
  errorFlags,
  extension,
  type FrameBreak,
  flag,
  goawayCodes,
  type HelloFrame,
  helloFrameBytesMax,
  methodBytesMax,
  nonceBytes,
  prefaceBytes,
  proofBytes,
  remoteCodeBytesMax,
  streamWindowBytesMax,
  streamWindowBytesMin,
  tracestateBytesMax,
  versionAt,
} from './frame.ts'
import { readText, u16, u32 } from './frame-fields.ts'
import { traceBytes } from './trace.ts'

const headBytes = 6

export class FrameReader {
  /** Longest frame accepted, header included. Raise it once the peer has said hello. */
  frameBytesMax: number = helloFrameBytesMax
  /** Set once the stream can not be read on; nothing is read after it. */
  broken: FrameBreak | undefined

  // The current frame.
  flags = 0
  id = 0
  remainingMs = 0
  methodIndex = 0
  method = ''
  key: string | undefined
  partition = 0
  digest = 0
  hops = 0
  /** Where the trace context lies in `source`; -1: there is none. */
  traceAt = -1
  tracestate: string | undefined
  bulk = false
  /** Bytes a reader grants. */
  credit = 0
  code = 0
  retryAfterMs = 0
  remoteCode: string | undefined
  message = ''
  owner: string | undefined
  /** Where the body lies; `source` is never written again. */
  source: Uint8Array = new Uint8Array(0)
  bodyStart = 0
  frameEnd = 0

  /** What of `source` is held and not yet read. */
  #from = 0
  #to = 0
  /** Up to here `source` is ours and free to take more of what is held. */
  #roomTo = 0
  #at = 0
  /** What arrived last, and how much of it was taken. */
  #chunk: Uint8Array = this.source
  #chunkAt = 0
  #sawPreface = false

  /** Bytes held that are not yet a whole frame. */
  get pendingBytes(): number {
    return this.#to - this.#from + this.#chunk.length - this.#chunkAt
  }

  /** Takes bytes that arrived; nobody may write to the array any more. */
  push(chunk: Uint8Array): void {
    const rest = this.#chunk.length - this.#chunkAt
    if (rest > 0) this.#gather(rest, 0)
    this.#chunk = chunk
    this.#chunkAt = 0
  }

  /** Brings so many bytes together behind `#from`; false while they have not all come. */
  #have(bytes: number): boolean {
    const held = this.#to - this.#from
    if (held >= bytes) return true
    const rest = this.#chunk.length - this.#chunkAt
    const whole = held + rest >= bytes
    if (held > 0) this.#gather(whole ? bytes - held : rest, bytes)
    else if (rest > 0) {
      this.source = this.#chunk
      this.#from = this.#chunkAt
      this.#to = this.#chunkAt = this.#chunk.length
      this.#roomTo = this.#to
    }
    return whole
  }

  /** Copies so many bytes of the chunk behind what is held. `wanted`: how many there will be, as far as it is known. */
  #gather(bytes: number, wanted: number): void {
    if (bytes === 0) return
    const held = this.#to - this.#from
    if (this.#to + bytes > this.#roomTo) {
      // Doubling bounds the copies of a long frame, and never takes more than twice of what was sent.
      const room = Math.max(held + bytes, Math.min(wanted, 2 * (held + bytes)))
      const own = new Uint8Array(room)
      own.set(this.source.subarray(this.#from, this.#to))
      this.source = own
      this.#from = 0
      this.#to = held
      this.#roomTo = room
    }
    this.source.set(this.#chunk.subarray(this.#chunkAt, this.#chunkAt + bytes), this.#to)
    this.#to += bytes
    this.#chunkAt += bytes
  }

  /** Steps to the next frame: its type, or 0 when there is none yet (or never, see `broken`). */
  next(): number {
    if (this.broken !== undefined) return 0
    if (!this.#sawPreface && !this.#preface()) return 0
    if (!this.#have(4)) return 0
    const length = u32(this.source, this.#from)
    if (length < headBytes - 4 || length > this.frameBytesMax - 4) return this.#break('length')
    if (!this.#have(4 + length)) return 0
    const { source } = this
    const from = this.#from
    this.#from = this.frameEnd = from + 4 + length
    this.flags = source[from + 5]!
    this.#at = from + headBytes
    return source[from + 4]!
  }

  /** Marks the stream as unreadable from here on. */
  fail(reason: FrameBreak): void {
    this.#break(reason)
  }

  readRequest(): boolean {
    const { source, flags } = this
    let at = this.#at
    if ((flags & flag.bodyMask) === 3) return this.#bad('flags')
    if (at + 10 > this.frameEnd) return this.#bad('fields')
    this.id = u32(source, at)
    this.remainingMs = u32(source, at + 4)
    this.methodIndex = u16(source, at + 8)
    at += 10
    if ((flags & flag.keyed) !== 0) {
      if (at + 11 > this.frameEnd) return this.#bad('fields')
      this.hops = source[at]!
      this.partition = u32(source, at + 1)
      this.digest = u32(source, at + 5)
      this.#at = at + 11
      this.key = this.#text(u16(source, at + 9))
      if (this.key === undefined) return this.#bad('fields')
      at = this.#at
    } else {
      this.hops = this.partition = this.digest = 0
      this.key = undefined
    }
    this.#at = at
    this.traceAt = -1
    if ((flags & flag.trace) !== 0) {
      this.traceAt = at
      this.#at += traceBytes
      if (this.#at > this.frameEnd) return this.#bad('fields')
    }
    this.tracestate = undefined
    this.bulk = false
    if ((flags & flag.extended) !== 0 && !this.#extensions()) return this.#bad('fields')
    if ((flags & flag.spelled) !== 0) {
      const method = this.#shortText()
      if (method === undefined) return this.#bad('fields')
      this.method = method
    }
    return this.#bodyHere()
  }

  readReply(): boolean {
    if ((this.flags & ~(flag.bodyMask | flag.output)) !== 0 || (this.flags & flag.bodyMask) === 3) {
      return this.#bad('flags')
    }
    return this.#readId() && this.#bodyHere()
  }

  readData(): boolean {
    const kind = this.flags & flag.bodyMask
    if ((this.flags & ~(flag.bodyMask | flag.ofCaller)) !== 0 || kind === 0 || kind === 3)
      return this.#bad('flags')
    return this.#readId() && this.#bodyHere()
  }

  /** `end` and `stop` have the same fields. */
  readEnd(): boolean {
    if ((this.flags & ~flag.ofCaller) !== 0) return this.#bad('flags')
    return this.#readId() && (this.#at === this.frameEnd || this.#bad('fields'))
  }

  readCredit(): boolean {
    if ((this.flags & ~flag.ofCaller) !== 0) return this.#bad('flags')
    if (!this.#readId()) return false
    if (this.#at + 4 !== this.frameEnd) return this.#bad('fields')
    this.credit = u32(this.source, this.#at)
    return true
  }

  /** Fills `credit`. */
  readReceived(): boolean {
    if (this.flags !== 0) return this.#bad('flags')
    if (this.#at + 4 !== this.frameEnd) return this.#bad('fields')
    this.credit = u32(this.source, this.#at)
    return true
  }

  #readRemoteCode(): boolean {
    const length = this.source[this.#at]!
    const from = this.#at + 1
    const end = from + length
    if (length === 0 || length > remoteCodeBytesMax || end > this.frameEnd) return false
    for (let at = from; at < end; at++) if (this.source[at]! < 0x20 || this.source[at]! > 0x7e) return false
    this.remoteCode = readAscii(this.source, from, end)
    this.#at = end
    return true
  }

  readError(): boolean {
    if ((this.flags & ~errorFlags) !== 0) return this.#bad('flags')
    if (!this.#readId()) return false
    const at = this.#at
    if (at + 7 > this.frameEnd) return this.#bad('fields')
    this.code = this.source[at]!
    this.digest = u32(this.source, at + 1)
    this.retryAfterMs = 0
    this.#at = at + 5
    if ((this.flags & flag.retryAfter) !== 0) {
      if (at + 11 > this.frameEnd) return this.#bad('fields')
      this.retryAfterMs = u32(this.source, at + 5)
      this.#at += 4
    }
    this.remoteCode = undefined
    if ((this.flags & flag.remoteCode) !== 0 && !this.#readRemoteCode()) return this.#bad('fields')
    if (this.#at + 2 > this.frameEnd) return this.#bad('fields')
    const messageBytes = u16(this.source, this.#at)
    this.#at += 2
    const message = this.#text(messageBytes)
    if (message === undefined) return this.#bad('fields')
    this.message = message
    this.owner = undefined
    if (this.#at === this.frameEnd) return true
    this.owner = this.#shortText()
    return (this.owner !== undefined && this.#at === this.frameEnd) || this.#bad('fields')
  }

  readCancel(): boolean {
    if (this.flags !== 0) return this.#bad('flags')
    return this.#readId() && (this.#at === this.frameEnd || this.#bad('fields'))
  }

  readPing(): boolean {
    if ((this.flags & ~flag.answer) !== 0) return this.#bad('flags')
    return this.#at === this.frameEnd || this.#bad('fields')
  }

  /** Fills `methodIndex` and `method`. */
  readMethod(): boolean {
    if (this.flags !== 0) return this.#bad('flags')
    const nameBytes = this.frameEnd - this.#at - 2
    if (nameBytes < 0 || nameBytes > methodBytesMax) return this.#bad('fields')
    this.methodIndex = u16(this.source, this.#at)
    this.#at += 2
    const method = this.#text(nameBytes)
    if (method === undefined) return this.#bad('fields')
    this.method = method
    return true
  }

  /** Fills `code` and `message`; an unknown code reads as `closing`. Later fields are skipped. */
  readGoaway(): boolean {
    if (this.#at + 3 > this.frameEnd) return this.#bad('fields')
    const code = this.source[this.#at]!
    this.code = code < goawayCodes.length ? code : 0
    const bytes = u16(this.source, this.#at + 1)
    this.#at += 3
    const message = this.#text(bytes)
    if (message === undefined) return this.#bad('fields')
    this.message = message
    return true
  }

  /** Later fields are skipped, so that hello can grow. */
  readHello(): HelloFrame | undefined {
    const at = this.#at
    if (at + 12 + nonceBytes > this.frameEnd) return this.#nothing()
    const features = u32(this.source, at)
    const frameBytesMax = u32(this.source, at + 4)
    const streamWindowBytes = u32(this.source, at + 8)
    const nonce = this.source.slice(at + 12, at + 12 + nonceBytes)
    this.#at = at + 12 + nonceBytes
    const name = this.#shortText()
    const boot = this.#shortText()
    const cluster = this.#shortText()
    if (!name || boot === undefined || cluster === undefined) return this.#nothing()
    if (frameBytesMax < helloFrameBytesMax || streamWindowBytes < streamWindowBytesMin) return this.#nothing()
    if (streamWindowBytes > streamWindowBytesMax) return this.#nothing()
    const proves = (this.flags & flag.proves) !== 0
    return { name, boot, cluster, nonce, features, frameBytesMax, streamWindowBytes, proves }
  }

  readProof(): Uint8Array | undefined {
    if (this.frameEnd - this.#at !== proofBytes) return this.#nothing()
    return this.source.slice(this.#at, this.frameEnd)
  }

  #preface(): boolean {
    this.#have(prefaceBytes.length)
    const held = this.#to - this.#from
    for (let i = 0; i < Math.min(held, prefaceBytes.length); i++) {
      // The last two bytes are for a later version to use; this one neither writes nor minds them.
      if (i > versionAt || this.source[this.#from + i] === prefaceBytes[i]) continue
      this.#break(i === versionAt ? 'version' : 'magic')
      return false
    }
    if (held < prefaceBytes.length) return false
    this.#from += prefaceBytes.length
    this.#sawPreface = true
    return true
  }

  #readId(): boolean {
    if (this.#at + 4 > this.frameEnd) return this.#bad('fields')
    this.id = u32(this.source, this.#at)
    this.#at += 4
    return true
  }

  #extensions(): boolean {
    if (this.#at + 2 > this.frameEnd) return false
    const end = this.#at + 2 + u16(this.source, this.#at)
    this.#at += 2
    if (end > this.frameEnd) return false
    while (this.#at < end) {
      if (this.#at + 3 > end) return false
      const tag = this.source[this.#at]!
      const bytes = u16(this.source, this.#at + 1)
      this.#at += 3
      const next = this.#at + bytes
      if (next > end) return false
      if (tag === extension.bulk) this.bulk = true
      else if (tag === extension.tracestate) {
        if (bytes > tracestateBytesMax) return false
        this.tracestate = this.#text(bytes)
        if (this.tracestate === undefined) return false
      }
      this.#at = next
    }
    return true
  }

  /** What is left of the frame is its body. Without one, nothing may be left. */
  #bodyHere(): boolean {
    this.bodyStart = this.#at
    return (this.flags & flag.bodyMask) !== 0 || this.#at === this.frameEnd || this.#bad('fields')
  }

  #shortText(): string | undefined {
    if (this.#at >= this.frameEnd) return undefined
    const bytes = this.source[this.#at]!
    this.#at += 1
    return this.#text(bytes)
  }

  #text(bytes: number): string | undefined {
    const at = this.#at
    const end = at + bytes
    if (end > this.frameEnd) return undefined
    this.#at = end
    return readText(this.source, at, end)
  }

  #break(reason: FrameBreak): 0 {
    this.broken ??= reason
    return 0
  }

  #bad(reason: FrameBreak): false {
    this.broken ??= reason
    return false
  }

  #nothing(): undefined {
    this.broken ??= 'fields'
    return undefined
  }
}
