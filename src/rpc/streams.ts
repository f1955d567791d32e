/**
 * The streams of one connection: which frame belongs to which, what the peer may send, what it may be sent. Part of `Mux`.
 *
 * A call that one side has ended may still get frames that the other had sent before it knew. They are told from lies
 * by ids alone: an id that was never used is a lie, one whose call is over is late, and late chunks may not exceed the
 * credit that was open when their calls ended.
 */
import type { Queue } from '../machine.ts'
import { Body } from '../wire/body.ts'
import { bodyKinds, flag, frameType } from '../wire/frame.ts'
import type { FrameReader } from '../wire/frame-reader.ts'
import type { Outbox } from '../wire/outbox.ts'
import type { CallFailure } from './call.ts'
import type { RpcLimits } from './config.ts'
import { disconnected } from './failure.ts'
import type { MuxOutput } from './mux-io.ts'
import type { RpcCounters } from './stats.ts'
import { chunkCost } from './stream.ts'
import { dataHeadBytes, StreamLane } from './stream-lane.ts'
import { type ReaderPort, StreamReader } from './stream-reader.ts'
import { StreamWriter, type WriterPort } from './stream-writer.ts'
import type { Violation } from './violation.ts'

/** A call as its streams know it: `OutgoingCall` or `Incoming`. */
export interface StreamCall {
  readonly id: number
  reader: StreamReader | undefined
  writer: StreamWriter | undefined
}

/** The calls of one direction. */
export interface StreamSide {
  /** The call that has this id now. */
  find(id: number): StreamCall | undefined
  /** Whether the id was ever used. */
  knew(id: number): boolean
  /** The peer has ended the stream that we read. */
  readToEnd(call: StreamCall): void
  /** The stream that we write is at its end, and all of it was handed to the connection. */
  wroteToEnd(call: StreamCall, end: CallFailure | 'ended'): void
}

/** Arrived bytes are told at the end of a read, but not fewer than these. */
const receivedBytesMin = 8_192

export class Streams implements ReaderPort, WriterPort {
  /** Bytes, with what chunks cost beside them, that arrived and were not taken. */
  heldBytes = 0
  readonly lane: StreamLane
  readonly #limits: RpcLimits
  readonly #counters: RpcCounters
  readonly #outbox: Outbox
  readonly #outputs: Queue<MuxOutput>
  readonly #wake: () => void
  #ours: StreamSide | undefined
  #theirs: StreamSide | undefined
  /** Streams of calls that go on, by who made the call. */
  #openOurs = 0
  #openTheirs = 0
  /** What the peer lets each stream hold. */
  #peerWindowBytes = 0
  /** What chunks of calls that are over may still cost. */
  #lateCredit = 0
  #received = 0

  /** `wake`: there is something to write, though the machine got no input. */
  constructor(
    limits: RpcLimits,
    counters: RpcCounters,
    outbox: Outbox,
    outputs: Queue<MuxOutput>,
    wake: () => void,
  ) {
    this.#limits = limits
    this.#counters = counters
    this.#outbox = outbox
    this.#outputs = outputs
    this.#wake = wake
    this.lane = new StreamLane(limits.streamFlightBytes, counters, (writer, end) =>
      this.#wroteToEnd(writer, end),
    )
  }

  /** Must be called before anything else. */
  serve(ours: StreamSide, theirs: StreamSide): void {
    this.#ours = ours
    this.#theirs = theirs
  }

  /** The peer has said what it lets each stream hold. */
  opened(peerWindowBytes: number): void {
    this.#peerWindowBytes = peerWindowBytes
  }

  /** Streams of calls that go on. */
  get open(): number {
    return this.#openOurs + this.#openTheirs
  }

