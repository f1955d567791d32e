import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { splitAddress } from '../../src/address.ts'
import { formatAddress, ipText, packIp } from '../../src/wire/address.ts'

test('IPv4 and IPv6 addresses go to bytes and back in their shortest spelling', () => {
  const pairs = [
    ...['0.0.0.0', '127.0.0.1', '255.255.255.255', '::', '::1', '1::', '2001:db8::1', 'fe80::1:2:3'],
    ...['1:2:3:4:5:6:7:8', '1:0:0:4::8', '2001:db8:0:1:1:1:1:1'],
  ]
  for (const text of pairs) assert.equal(ipText(packIp(text)!), text)
  assert.equal(ipText(packIp('2001:DB8:0:0:1:0:0:1')!), '2001:db8::1:0:0:1')
  assert.equal(ipText(packIp('64:ff9b::1.2.3.4')!), '64:ff9b::102:304')
})

test('a mapped IPv4 address is written in 4 bytes, and read as IPv4 from 16', () => {
  assert.deepEqual(packIp('::ffff:127.0.0.1'), Uint8Array.of(127, 0, 0, 1))
  assert.deepEqual(packIp('::ffff:7f00:1'), Uint8Array.of(127, 0, 0, 1))
  const mapped = new Uint8Array(16)
  mapped.set([0xff, 0xff, 10, 0, 0, 7], 10)
  assert.equal(ipText(mapped), '10.0.0.7')
  assert.equal(formatAddress(mapped, 7946), '10.0.0.7:7946')
})

test('what is an address and what is none agrees with node:net, for text near addresses', () => {
  const near = fc.string({ unit: fc.constantFrom(...'0123456789abf.::::.'), maxLength: 20 })
  fc.assert(
    fc.property(near, (text) => assert.equal(packIp(text) !== undefined, isIP(text) !== 0, text)),
    { numRuns: 20_000 },
  )
  for (const text of [
    '',
    'localhost',
    '1.2.3',
    '01.2.3.4',
    '1.2.3.256',
    ':::',
    '1::2::3',
    'fe80::1%eth0',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
  ]) {
    assert.equal(packIp(text) !== undefined, isIP(text) !== 0 && !text.includes('%'), text)
  }
})

test('any 16 bytes come back, but for mapped IPv4', () => {
  const word = fc.oneof(fc.constant([0, 0]), fc.tuple(fc.nat(255), fc.nat(255)))
  fc.assert(
    fc.property(fc.array(word, { minLength: 8, maxLength: 8 }), (words) => {
      const ip = Uint8Array.from(words.flat())
      const text = ipText(ip)
      assert.equal(isIP(text) === 6 || text.includes('.'), true)
      if (text.includes(':')) assert.deepEqual(packIp(text), ip)
    }),
  )
})

test('an address is a host and a port, with brackets around IPv6', () => {
  assert.equal(formatAddress(packIp('::1')!, 7946), '[::1]:7946')
  assert.deepEqual(splitAddress('[::1]:7946'), { host: '::1', port: 7946 })
  assert.deepEqual(splitAddress('127.0.0.1:0'), { host: '127.0.0.1', port: 0 })
  assert.deepEqual(splitAddress('seed.example:65535'), { host: 'seed.example', port: 65_535 })
  for (const text of [
    '',
    ':1',
    'a',
    'a:',
    'a:65536',
    'a:-1',
    'a:1x',
    'a: 1',
    '::1:7946',
    '[::1]',
    '[::1:7946',
    '[a]:1',
    '[1.2.3.4]:1',
    'a b:1',
    'a:000001',
  ]) {
    assert.equal(splitAddress(text), undefined, text)
  }
  assert.throws(() => ipText(new Uint8Array(5)), RangeError)
  for (const port of [-1, 65_536, 1.5])
    assert.throws(() => formatAddress(Uint8Array.of(1, 2, 3, 4), port), RangeError)
})
