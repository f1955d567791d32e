import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isShoalError } from '../src/errors.ts'
import { checkOptions, type NodeOptions } from '../src/options.ts'

const wrong: readonly [NodeOptions, RegExp][] = [
  [{ name: '' }, /^name: .*1 to 128 characters, got ""/],
  [{ cluster: 'x'.repeat(201) }, /^cluster: /],
  [{ port: 65_536 }, /^port: .*0 to 65535, got 65536/],
  [{ port: 1.5 }, /^port: expected a whole number/],
  [{ rpcPort: -1 }, /^rpcPort: /],
  [{ port: 7000, rpcPort: 7000 }, /^rpcPort: expected another port than that of gossip/],
  [{ host: 'localhost' }, /^host: expected an IP address, got "localhost"/],
  [{ host: '0.0.0.0' }, /^advertise: .*because host is 0\.0\.0\.0/],
  [{ advertise: 'a b' }, /^advertise: /],
  [{ join: ['nowhere'] }, /^join: expected host:port/],
  [{ join: ['10.0.0.1:0'] }, /^join: /],
  [{ joinTimeoutMs: 0 }, /^joinTimeoutMs: .*1 to 3600000/],
  [{ profile: 'fast' as never }, /^profile: expected local, lan or wan, got "fast"/],
  [{ profile: '__proto__' as never }, /^profile: /],
  [
    { swim: { probeTimeoutMs: 1_000 } },
    /^swim\.probeTimeoutMs: expected below swim\.probeIntervalMs \(1000\)/,
  ],
  [{ swim: { probes: 3 } as never }, /^swim\.probes: no such option, got 3/],
  [{ keys: ['short'] }, /^keys\[0\]: expected 16, 24 or 32 bytes/],
  [{ keys: ['%%%'] }, /^keys\[0\]: /],
  [{ tags: { st: 'ready' } }, /^tags\.st: expected a name other than/],
  [{ tags: { a: 1 as never } }, /^tags\.a: expected text/],
  [{ weight: 0 }, /^weight: expected a number from 0\.01 to 100, got 0/],
  [{ weight: Number.NaN }, /^weight: /],
  [{ observer: 'yes' as never }, /^observer: expected true or false/],
  [{ ring: { partitions: 1000 } }, /partitions/],
  [{ ring: { size: 3 } as never }, /^ring\.size: /],
  [{ timeoutMs: Infinity }, /^timeoutMs: /],
  [{ drainMs: 60_001 }, /^drainMs: /],
  [{ membershipThread: 'no' as never }, /^membershipThread: expected true or false/],
  [
    { stalledAfterMs: 999 },
    /^stalledAfterMs: expected a number from 1000 to 3600000, 0 or Infinity, got 999/,
  ],
  [{ stalledAfterMs: '9' as never }, /^stalledAfterMs: /],
  [{ tags: { lag: '1' } }, /^tags\.lag: expected a name other than/],
  [{ limits: { frameBytesMax: 0 } }, /^limits\.frameBytesMax: /],
  [{ limits: { frames: 1 } as never }, /^limits\.frames: expected no such limit/],
  [{ limits: { frameBytesMax: 4_095 } }, /^limits\.frameBytesMax: .*4096/],
  [{ limits: { pauseBytes: 64 * 2 ** 20 } }, /^limits\.pauseBytes: expected at most limits\.queuedBytesMax/],
  [{ tags: { t: 'x'.repeat(446) } }, /^tags: tags take at most 512 bytes/],
  [{ name: '€'.repeat(100) }, /^name: expected text of at most 255 bytes/],
  [{ cluster: '€'.repeat(100) }, /^cluster: expected text of at most 255 bytes/],
  [{ limits: { keyBytesMax: 65_536 } }, /^limits\.keyBytesMax: .*1 to 65535/],
  [{ limits: { messageBytesMax: 3_073 } }, /^limits\.messageBytesMax: .*1 to 3072/],
  [{ limits: { backoffMinMs: 5_001 } }, /^limits\.backoffMinMs: expected at most limits\.backoffMaxMs/],
  [{ swim: { probeIntervalMs: '1000' } as never }, /^swim\.probeIntervalMs: expected a number/],
  [{ swim: { tcpPings: 1 } as never }, /^swim\.tcpPings: expected true or false/],
  [{ logger: { info() {} } as never }, /^logger\.debug: expected a function/],
  [{ nmae: 'x' } as never, /^nmae: no such option, got "x"/],
]

test('a wrong option is refused at once, naming option, range and value', () => {
  for (const [options, message] of wrong) {
    assert.throws(
      () => checkOptions(options),
      (error: unknown) =>
        isShoalError(error) && error.code === 'ERR_SHOAL_OPTION' && message.test(error.message),
      JSON.stringify(options),
    )
  }
})

test('a wrong key is not shown in the message', () => {
  assert.throws(
    () => checkOptions({ keys: ['c2VjcmV0'] }),
    (error: Error) => !error.message.includes('c2VjcmV0'),
  )
})

test('defaults bind to loopback, label by cluster and take the LAN profile', () => {
  const config = checkOptions({})
  assert.equal(config.host, '127.0.0.1')
  assert.equal(config.port, 7946)
  assert.equal(config.label, 'shoal')
  assert.equal(config.swim.probeIntervalMs, 1_000)
  assert.equal(config.drainMs, config.swim.gossipIntervalMs * 5)
  assert.ok(Object.isFrozen(config))
})

test('an observer weighs nothing, and a cluster without label sends none', () => {
  const config = checkOptions({ observer: true, label: false, weight: 3 })
  assert.equal(config.weight, 0)
  assert.equal(config.label, '')
})

test('an advertised address is an IP, bracketed or not, with or without a port', () => {
  assert.deepEqual(checkOptions({ advertise: '10.1.2.3' }).advertise, { host: '10.1.2.3', port: undefined })
  assert.deepEqual(checkOptions({ advertise: '10.1.2.3:7000' }).advertise, { host: '10.1.2.3', port: 7000 })
  assert.deepEqual(checkOptions({ advertise: '[fe80::1]:7000' }).advertise, { host: 'fe80::1', port: 7000 })
  assert.deepEqual(checkOptions({ advertise: 'fe80::1' }).advertise, { host: 'fe80::1', port: undefined })
})