  /** Whether calls of that side have as many streams as they may. */
  isFull(ofCaller: boolean): boolean {
    return (ofCaller ? this.#openOurs : this.#openTheirs) >= this.#limits.streamsMax
  }

  /** Begins the stream that we read. */
  read(call: StreamCall, ofCaller: boolean): StreamReader {
    const reader = new StreamReader(this, call, ofCaller, this.#limits.streamWindowBytes)
    call.reader = reader
    this.#count(ofCaller, 1)
    return reader
  }

  /** Begins the stream that we write; nothing of it leaves before `start`. */
  write(call: StreamCall, ofCaller: boolean, gated: boolean): StreamWriter {
    const { streamChunkBytes } = this.#limits
    const { frameBytesMax } = this.#outbox
    const window = this.#peerWindowBytes
    const writer = new StreamWriter(this, call, ofCaller, gated, window, streamChunkBytes, frameBytesMax)
    call.writer = writer
    this.#count(ofCaller, 1)
    return writer
  }

  /** The peer knows of the call whose stream this is. */
  start(writer: StreamWriter): void {
    writer.open = true
    if (writer.busy) this.lane.add(writer)
  }

  /** A call is over, and with it its streams. `late`: the peer may not know yet. */
  release(call: StreamCall, ofCaller: boolean, late: boolean, failure: CallFailure): void {
    const { reader, writer } = call
    if (reader !== undefined && !reader.released) {
      reader.released = true
      this.#count(ofCaller, -1)
      if (late) this.#lateCredit += reader.credit
      reader.fail(failure)
    }
    if (writer !== undefined && !writer.released) {
      writer.released = true
      this.#count(ofCaller, -1)
      this.lane.drop(writer)
      writer.close()
    }
  }

  /** A call is over, or was never taken, whose peer may have begun a stream before it knows. */
  mayComeLate(): void {
    this.#lateCredit += this.#limits.streamWindowBytes
  }

  frame(type: number, frame: FrameReader): Violation | undefined {
    if (type === frameType.received) {
      return frame.readReceived() ? this.lane.arrived(frame.credit) : undefined
    }
    const isRead =
      type === frameType.data
        ? frame.readData()
        : type === frameType.credit
          ? frame.readCredit()
          : frame.readEnd()
    if (!isRead) return undefined
    if (type === frameType.data) this.#received += frame.frameEnd - frame.bodyStart + dataHeadBytes
    const side = (frame.flags & flag.ofCaller) === 0 ? this.#ours : this.#theirs
    const call = side?.find(frame.id)
    if (side === undefined || call === undefined) return this.#late(type, frame, side)
    switch (type) {
      case frameType.data:
        return call.reader === undefined ? 'stream' : this.#data(call.reader, frame)
      case frameType.end: {
        const violation = call.reader === undefined ? 'stream' : call.reader.ended()
        if (violation === undefined) side.readToEnd(call)
        return violation
      }
      case frameType.credit:
        return call.writer === undefined ? 'stream' : call.writer.granted(frame.credit)
      default:
        if (call.writer === undefined) return 'stream'
        this.#stop(call.writer)
        return undefined
    }
  }

  /** The bytes of a read were handled: tells the peer what has arrived of its streams. */
  acknowledge(): void {
    if (this.#received < receivedBytesMin) return
    this.#outbox.received(this.#received)
    this.#received = 0
  }

  // ---- what readers and writers ask for

  grant(reader: StreamReader, bytes: number): void {
    this.#outbox.credit(reader.call.id, reader.ofCaller, bytes)
    this.#wake()
  }

  stopped(reader: StreamReader): void {
    this.#outbox.streamOver('stop', reader.call.id, reader.ofCaller)
    this.#wake()
  }

  held(bytes: number): void {
    this.heldBytes += bytes
  }

  queued(writer: StreamWriter): void {
    this.lane.add(writer)
    this.#wake()
  }

  tell(stream: StreamReader | StreamWriter): void {
    this.#outputs.push(stream)
  }

  #data(reader: StreamReader, frame: FrameReader): Violation | undefined {
    const body = bodyOf(frame)
    this.#counters.streamBytesIn += body.end - body.start
    return reader.push(body)
  }

  #wroteToEnd(writer: StreamWriter, end: CallFailure | 'ended'): void {
    if (end === 'ended') this.#outbox.streamOver('end', writer.call.id, writer.ofCaller)
    const side = writer.ofCaller ? this.#ours : this.#theirs
    side?.wroteToEnd(writer.call, end)
  }

  /** An output that nobody wants is at its end, and with it the call; an input is closed, and the call goes on. */
  #stop(writer: StreamWriter): void {
    this.lane.drop(writer)
    writer.close()
    if (!writer.ofCaller) this.#wroteToEnd(writer, 'ended')
  }

  #late(type: number, frame: FrameReader, side: StreamSide | undefined): Violation | undefined {
    if (side === undefined || !side.knew(frame.id)) return 'stream'
    this.#counters.streamFramesLate += 1
    if (type !== frameType.data) return undefined
    this.#lateCredit -= chunkCost(bodyOf(frame))
    return this.#lateCredit < 0 ? 'credit' : undefined
  }

  #count(ofCaller: boolean, change: 1 | -1): void {
    if (ofCaller) this.#openOurs += change
    else this.#openTheirs += change
    if (change === 1) this.#counters.streamsOpened += 1
  }
}

/** What a stream says whose call is over for a reason of its own. */
export const callOver: CallFailure = disconnected('the call is over', true)

function bodyOf(frame: FrameReader): Body {
  return new Body(bodyKinds[frame.flags & flag.bodyMask]!, frame.source, frame.bodyStart, frame.frameEnd)
}
