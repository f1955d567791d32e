/**
 * Mutated frames within connections that are otherwise well: whole scripts of hello, calls, answers and streams of both
 * directions are played frame by frame to the machine of a connection, most frames with a fault in them. Shared by the
 * property test and the long run (test/fuzz/frames.ts).
 */
import assert from 'node:assert/strict'
import { rpcLimits } from '../../src/rpc/config.ts'
import type { Incoming } from '../../src/rpc/incoming.ts'
import { Mux } from '../../src/rpc/mux.ts'
import { OutgoingCall } from '../../src/rpc/outgoing.ts'
import { newCounters, type RpcCounters } from '../../src/rpc/stats.ts'
import { Body, BodyError, decodeBody, encodeBody, encodeChunk, noBody } from '../../src/wire/body.ts'
import { frameType } from '../../src/wire/frame.ts'
import { Outbox } from '../../src/wire/outbox.ts'
import { TraceContext } from '../../src/wire/trace.ts'
import type { SeededRandom } from './world.ts'

const limits = {
  ...rpcLimits,
  frameBytesMax: 65_536,
  callsRunningMax: 16,
  queuedBytesMax: 2_000,
  pauseBytes: 500,
  streamsMax: 4,
  streamWindowBytes: 4_096,
  streamChunkBytes: 1_024,
}
const config = { name: 'bob', boot: 'b', cluster: 'test', keys: [], limits }
const now = 1_000
const scripts = 256
/** Preface and hello of a script. */
const greeting = 2
const types = Object.values(frameType)
/** Outputs that one input may have; more would be without end. */
const outputsMax = 2_000

/** What all runs have counted. */
export interface FuzzCounts {
  /** Frames with a fault in them that were fed. */
  mutated: number
  frames: number
  connections: number
  /** The longest time that one frame took. */
  slowestMs: number
}

export class FrameFuzz {
  readonly counts: FuzzCounts = { mutated: 0, frames: 0, connections: 0, slowestMs: 0 }
  readonly counters: RpcCounters = newCounters()
  readonly #random: SeededRandom
  readonly #scripts: readonly (readonly Uint8Array[])[]
  readonly #clockMs: () => number

  /** `clockMs`: real time, for how long a frame takes. */
  constructor(random: SeededRandom, clockMs: () => number = () => 0) {
    this.#random = random
    this.#clockMs = clockMs
    this.#scripts = Array.from({ length: scripts }, (_, i) => script(random, i % 8 === 0 ? 100 : 12))
  }

  /** One connection, from hello to its end. */
  connection(): void {
    const random = this.#random
    const frames = this.#scripts[random.below(scripts)]!
    const end = new Machine(random, this.counters)
    this.counts.connections += 1
    // Most connections get past their greeting.
    const spared = random.below(8) > 0 ? greeting : 0
    // A few have no fault but that nothing is read of what they are told.
    const isDeaf = random.below(50) === 0
    // Some connections meet a fault now and then, others with nearly every frame.
    const rarity = 1 + random.below(6)
    for (let i = 0; i < frames.length && !end.mux.closed; i += 1) {
      const frame = frames[i]!
      this.counts.frames += 1
      const bytes = isDeaf || i < spared || random.below(rarity) > 0 ? frame : this.#mutate(frame, frames)
      const from = this.#clockMs()
      end.feed(bytes, isDeaf)
      this.counts.slowestMs = Math.max(this.counts.slowestMs, this.#clockMs() - from)
    }
    end.close()
  }

  #mutate(frame: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    const random = this.#random
    this.counts.mutated += 1
    const out = frame.slice()
    const at = random.below(out.length)
    switch (random.below(12)) {
      case 0:
      case 1:
        out[at] = out[at]! ^ (1 << random.below(8))
        return out
      case 2:
        out[at] = [0, 255, random.below(256)][random.below(3)]!
        return out
      case 3:
        // A lie about the length.
        out.set([
          [0, 127, 255][random.below(3)]!,
          random.below(2) * 255,
          random.below(256),
          random.below(256),
        ])
        return out
      case 4:
        return withLength(out.subarray(0, Math.max(6, at)))
      case 5:
        return withLength(Uint8Array.from([...out, ...random.bytes(1 + random.below(40))]))
      case 6: {
        const id = [0, 1, 2, 3, 5, 60, 0xffff_ffff, random.u32()][random.below(8)]!
        if (out.length >= 10) out.set([id >>> 24, id >>> 16, id >>> 8, id], 6)
        return out
      }
      case 7:
        if (out.length > 5) out[4] = types[random.below(types.length)]!
        return out
      case 8:
        if (out.length > 5) out[5] = random.below(256)
        return out
      case 9:
        return withLength(Uint8Array.from([...out.subarray(0, 6), ...random.bytes(random.below(60))]))
      case 10:
        return Uint8Array.from([...out, ...out])
      default: {
        const other = others[random.below(others.length)]!
        return Uint8Array.from([...out.subarray(0, at), ...other])
      }
    }
  }
}

