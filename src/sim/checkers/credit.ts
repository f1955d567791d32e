/**
 * The rule of credit: chunks of a stream are sent only for a call that has such a stream, not after its end, and never beyond
 * what their reader has granted: the window of its hello, and its credit frames since. Read from the frames themselves, a
 * grant counting from the moment it is sent.
 */
import type { Millis } from '../../env.ts'
import { chunkOverheadBytes } from '../../rpc/stream.ts'
import { flag, frameType, type HelloFrame } from '../../wire/frame.ts'
import type { FrameReader } from '../../wire/frame-reader.ts'
import type { Wire } from '../wire.ts'
import type { FrameRule } from './frames.ts'
import { Violation } from './violation.ts'

interface Stream {
  /** What its writer may still send. */
  credit: number
  hasEnded: boolean
}

/** What both directions of one connection have said. */
interface Connection {
  /** What an end lets each stream hold, by its name. */
  readonly windows: Map<string, number>
  /** By who writes, who made the call, and the id of the call. */
  readonly streams: Map<string, Stream>
}

/** Connections that are remembered; the oldest goes first. */
const connectionsMax = 65_536

export class Credit implements FrameRule {
  readonly #now: () => Millis
  readonly #connections = new Map<number, Connection>()

  constructor(now: () => Millis) {
    this.#now = now
  }

  hello(wire: Wire, { streamWindowBytes }: HelloFrame): void {
    this.#connection(wire).windows.set(wire.from.name, streamWindowBytes)
  }

  frame(wire: Wire, type: number, frame: FrameReader): void {
    const { id, flags } = frame
    const { from, to } = wire
    const caller = (flags & flag.ofCaller) !== 0 ? from.name : to.name
    switch (type) {
      case frameType.request:
        if ((flags & flag.input) !== 0) this.#open(wire, from.name, id)
        break
      case frameType.reply:
        if ((flags & flag.output) !== 0) this.#open(wire, to.name, id)
        break
      case frameType.data: {
        const stream = this.#stream(wire, from.name, caller, id)
        if (stream === undefined) throw this.#broken(wire, id, 'a chunk of a stream that was never opened')
        if (stream.hasEnded) throw this.#broken(wire, id, 'a chunk of a stream after its end')
        stream.credit -= frame.frameEnd - frame.bodyStart + chunkOverheadBytes
        if (stream.credit < 0) {
          throw this.#broken(wire, id, `${-stream.credit} bytes more of a stream than it was granted`)
        }
        break
      }
      case frameType.end: {
        const stream = this.#stream(wire, from.name, caller, id)
        if (stream !== undefined) stream.hasEnded = true
        break
      }
      case frameType.credit: {
        const stream = this.#stream(wire, to.name, caller, id)
        if (stream !== undefined) stream.credit += frame.credit
        break
      }
      default:
    }
  }

  #open(wire: Wire, caller: string, id: number): void {
    const { windows, streams } = this.#connection(wire)
    const credit = windows.get(wire.to.name) ?? 0
    streams.set(keyOf(wire.from.name, caller, id), { credit, hasEnded: false })
  }

  #stream(wire: Wire, writer: string, caller: string, id: number): Stream | undefined {
    return this.#connection(wire).streams.get(keyOf(writer, caller, id))
  }

  #connection({ connection }: Wire): Connection {
    let known = this.#connections.get(connection)
    if (known === undefined) {
      known = { windows: new Map(), streams: new Map() }
      this.#connections.set(connection, known)
      const [oldest] = this.#connections.keys()
      if (this.#connections.size > connectionsMax) this.#connections.delete(oldest!)
    }
    return known
  }

  #broken({ from, to }: Wire, id: number, what: string): Violation {
    return new Violation('credit', this.#now(), `${from.name} sent ${to.name} ${what} (call ${id})`)
  }
}

function keyOf(writer: string, caller: string, id: number): string {
  return `${writer} ${caller} ${id}`
}
