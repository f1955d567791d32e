import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Keyring } from '../../src/wire/keyring.ts'
import { encodeMessage } from '../../src/wire/message.ts'
import { type Envelope, PacketCodec } from '../../src/wire/packet.ts'
import { seeded } from './seeded.ts'

const key = (first: number, length = 32) => new Uint8Array(length).fill(first)

test('the first key is the primary, and keys are added, used and removed in memberlist’s way', () => {
  const ring = new Keyring([])
  assert.equal(ring.primary, undefined)
  ring.add(key(1))
  assert.deepEqual(ring.primary, key(1))
  ring.add(key(2, 16))
  ring.add(key(1))
  assert.deepEqual(ring.keys, [key(1), key(2, 16)])
  ring.use(key(2, 16))
  assert.deepEqual(ring.keys, [key(2, 16), key(1)])
  ring.remove(key(9))
  assert.equal(ring.size, 2)
  assert.throws(() => ring.remove(key(2, 16)), RangeError)
  assert.throws(() => ring.use(key(9)), RangeError)
  ring.remove(key(1))
  assert.deepEqual(ring.keys, [key(2, 16)])
})

test('a key of the wrong size is refused, and a key is copied', () => {
  for (const length of [0, 15, 17, 31, 33]) assert.throws(() => new Keyring([key(1, length)]), RangeError)
  const mine = key(1)
  const ring = new Keyring([mine, key(1)])
  mine.fill(7)
  assert.deepEqual(ring.keys, [key(1)])
})

const envelope = (keyring: Keyring | undefined, over: Partial<Envelope> = {}): Envelope => ({
  ...{ label: '', keyring, verifyIncoming: true, verifyOutgoing: true, compress: false },
  ...over,
})
const codec = (keyring: Keyring | undefined, over?: Partial<Envelope>) =>
  new PacketCodec(envelope(keyring, over), seeded(1))
const message = encodeMessage({ type: 'nack', seqNo: 5 })
const passes = (from: PacketCodec, to: PacketCodec) => to.open(from.seal([message], true), () => {})

test('a cluster changes its key without losing a packet, and forgets the old one', () => {
  const [left, right] = [new Keyring([key(1)]), new Keyring([key(1)])]
  const [a, b] = [codec(left), codec(right)]
  const bothWays = () => [passes(a, b), passes(b, a)]
  const fine = [undefined, undefined]
  assert.deepEqual(bothWays(), fine)
  const late = a.seal([message], false)
  left.add(key(2, 24))
  assert.deepEqual(bothWays(), fine)
  right.add(key(2, 24))
  assert.deepEqual(bothWays(), fine)
  left.use(key(2, 24))
  assert.deepEqual(bothWays(), fine)
  right.use(key(2, 24))
  assert.deepEqual(bothWays(), fine)
  assert.equal(
    b.open(late, () => {}),
    undefined,
  )
  left.remove(key(1))
  right.remove(key(1))
  assert.deepEqual(bothWays(), fine)
  assert.equal(
    b.open(late, () => {}),
    'encryption',
  )
})

test('a cluster goes from plain to encrypted by the two switches without losing a packet', () => {
  const stages: readonly (Keyring | undefined | Partial<Envelope>)[][] = [
    [undefined, {}],
    [new Keyring([key(1)]), { verifyIncoming: false, verifyOutgoing: false }],
    [new Keyring([key(1)]), { verifyIncoming: false, verifyOutgoing: true }],
    [new Keyring([key(1)]), { verifyIncoming: true, verifyOutgoing: true }],
  ]
  const codecs = stages.map(([ring, over]) => codec(ring as Keyring | undefined, over as Partial<Envelope>))
  for (let i = 0; i + 1 < codecs.length; i++) {
    assert.equal(passes(codecs[i]!, codecs[i + 1]!), undefined, `stage ${i} to ${i + 1}`)
    assert.equal(passes(codecs[i + 1]!, codecs[i]!), undefined, `stage ${i + 1} to ${i}`)
  }
  assert.equal(passes(codecs[0]!, codecs[3]!), 'encryption')
  assert.notEqual(passes(codecs[3]!, codecs[0]!), undefined)
})