/** A frame of another length, which says so. */
function withLength(bytes: Uint8Array): Uint8Array {
  const length = bytes.length - 4
  if (length >= 0) bytes.set([length >>> 24, length >>> 16, length >>> 8, length])
  return bytes
}

/** The frames of one connection, each on its own: what a peer says that makes calls and answers ours. */
function script(random: SeededRandom, count: number): Uint8Array[] {
  const box = new Outbox(limits, limits.frameBytesMax)
  const frames: Uint8Array[] = []
  const said = (): void => {
    for (const bytes of box.take()) frames.push(bytes.slice())
  }
  box.preface()
  said()
  const { frameBytesMax, streamWindowBytes } = limits
  const nonce = new Uint8Array(32)
  const who = { name: 'mallory', boot: 'm', cluster: 'test', nonce, features: 0, proves: false }
  box.hello({ ...who, frameBytesMax, streamWindowBytes })
  said()
  const talk = new Talk(box, random)
  for (let i = 0; i < count; i += 1) {
    talk.say()
    said()
  }
  return frames
}

/** What a peer says next, mostly of calls and streams that are there. */
class Talk {
  readonly #box: Outbox
  readonly #random: SeededRandom
  #lastId = 0
  /** Our calls that it has not answered; the second and fourth have an input, which it reads. */
  readonly #asked: number[] = [1, 2, 3, 4]
  /** Streams that it writes: the id, and whether the call is its own. */
  #written: { readonly id: number; readonly ofCaller: boolean }[] = []
  readonly #read: { readonly id: number; readonly ofCaller: boolean }[] = [
    { id: 2, ofCaller: false },
    { id: 4, ofCaller: false },
  ]

  constructor(box: Outbox, random: SeededRandom) {
    this.#box = box
    this.#random = random
  }

  say(): void {
    const random = this.#random
    const box = this.#box
    const kind = random.below(16)
    const written = this.#written[random.below(this.#written.length + 1)]
    const read = this.#read[random.below(this.#read.length + 1)]
    if (kind === 0 && this.#asked.length > 0) this.#answer(this.#asked.shift()!)
    else if (kind === 1 && this.#lastId > 0) box.cancel(1 + random.below(this.#lastId))
    else if (kind === 2 && random.below(8) === 0) box.goaway('leaving', 'bye')
    else if (kind <= 6 && written !== undefined) {
      const bytes = random.bytes(random.below(random.below(8) === 0 ? 3_000 : 300))
      box.data(written.id, written.ofCaller, encodeChunk(random.below(2) === 0 ? { i: 1 } : bytes))
    } else if (kind === 7 && written !== undefined) {
      box.streamOver('end', written.id, written.ofCaller)
      this.#written = this.#written.filter((other) => other !== written)
    } else if (kind === 8 && read !== undefined) box.streamOver('stop', read.id, read.ofCaller)
    else if (kind === 9 && read !== undefined) {
      box.credit(
        read.id,
        read.ofCaller,
        [1, 1_000, 0xffff_ffff][random.below(8) === 0 ? 2 : random.below(2)]!,
      )
    } else if (kind === 10) box.ping(random.below(2) === 0)
    else this.#ask()
  }

  #answer(id: number): void {
    const random = this.#random
    const isStream = random.below(2) === 0
    if (random.below(4) === 0) {
      const code = random.below(14)
      this.#box.error(id, code, 4 * random.below(4), 1, random.below(100), 'no', 'cyd')
    } else this.#box.reply(id, encodeBody({ a: 1 }), isStream)
    if (isStream) this.#written.push({ id, ofCaller: false })
  }

  #ask(): void {
    const random = this.#random
    const id = ++this.#lastId
    const body = encodeBody([undefined, { a: 1, b: ['x'] }, random.bytes(random.below(500))][random.below(3)])
    const key = random.below(2) === 0 ? undefined : `key-${random.below(1_000)}`
    const trace = random.below(3) === 0 ? new TraceContext(1, 2, 3, 4, 5, 6, 1) : undefined
    const method = ['get', 'put', 'schlüssel'][random.below(3)]!
    const tracestate = random.below(4) === 0 ? 'shoal=1' : undefined
    const input = random.below(3) === 0
    const place = { key, partition: 1, digest: 2, hops: 0 }
    const flags = { idempotent: true, input, bulk: random.below(4) === 0 }
    this.#box.request(id, 100, { method, ...place, trace, tracestate, body, ...flags })
    if (input) this.#written.push({ id, ofCaller: true })
  }
}

