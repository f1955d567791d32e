/**
 * Every captured TCP stream decodes to what it holds, in chunks of any size, and is written again byte for
 * byte.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeSerf } from '../../src/wire/serf.ts'
import { StreamCodec, type StreamMessage, type StreamRole } from '../../src/wire/stream.ts'
import { seeded } from './seeded.ts'
import { serfInVectorWords } from './serf-words.ts'
import {
  type Decoded,
  envelopeOf,
  fixedRandom,
  fromHex,
  inVectorWords,
  loadVectors,
  toHex,
  type Vector,
} from './vectors.ts'

const vectors = loadVectors('tcp-streams')
const writer = (vector: Vector): StreamRole => (vector.side === 'dialer' ? 'dialer' : 'acceptor')
const reader = (vector: Vector): StreamRole => (vector.side === 'dialer' ? 'acceptor' : 'dialer')

function read(vector: Vector, chunkBytes: () => number): StreamMessage {
  const bytes = fromHex(vector.hex)
  const stream = new StreamCodec(envelopeOf(vector, false), fixedRandom('')).reader(reader(vector))
  let at = 0
  while (at < bytes.length) {
    const end = Math.min(bytes.length, at + chunkBytes())
    const message = stream.push(bytes.slice(at, end))
    if (message !== undefined) {
      assert.equal(end, bytes.length, `${vector.id} ended early`)
      return message
    }
    at = end
  }
  assert.fail(`${vector.id} never ended`)
}

interface VectorNode {
  readonly Addr: { hex: string }
  readonly Meta: { hex: string } | null
  readonly Vsn: { hex: string }
}

test('every stream decodes to its values', () => {
  assert.equal(vectors.length, 46)
  for (const vector of vectors) {
    const message = read(vector, () => Number.POSITIVE_INFINITY)
    const expected = vector.decoded
    assert.equal(message.type === 'error' ? 'err' : message.type, expected.message, vector.id)
    if (message.type === 'user') {
      assert.equal(toHex(message.body), (expected['userMessage'] as { hex: string }).hex, vector.id)
    } else if (message.type === 'pushPull') {
      const header = {
        Join: message.join,
        Nodes: message.nodes.length,
        UserStateLen: message.userState.length,
      }
      assert.deepEqual(header, expected['header'], vector.id)
      const nodes = message.nodes.map(({ name, addr, port, meta, incarnation, state, vsn }) => ({
        ...{ Name: name, Addr: { hex: toHex(addr) }, Port: port, Incarnation: incarnation, State: state },
        ...{ Meta: meta === undefined ? null : { hex: toHex(meta) }, Vsn: { hex: toHex(vsn) } },
      }))
      const wanted = (expected['nodes'] as VectorNode[]).map(({ Addr, Meta, Vsn, ...rest }) => ({
        ...rest,
        ...{ Addr: { hex: Addr.hex }, Meta: Meta && { hex: Meta.hex }, Vsn: { hex: Vsn.hex } },
      }))
      assert.deepEqual(nodes, wanted, vector.id)
      assertUserState(vector, message.userState)
    } else assert.deepEqual(inVectorWords(message), expected.fields, vector.id)
  }
})

function assertUserState(vector: Vector, userState: Uint8Array): void {
  const expected = vector.decoded['userState'] as Decoded | { hex: string } | null
  if (expected === null) assert.equal(userState.length, 0, vector.id)
  else if ('hex' in expected) assert.equal(toHex(userState), expected.hex, vector.id)
  else assert.deepEqual(serfInVectorWords(decodeSerf(userState)).fields, expected.fields, vector.id)
}

test('a stream fed byte by byte or in random chunks gives the same message', () => {
  const random = seeded(7)
  for (const vector of vectors) {
    const whole = read(vector, () => Number.POSITIVE_INFINITY)
    assert.deepEqual(
      read(vector, () => 1),
      whole,
      vector.id,
    )
    for (let i = 0; i < 5; i++)
      assert.deepEqual(
        read(vector, () => 1 + (random.u32() % 40)),
        whole,
        vector.id,
      )
  }
})

test('every stream is sealed again to the same bytes, but for the sign that newer Go writes into integers', () => {
  let signed = 0
  for (const vector of vectors) {
    const message = read(vector, () => Number.POSITIVE_INFINITY)
    const encrypted = vector.decoded['encrypted'] as { nonceHex: string } | undefined
    const compressed = vector.decoded['compressed'] as { plaintextHex: string } | undefined
    const envelope = envelopeOf(vector, compressed !== undefined)
    // go-msgpack v2 gives Go's signed integers signed headers from 128 on; 0.5.5 and we write the unsigned
    // ones.
    const plain = compressed?.plaintextHex ?? ''
    if (plain.includes('557365725374617465' + '4c656ed1')) {
      signed++
      const codec = new StreamCodec({ ...envelope, keyring: undefined, compress: false }, fixedRandom(''))
      const ours = toHex(codec.seal(message, 'acceptor'))
      assert.equal(ours, plain.replace('4c656ed1', '4c656ecd'), vector.id)
      continue
    }
    const codec = new StreamCodec(envelope, fixedRandom(encrypted?.nonceHex ?? ''))
    assert.equal(toHex(codec.seal(message, writer(vector))), vector.hex, vector.id)
  }
  assert.equal(signed, 2)
})
