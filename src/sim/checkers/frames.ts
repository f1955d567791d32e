/**
 * Reads the frames of every connection that begins as one of shoal's RPC, as they are sent, for rules about them. What is
 * no such connection (gossip, a service of the user's), or breaks off in the midst of a frame, is left alone.
 */
import { frameType, type HelloFrame } from '../../wire/frame.ts'
import { FrameReader } from '../../wire/frame-reader.ts'
import type { Wire } from '../wire.ts'

/** A rule about frames: throws a `Violation`. */
export interface FrameRule {
  /** One side said who it is and what it takes. */
  hello?(wire: Wire, hello: HelloFrame): void
  /** A request, reply, error or frame of a stream; its fields are in `frame`. */
  frame(wire: Wire, type: number, frame: FrameReader): void
}

export class Frames {
  readonly #rules: readonly FrameRule[]
  readonly #readers = new WeakMap<Wire, FrameReader>()

  constructor(rules: readonly FrameRule[]) {
    this.#rules = rules
  }

  sent(wire: Wire, bytes: Uint8Array): void {
    let reader = this.#readers.get(wire)
    if (reader === undefined) {
      reader = new FrameReader()
      reader.frameBytesMax = Number.POSITIVE_INFINITY
      this.#readers.set(wire, reader)
    }
    if (reader.broken !== undefined) return
    reader.push(bytes)
    for (let type = reader.next(); type !== 0; type = reader.next()) {
      if (type === frameType.hello) {
        const hello = reader.readHello()
        if (hello !== undefined) for (const rule of this.#rules) rule.hello?.(wire, hello)
      } else if (readFields(reader, type)) for (const rule of this.#rules) rule.frame(wire, type, reader)
    }
  }
}

function readFields(reader: FrameReader, type: number): boolean {
  switch (type) {
    case frameType.request:
      return reader.readRequest()
    case frameType.reply:
      return reader.readReply()
    case frameType.error:
      return reader.readError()
    case frameType.data:
      return reader.readData()
    case frameType.credit:
      return reader.readCredit()
    case frameType.end:
    case frameType.stop:
      return reader.readEnd()
    default:
      return false
  }
}