/** The machine of one connection, with four calls of its own, and a user of all that it puts out. */
class Machine {
  readonly mux: Mux
  readonly #random: SeededRandom
  readonly #heard: number[] = []
  readonly #calls: OutgoingCall[] = []
  #settled = 0
  #outputs = 0

  constructor(random: SeededRandom, counters: RpcCounters) {
    this.#random = random
    this.mux = new Mux(config, 'acceptor', undefined, new Uint8Array(32), now, counters)
  }

  /** `isDeaf`: the peer reads nothing of what it is told. */
  feed(bytes: Uint8Array, isDeaf: boolean): void {
    const { mux } = this
    const random = this.#random
    this.#outputs = 0
    // A frame arrives whole, or in two pieces.
    const cut = random.below(4) === 0 ? random.below(bytes.length + 1) : bytes.length
    mux.handle({ type: 'received', bytes: bytes.subarray(0, cut) }, now)
    this.#drain()
    if (cut < bytes.length) mux.handle({ type: 'received', bytes: bytes.subarray(cut) }, now)
    this.#drain()
    mux.handle({ type: 'chunks', mayAnswer: true }, now)
    mux.handle({ type: 'flush' }, now)
    if (!isDeaf) mux.handle({ type: 'backlog', bytes: 0 }, now)
    this.#drain()
  }

  /** The connection is gone: nothing of it is left. */
  close(): void {
    const { mux } = this
    mux.handle({ type: 'tick' }, now + limits.helloTimeoutMs)
    mux.handle({ type: 'closed', why: 'over' }, now + limits.helloTimeoutMs)
    this.#drain()
    assert.equal(mux.deadline, Number.POSITIVE_INFINITY)
    assert.equal(this.#settled, this.#calls.length)
    assert.deepEqual(
      this.#heard.filter((times) => times > 1),
      [],
    )
    assert.deepEqual([mux.inFlight, mux.openStreams], [0, 0])
  }

  #drain(): void {
    const { mux } = this
    for (let output = mux.poll(); output !== undefined; output = mux.poll()) {
      assert.ok(++this.#outputs < outputsMax, 'endless output')
      switch (output.type) {
        case 'open':
          for (let i = 0; i < 4; i += 1) this.#call(i)
          break
        case 'settled':
          this.#settled += 1
          output.deliver()
          break
        case 'incoming':
          this.#answer(output)
          break
        case 'stream':
          output.deliver()
          break
        case 'writable':
          output.call.writer?.write(encodeChunk({ i: 1 }))
          if (this.#random.below(2) === 0) output.call.writer?.end()
          break
        default:
      }
    }
  }

  #call(i: number): void {
    const place = { key: 'k', partition: 1, digest: 2, hops: 0 }
    const rest = { idempotent: true, trace: undefined, tracestate: undefined, bulk: false, body: noBody }
    const request = { method: 'get', ...place, ...rest, deadline: now + 1_000, input: i % 2 === 1 }
    const heard = (): void => {
      this.#heard[i] = (this.#heard[i] ?? 0) + 1
    }
    const call = new OutgoingCall(request as never, { replied: heard, failed: heard } as never)
    this.#calls.push(call)
    this.mux.handle({ type: 'call', call }, now)
  }

  #answer(call: Incoming): void {
    const { mux } = this
    const random = this.#random
    try {
      decodeBody(call.body)
      while (random.below(2) === 0) {
        const chunk = call.reader?.take()
        if (chunk === undefined) break
        decodeBody(chunk)
      }
    } catch (error) {
      assert.ok(error instanceof BodyError)
    }
    const kind = random.below(4)
    if (kind === 0) return
    if (kind === 1) {
      mux.handle({ type: 'open', call }, now)
      call.writer?.write(new Body('bytes', new Uint8Array(500), 0, 500))
      if (random.below(2) === 0) call.writer?.end()
    } else mux.handle({ type: 'answer', call, body: call.body, failure: undefined }, now)
  }
}
