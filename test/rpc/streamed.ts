/** Calls with streams between the nodes of world.ts: what each end sent, read and heard. */
import assert from 'node:assert/strict'
import type { CallFailure, CallHandle, IncomingCall } from '../../src/rpc/call.ts'
import type { RpcLimits } from '../../src/rpc/config.ts'
import type { ChunkListener, ChunkReader, ChunkWriter } from '../../src/rpc/stream.ts'
import { type Body, decodeBody, encodeBody, encodeChunk } from '../../src/wire/body.ts'
import { introduce, TestCall, TestNode, World } from './world.ts'

/** The reading end: reads all there is, unless told to be slow. */
export class Reading implements ChunkListener {
  readonly values: unknown[] = []
  readonly reader: ChunkReader
  /** Chunks it still takes. */
  appetite: number
  told = 0

  constructor(reader: ChunkReader, appetite: number = Infinity) {
    this.reader = reader
    this.appetite = appetite
    reader.listener = this
    this.moved()
  }

  /** `ended`, the code of the failure, or undefined while it goes on. */
  get over(): string | undefined {
    const { over } = this.reader
    return typeof over === 'object' ? over.code.slice('ERR_SHOAL_'.length) : over
  }

  read(chunks: number): void {
    this.appetite += chunks
    this.moved()
  }

  moved(): void {
    this.told += 1
    for (; this.appetite > 0; this.appetite -= 1) {
      const chunk = this.reader.take()
      if (chunk === undefined) return
      this.values.push(decodeBody(chunk))
    }
  }
}

/** The writing end: writes what it was given as room allows, then ends. */
export class Writing implements ChunkListener {
  readonly writer: ChunkWriter
  readonly #values: unknown[]
  readonly #end: (writer: ChunkWriter) => void
  #rest: Body | undefined
  closed = false

  constructor(
    writer: ChunkWriter,
    values: readonly unknown[],
    end: (writer: ChunkWriter) => void = (it) => it.end(),
  ) {
    this.writer = writer
    this.#values = [...values]
    this.#end = end
    writer.listener = this
    this.moved()
  }

  /** What was not taken yet. */
  get left(): number {
    return this.#values.length + (this.#rest === undefined ? 0 : 1)
  }

  moved(): void {
    const { writer } = this
    if (writer.closed) {
      this.closed = true
      return
    }
    for (;;) {
      const chunk = this.#rest ?? (this.#values.length > 0 ? encodeChunk(this.#values.shift()) : undefined)
      if (chunk === undefined) break
      this.#rest = writer.write(chunk)
      if (this.#rest !== undefined) return
    }
    this.#end(writer)
  }
}

export interface StreamedOptions {
  readonly appetite?: number
  readonly timeoutMs?: number
  readonly key?: string | undefined
}

export class StreamedCall extends TestCall {
  override readonly input: boolean
  writing: Writing | undefined
  reading: Reading | undefined
  handle: CallHandle | undefined
  readonly #sends: readonly unknown[]
  readonly #appetite: number

  constructor(world: World, sends: readonly unknown[] | undefined, options: StreamedOptions = {}) {
    super(world, 'hi', options)
    this.input = sends !== undefined
    this.#sends = sends ?? []
    this.#appetite = options.appetite ?? Infinity
  }

  writable(writer: ChunkWriter): void {
    assert.equal(this.writing, undefined)
    this.writing = new Writing(writer, this.#sends, this.#sends.at(-1) === 'open' ? () => {} : undefined)
  }

  streams(body: Body, reader: ChunkReader): void {
    this.replied(body)
    this.reading = new Reading(reader, this.#appetite)
  }
}

/** A call at its receiver. */
export class Served {
  readonly incoming: IncomingCall
  readonly reading: Reading | undefined
  writing: Writing | undefined
  cancels = 0

  constructor(incoming: IncomingCall, appetite: number = Infinity) {
    this.incoming = incoming
    if (incoming.inputStream !== undefined) this.reading = new Reading(incoming.inputStream, appetite)
    incoming.onCancel = () => {
      this.cancels += 1
      incoming.fail(gone)
    }
  }

  /** Answers with a stream of these. */
  yields(values: readonly unknown[], end?: (writer: ChunkWriter) => void): void {
    const writer = this.incoming.open(encodeBody('begun'))
    if (writer !== undefined) this.writing = new Writing(writer, values, end)
  }
}

export const gone: CallFailure = {
  code: 'ERR_SHOAL_TIMEOUT',
  message: 'gone',
  mayHaveRun: true,
  retryable: true,
  retryAfterMs: 0,
  owner: undefined,
  digest: 0,
}

/** Two nodes that know each other; `bob` keeps what is called. */
export class Pair {
  readonly world: World
  readonly ann: TestNode
  readonly bob: TestNode

  constructor(limits: Partial<RpcLimits> = {}, seed = 1) {
    this.world = new World(seed)
    this.ann = new TestNode(this.world, 'ann', { limits })
    this.bob = new TestNode(this.world, 'bob', { limits })
    introduce(this.ann, this.bob)
    this.bob.hold = true
  }

  call(sends: readonly unknown[] | undefined, options: StreamedOptions = {}): StreamedCall {
    const request = new StreamedCall(this.world, sends, options)
    request.handle = this.ann.peers.call('bob', request, request)
    return request
  }

  /** A call, and what its receiver makes of it. */
  begin(
    sends: readonly unknown[] | undefined,
    options: StreamedOptions = {},
    appetite: number = Infinity,
  ): { readonly request: StreamedCall; readonly served: Served } {
    const request = this.call(sends, options)
    this.world.run()
    const incoming = this.bob.held.pop()
    assert.ok(incoming)
    const served = new Served(incoming, appetite)
    this.world.run()
    return { request, served }
  }

  /** Breaks every connection, as a cable that is pulled. */
  tear(): void {
    for (const stream of [...this.world.streams]) {
      stream.other?.close('reset')
      stream.close('reset')
    }
  }

  /** Nothing is left of any call, and nobody broke the protocol. */
  settled(): void {
    this.world.run()
    for (const { name, peers } of [this.ann, this.bob]) {
      const { callsInFlight, callsRunning, streams, streamBytesHeld } = peers.stats
      const left = [name, callsInFlight, callsRunning, streams, streamBytesHeld]
      assert.deepEqual(left, [name, 0, 0, 0, 0])
      assert.deepEqual(peers.counters.violations, {})
    }
  }
}
