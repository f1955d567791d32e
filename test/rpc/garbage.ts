/**
 * Byte streams that begin well and end anyhow: valid frames of both directions, mutated, in random pieces.
 * Shared by the property test and the long fuzz run (test/fuzz/frame.ts).
 */
import assert from 'node:assert/strict'
import { rpcLimits } from '../../src/rpc/config.ts'
import { Mux } from '../../src/rpc/mux.ts'
import { OutgoingCall } from '../../src/rpc/outgoing.ts'
import { newCounters, type RpcCounters } from '../../src/rpc/stats.ts'
import { BodyError, decodeBody, encodeBody } from '../../src/wire/body.ts'
import { Outbox } from '../../src/wire/outbox.ts'
import { TraceContext } from '../../src/wire/trace.ts'
import { type SeededRandom, TestCall, type World } from './world.ts'

const config = {
  name: 'bob',
  boot: 'b',
  cluster: 'test',
  keys: [],
  limits: { ...rpcLimits, callsRunningMax: 16 },
}
const now = 1_000

function hello(box: Outbox): void {
  box.preface()
  box.hello({
    name: 'mallory',
    boot: 'm',
    cluster: 'test',
    nonce: new Uint8Array(32),
    features: 0,
    frameBytesMax: rpcLimits.frameBytesMax,
    streamWindowBytes: rpcLimits.streamWindowBytes,
    proves: false,
  })
}

/** Valid frames, some of them answers to calls 1 to 4. */
function frames(random: SeededRandom): Uint8Array[] {
  const box = new Outbox(rpcLimits, rpcLimits.frameBytesMax)
  hello(box)
  const count = 1 + random.below(6)
  for (let i = 1; i <= count; i++) {
    const body = encodeBody([undefined, { a: i, b: ['x'] }, random.bytes(random.below(60))][random.below(3)])
    const kind = random.below(8)
    if (kind === 0) box.reply(random.below(6), body, random.below(4) === 0)
    else if (kind === 1) {
      const retryAfterMs = random.below(2) * random.below(1_000)
      box.error(random.below(6), random.below(14), random.below(4) * 4, 1, retryAfterMs, 'no', 'cyd')
    } else if (kind === 2) box.cancel(random.below(6))
    else if (kind === 3 && random.below(4) === 0) box.goaway('leaving', 'bye')
    else {
      const key = random.below(2) === 0 ? undefined : `key-${random.below(1_000)}`
      const trace = random.below(3) === 0 ? new TraceContext(1, 2, 3, 4, 5, i, 1) : undefined
      const method = ['get', 'put', 'schlüssel'][random.below(3)]!
      const tracestate = random.below(4) === 0 ? 'shoal=1' : undefined
      const flags = { idempotent: true, input: random.below(4) === 0, bulk: random.below(4) === 0 }
      box.request(i, 100, {
        method,
        key,
        partition: 1,
        digest: 2,
        hops: 0,
        trace,
        tracestate,
        body,
        ...flags,
      })
    }
  }
  return box.take()
}

function mutate(bytes: Uint8Array, random: SeededRandom): Uint8Array {
  const kind = random.below(5)
  if (kind === 0) return random.bytes(random.below(200))
  const out = bytes.slice()
  if (kind === 1) return out.subarray(0, random.below(out.length + 1))
  // Most mutations spare the greeting, so that they reach what lies behind it.
  const from = random.below(4) === 0 ? 0 : Math.min(70, out.length - 1)
  for (let i = random.below(4); i >= 0; i--) {
    const at = from + random.below(out.length - from)
    out[at] = [random.below(256), 0, 255, out[at]! ^ (1 << random.below(8))][random.below(4)]!
  }
  return out
}

/** Feeds one mutated stream to a machine with four calls in flight; checks what must hold whatever came. */
export function feedGarbage(random: SeededRandom, world: World, counters: RpcCounters = newCounters()): void {
  const mux = new Mux(config, 'acceptor', undefined, new Uint8Array(32), now, counters)
  const calls: OutgoingCall[] = []
  const bytes = mutate(join(frames(random)), random)
  let heard = 0
  let replies = 0
  let at = 0
  let guard = 0
  const drain = () => {
    for (let output = mux.poll(); output !== undefined; output = mux.poll()) {
      assert.ok(++guard < 2_000, 'endless output')
      if (output.type === 'open') {
        for (let i = 0; i < 4; i++) {
          const request = new TestCall(world)
          const call = new OutgoingCall(request, { replied: () => replies++, failed: () => replies++ })
          calls.push(call)
          mux.handle({ type: 'call', call }, now)
        }
      } else if (output.type === 'settled') {
        heard += 1
        output.deliver()
      } else if (output.type === 'incoming') {
        try {
          decodeBody(output.body)
        } catch (error) {
          assert.ok(error instanceof BodyError)
        }
        if (random.below(3) > 0)
          mux.handle({ type: 'answer', call: output, body: output.body, failure: undefined }, now)
      }
    }
  }
  while (at < bytes.length) {
    const cut = 1 + random.below(random.below(3) === 0 ? 8 : bytes.length)
    mux.handle({ type: 'received', bytes: bytes.subarray(at, at + cut) }, now)
    drain()
    mux.handle({ type: 'flush' }, now)
    drain()
    at += cut
  }
  mux.handle({ type: 'tick' }, now + rpcLimits.helloTimeoutMs)
  mux.handle({ type: 'closed', why: 'over' }, now + rpcLimits.helloTimeoutMs)
  drain()
  assert.equal(mux.deadline, Number.POSITIVE_INFINITY)
  assert.equal(heard, calls.length)
  assert.equal(replies, calls.length)
  assert.equal(mux.inFlight, 0)
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(chunks.flatMap((chunk) => [...chunk]))
}
