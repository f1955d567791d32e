/** Every captured datagram decodes to what it holds, and is written again byte for byte. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeMessage, encodeMessage, type PacketMessage } from '../../src/wire/message.ts'
import { PacketCodec } from '../../src/wire/packet.ts'
import { decodeSerf } from '../../src/wire/serf.ts'
import { serfInVectorWords } from './serf-words.ts'
import {
  type Decoded,
  envelopeOf,
  fixedRandom,
  flatten,
  fromHex,
  inVectorWords,
  loadVectors,
  packetFiles,
  toHex,
  type Vector,
} from './vectors.ts'

function open(vector: Vector): { messages: PacketMessage[]; raws: Uint8Array[] } {
  const messages: PacketMessage[] = []
  const raws: Uint8Array[] = []
  const codec = new PacketCodec(envelopeOf(vector, false), fixedRandom(''))
  const dropped = codec.open(fromHex(vector.hex), (message, raw) => {
    messages.push(message)
    raws.push(raw)
  })
  assert.equal(dropped, undefined, vector.id)
  return { messages, raws }
}

function assertLeaf(id: string, message: PacketMessage, leaf: Decoded): void {
  if (message.type === 'user' && leaf.serfType !== undefined) {
    const serf = serfInVectorWords(decodeSerf(message.body))
    assert.deepEqual(serf.fields, leaf.fields, id)
    assert.equal(serf.serfType, leaf.serfType, id)
  } else if (message.type === 'user') assert.deepEqual(inVectorWords(message).bytes, leaf.bytes, id)
  else assert.deepEqual(inVectorWords(message), leaf.fields, id)
}

for (const file of packetFiles) {
  const vectors = loadVectors(file)
  const captured = vectors.filter((vector) => vector.kind === 'captured')

  test(`every packet of ${file} decodes to its values`, () => {
    for (const vector of captured) {
      const { messages } = open(vector)
      const { leaves } = flatten(vector.decoded)
      assert.equal(messages.length, leaves.length, vector.id)
      messages.forEach((message, i) => {
        assertLeaf(vector.id, message, leaves[i]!)
      })
    }
  })

  test(`every message of ${file} re-encodes to the same bytes`, () => {
    for (const vector of captured) {
      const { messages, raws } = open(vector)
      messages.forEach((message, i) => {
        assert.equal(toHex(encodeMessage(message)), toHex(raws[i]!), vector.id)
      })
    }
  })

  test(`every packet of ${file} is sealed again to the same datagram`, () => {
    for (const vector of captured) {
      const { raws } = open(vector)
      const { wrappers } = flatten(vector.decoded)
      const has = (wrapper: string) => wrappers.some((one) => one.wrapper === wrapper)
      const nonce = wrappers.find((one) => one.nonceHex !== undefined)?.nonceHex ?? ''
      const codec = new PacketCodec(envelopeOf(vector, has('compress')), fixedRandom(nonce))
      assert.equal(toHex(codec.seal(raws, has('crc'))), vector.hex, vector.id)
    }
  })
}

test('packets in encryption version 0, with its padding, are read', () => {
  const handMade = loadVectors('udp-encrypted').filter((vector) => vector.kind !== 'captured')
  assert.equal(handMade.length, 3)
  for (const vector of handMade) {
    const plain: Uint8Array[] = []
    const codec = new PacketCodec({ ...envelopeOf(vector, false), keyring: undefined }, fixedRandom(''))
    assert.equal(
      codec.open(fromHex(vector.decoded.plaintextHex!), (_, raw) => plain.push(raw)),
      undefined,
    )
    assert.deepEqual(open(vector).raws.map(toHex), plain.map(toHex), vector.id)
  }
})

test('an alive in any spelling that Go accepts decodes; floats and integers over their width do not', () => {
  for (const vector of loadVectors('alive-encodings')) {
    const bytes = fromHex(vector.hex)
    const accepted = Object.values(vector.acceptedBy!).includes(true)
    if (vector.what.startsWith('lower case')) {
      const message = decodeMessage(bytes)
      assert.deepEqual(message.type === 'alive' && [message.node, message.port], ['', 0])
    } else if (accepted) {
      const message = decodeMessage(bytes)
      assert.ok(message.type === 'alive', vector.id)
      if (vector.nodeName !== undefined) assert.equal(message.node, vector.nodeName, vector.id)
      assert.equal(message.incarnation, 1, vector.id)
      if (vector.id !== 'alive-25') assert.equal(message.port, 7000, vector.id)
    } else assert.throws(() => decodeMessage(bytes), { name: 'WireError', drop: 'malformed' }, vector.id)
  }
})

test('an alive spelt as array of fields, with an array for Vsn, or without Vsn keeps every value', () => {
  const byId = new Map(loadVectors('alive-encodings').map((vector) => [vector.id, vector]))
  const alive = (id: string) => {
    const message = decodeMessage(fromHex(byId.get(id)!.hex))
    assert.ok(message.type === 'alive')
    return { ...message, node: '', addr: toHex(message.addr), vsn: toHex(message.vsn) }
  }
  const usual = alive('alive-01')
  for (const id of ['alive-05', 'alive-20', 'alive-15', 'alive-13']) assert.deepEqual(alive(id), usual, id)
  assert.equal(alive('alive-09').vsn, '')
  assert.equal(alive('alive-99').vsn, '010502')
  assert.equal(alive('alive-08').meta, undefined)
})
