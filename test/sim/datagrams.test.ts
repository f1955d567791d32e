/** Datagrams in a simulation behave as UDP does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { datagramOverheadBytes, socketBufferBytes } from '../../src/sim/datagrams.ts'
import { linkQueueBytes } from '../../src/sim/links.ts'
import { bytes, pair, socket } from './wire.ts'

test('a datagram takes the time of its link and says where it came from', async () => {
  const { sim, a, b } = await pair({ link: { delayMs: 3, jitterMs: 1 } })
  const [from, to] = [await socket(sim, a), await socket(sim, b)]
  const sentAt = sim.now
  from.socket.send(bytes('hi'), to.socket.local)
  await sim.run(10)
  const [heard] = to.heard
  assert.equal(heard?.text, 'hi')
  assert.equal(heard?.from, from.socket.local)
  const tookMs = heard!.at - sentAt
  assert.ok(tookMs >= 3 && tookMs <= 4.001, `${tookMs}`)
  await sim.close()
})

test('a link loses, doubles and reorders as often as it is told', async () => {
  const { sim, a, b } = await pair({ seed: 3 })
  const [from, to] = [await socket(sim, a), await socket(sim, b)]
  const send = async (): Promise<string[]> => {
    to.heard.length = 0
    for (let i = 0; i < 1_000; i += 1) {
      from.socket.send(bytes(String(i)), to.socket.local)
      await sim.run(1)
    }
    await sim.run(100)
    return to.heard.map(({ text }) => text)
  }
  sim.links.setAll({ loss: 0.3 })
  const lossy = await send()
  assert.ok(lossy.length > 640 && lossy.length < 760, `${lossy.length}`)
  sim.links.setAll({ loss: 0, duplicate: 0.2 })
  const doubled = await send()
  assert.equal(new Set(doubled).size, 1_000)
  assert.ok(doubled.length > 1_150 && doubled.length < 1_250, `${doubled.length}`)
  sim.links.setAll({ duplicate: 0, reorder: 0.1 })
  const mixed = await send()
  const sorted = [...mixed].sort((x, y) => Number(x) - Number(y))
  assert.equal(mixed.length, 1_000)
  assert.notDeepEqual(mixed, sorted)
  await sim.close()
})

test('a cut drops one way or both, packets alone or all, until it heals', async () => {
  const { sim, a, b } = await pair()
  const [left, right] = [await socket(sim, a), await socket(sim, b)]
  const ping = async (): Promise<string> => {
    left.heard.length = right.heard.length = 0
    left.socket.send(bytes('x'), right.socket.local)
    right.socket.send(bytes('x'), left.socket.local)
    await sim.run(10)
    return `${right.heard.length} ${left.heard.length}`
  }
  assert.equal(await ping(), '1 1')
  sim.cut(a, b, { oneWay: true })
  assert.equal(await ping(), '0 1')
  sim.cut(a, b)
  assert.equal(await ping(), '0 0')
  sim.heal(a, b)
  assert.equal(await ping(), '1 1')
  sim.cut('b', undefined, { kind: 'packets' })
  assert.equal(await ping(), '0 0')
  sim.heal()
  assert.equal(await ping(), '1 1')
  await sim.close()
})

test('bandwidth makes later datagrams queue behind earlier ones', async () => {
  const { sim, a, b } = await pair({ link: { delayMs: 1, jitterMs: 0, bytesPerSecond: 10_000 } })
  const [from, to] = [await socket(sim, a), await socket(sim, b)]
  const sentAt = sim.now
  for (let i = 0; i < 5; i += 1) from.socket.send(new Uint8Array(1_000), to.socket.local)
  await sim.run(2_000)
  assert.deepEqual(
    to.heard.map(({ at }) => Math.round(at - sentAt)),
    [101, 201, 301, 401, 501],
  )
  await sim.close()
})

test('a narrow link queues a limited number of bytes, and drops datagrams beyond', async () => {
  const { sim, a, b } = await pair({ link: { bytesPerSecond: 10_000 } })
  const [from, to] = [await socket(sim, a), await socket(sim, b)]
  for (let i = 0; i < 400; i += 1) from.socket.send(new Uint8Array(1_000), to.socket.local)
  await sim.run(60_000)
  assert.equal(to.heard.length, Math.ceil(linkQueueBytes / 1_000))
  from.socket.send(new Uint8Array(1_000), to.socket.local)
  sim.links.setAll({ bytesPerSecond: Number.POSITIVE_INFINITY })
  from.socket.send(new Uint8Array(1_000), to.socket.local)
  await sim.run(1_000)
  assert.equal(to.heard.length, Math.ceil(linkQueueBytes / 1_000) + 2)
  await sim.close()
})

test('what a paused process does not read is kept up to the size of the socket buffer, then dropped', async () => {
  const { sim, a, b } = await pair()
  const [from, to] = [await socket(sim, a), await socket(sim, b)]
  b.pause()
  const fit = Math.floor(socketBufferBytes / (100 + datagramOverheadBytes))
  for (let i = 0; i < fit + 50; i += 1) {
    from.socket.send(bytes(String(i).padEnd(100)), to.socket.local)
    await sim.run(1)
  }
  assert.equal(to.heard.length, 0)
  b.resume()
  await sim.run(1)
  assert.equal(to.heard.length, fit)
  assert.equal(to.heard[0]?.text.trim(), '0')
  from.socket.send(bytes('again'), to.socket.local)
  await sim.run(1)
  assert.equal(to.heard.at(-1)?.text, 'again')
  await sim.close()
})

test('a taken port is refused, a closed one is free again, port 0 takes any free one', async () => {
  const { sim, a } = await pair()
  const first = await socket(sim, a)
  await assert.rejects(socket(sim, a), { code: 'EADDRINUSE' })
  await assert.rejects(socket(sim, a, '0.0.0.0:5000'), { code: 'EADDRINUSE' })
  await assert.rejects(socket(sim, a, '10.9.9.9:5000'), { code: 'EADDRNOTAVAIL' })
  await assert.rejects(socket(sim, a, 'nonsense'), RangeError)
  const loopback = await socket(sim, a, '127.0.0.1:5000')
  await sim.settle(first.socket.close(), 10)
  await socket(sim, a)
  const ports = new Set([loopback.socket.local])
  for (let i = 0; i < 10; i += 1) ports.add((await socket(sim, a, `${a.host}:0`)).socket.local)
  assert.equal(ports.size, 11)
  await sim.close()
})

test('a wildcard socket hears both addresses of its machine; loopback means the own machine alone', async () => {
  const { sim, a, b } = await pair()
  const wide = await socket(sim, a, '0.0.0.0:6000')
  const own = await socket(sim, a, '127.0.0.1:0')
  const other = await socket(sim, b, `${b.host}:6000`)
  own.socket.send(bytes('inside'), '127.0.0.1:6000')
  other.socket.send(bytes('outside'), `${a.host}:6000`)
  own.socket.send(bytes('leak'), `${b.host}:6000`)
  await sim.run(10)
  assert.deepEqual(wide.heard.map(({ text }) => text).sort(), ['inside', 'outside'])
  assert.equal(other.heard.length, 0)
  assert.deepEqual(own.errors, [`EINVAL ${b.host}:6000`])
  wide.socket.send(bytes('to nobody'), '10.77.0.1:1')
  wide.socket.send(bytes('x'), 'nonsense')
  wide.socket.send(new Uint8Array(70_000), `${b.host}:6000`)
  await sim.run(10)
  assert.deepEqual(wide.errors, ['RangeError nonsense', `EMSGSIZE ${b.host}:6000`])
  await sim.close()
})

test('the receiver of a datagram owns its bytes, and so does the sender', async () => {
  const { sim, a, b } = await pair({ link: { duplicate: 1 } })
  const [from, to] = [await socket(sim, a), await socket(sim, b)]
  const packet = bytes('mine')
  from.socket.send(packet, to.socket.local)
  packet.fill(0)
  await sim.run(10)
  assert.deepEqual(
    to.heard.map(({ text }) => text),
    ['mine', 'mine'],
  )
  await sim.close()
})

test('an IP resolves to itself, a process by its name once it was spawned, anything else to nothing', async () => {
  const { sim, a, b } = await pair()
  const { network } = a.env
  assert.deepEqual(await sim.settle(network.resolve('10.1.2.3'), 10), ['10.1.2.3'])
  assert.deepEqual(await sim.settle(network.resolve('b'), 10), [b.host])
  assert.deepEqual(await sim.settle(network.resolve('localhost'), 10), ['127.0.0.1'])
  await assert.rejects(sim.settle(network.resolve('later'), 10), { code: 'ENOTFOUND' })
  await sim.close()
})
