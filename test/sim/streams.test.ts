/** Byte streams in a simulation behave as TCP does, and as the docstrings of env.ts promise. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ByteStream } from '../../src/env.ts'
import { backlogMax } from '../../src/sim/listener.ts'
import { windowBytes } from '../../src/sim/pipe.ts'
import { bytes, connection, Ear, listening, pair } from './wire.ts'

test('a connect takes a round trip, and one more way until the other side accepts', async () => {
  const { sim, a, b } = await pair({ link: { delayMs: 10, jitterMs: 0 } })
  const { accepted } = await listening(sim, b)
  const startedAt = sim.now
  const ear = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  assert.equal(ear.stream.remote, `${b.host}:80`)
  await sim.until(() => ear.connectedAt >= 0, 100)
  assert.equal(ear.connectedAt - startedAt, 20)
  assert.equal(accepted.length, 0)
  await sim.run(10)
  assert.equal(accepted.length, 1)
  assert.match(accepted[0]!.stream.remote, new RegExp(`^${a.host}:\\d+$`))
  await sim.close()
})

test('a dial is refused where nobody listens, and fails after a while where nobody answers', async () => {
  const { sim, a, b } = await pair()
  const startedAt = sim.now
  const refused = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  await sim.until(() => refused.closed !== undefined, 100)
  assert.equal(refused.closed, 'refused')
  const nobody = new Ear(sim, a.env.network.dial('10.99.0.1:80'))
  sim.cut(a, b, { oneWay: true })
  const cut = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  await sim.run(10_000)
  assert.equal(nobody.closed, 'failed')
  assert.equal(cut.closed, 'failed')
  assert.equal(Math.round(cut.closedAt - startedAt), 5_001)
  sim.heal()
  b.crash({ silent: true })
  const dark = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  await sim.run(10_000)
  assert.equal(dark.closed, 'failed')
  assert.throws(() => a.env.network.dial('nonsense'), RangeError)
  await sim.close()
})

test('a dial that starts under a cut connects when it heals in time', async () => {
  const { sim, a, b } = await pair()
  await listening(sim, b)
  sim.cut(a, b)
  const ear = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  await sim.run(2_000)
  sim.heal()
  await sim.run(1_500)
  assert.ok(ear.connectedAt > 3_000 && ear.connectedAt < 3_010, `${ear.connectedAt}`)
  await sim.close()
})

test('bytes arrive in order, cut and glued at other places than they were written', async () => {
  const { sim, a, b } = await pair({ seed: 5, link: { jitterMs: 5, loss: 0.05 } })
  const { dialled, accepted } = await connection(sim, a, b)
  let written = ''
  for (let i = 0; i < 300; i += 1) {
    const text = `message ${i};`
    written += text
    dialled.stream.write(bytes(text))
    if (i % 3 === 0) await sim.run(1)
  }
  await sim.run(10_000)
  assert.equal(accepted.text, written)
  const lengths = new Set(accepted.chunks)
  assert.ok(Math.min(...lengths) < 10, 'some messages are split')
  assert.ok(Math.max(...lengths) > 20, 'some messages are merged')
  await sim.close()
})

test('what a reader gets is its own: it shares no memory with what was written', async () => {
  const { sim, a, b } = await pair()
  const kept: Uint8Array[] = []
  await sim.settle(
    b.env.network.listen(`${b.host}:80`, (stream) =>
      stream.listen({ connected() {}, data: (chunk) => kept.push(chunk), drained() {}, closed() {} }),
    ),
    10,
  )
  for (const sent of [bytes('x'), Buffer.from('x')]) {
    new Ear(sim, a.env.network.dial(`${b.host}:80`)).stream.write(sent)
    await sim.run(10)
    const [chunk] = kept.splice(0)
    sent.fill(0)
    assert.deepEqual([...(chunk as Uint8Array)], ['x'.charCodeAt(0)])
  }
  await sim.close()
})

test('what is written together arrives in order', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  assert.equal(dialled.stream.writeAll([bytes('one '), bytes('two '), bytes('three')]), true)
  assert.equal(dialled.stream.writeAll([new Uint8Array(1_616), new Uint8Array(16_384)]), false)
  await sim.run(100)
  assert.equal(accepted.text.slice(0, 13), 'one two three')
  assert.equal(accepted.length, 13 + 18_000)
  await sim.close()
})

test('a writer is asked to wait beyond the high-water mark and hears once its queue is empty', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  assert.equal(dialled.stream.write(new Uint8Array(16_383)), true)
  assert.equal(dialled.stream.write(new Uint8Array(16_384)), false)
  await sim.run(1)
  assert.deepEqual(dialled.log, ['connected', 'drained'])
  accepted.stream.pause(true)
  assert.equal(dialled.stream.write(new Uint8Array(2 * windowBytes)), false)
  await sim.run(1_000)
  const { queuedBytes } = dialled.stream
  assert.ok(queuedBytes >= windowBytes && queuedBytes < 2 * windowBytes, `${queuedBytes}`)
  assert.equal(dialled.log.filter((what) => what === 'drained').length, 1)
  accepted.stream.pause(false)
  await sim.run(1_000)
  assert.equal(dialled.stream.queuedBytes, 0)
  assert.equal(accepted.length, 16_383 + 16_384 + 2 * windowBytes)
  assert.equal(dialled.log.filter((what) => what === 'drained').length, 2)
  await sim.close()
})

test('bandwidth bounds a stream', async () => {
  const { sim, a, b } = await pair({ link: { bytesPerSecond: 100_000 } })
  const { dialled, accepted } = await connection(sim, a, b)
  dialled.stream.write(new Uint8Array(1_000_000))
  const tookMs = await sim.until(() => accepted.length === 1_000_000, 60_000)
  assert.ok(tookMs >= 10_000 && tookMs < 10_500, `${tookMs}`)
  await sim.close()
})

test('an end arrives after all bytes and is answered by an end; both close as ended', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  accepted.stream.write(bytes('last words'))
  dialled.stream.write(new Uint8Array(100_000))
  dialled.stream.end()
  assert.equal(dialled.stream.write(bytes('late')), false)
  await sim.run(1_000)
  assert.equal(accepted.length, 100_000)
  assert.equal(dialled.text, 'last words')
  assert.deepEqual([dialled.closed, accepted.closed], ['ended', 'ended'])
  await sim.close()
})

test('an end waits for a reader that has paused', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  accepted.stream.pause(true)
  dialled.stream.write(bytes('x'))
  dialled.stream.end()
  await sim.run(10_000)
  assert.deepEqual([dialled.closed, accepted.closed], [undefined, undefined])
  accepted.stream.pause(false)
  await sim.run(10)
  assert.deepEqual([dialled.closed, accepted.closed], ['ended', 'ended'])
  await sim.close()
})

test('destroy closes at once as local; the peer hears an end, or a reset if much was not read', async () => {
  const { sim, a, b } = await pair()
  const first = await connection(sim, a, b)
  first.dialled.stream.destroy()
  assert.equal(first.dialled.closed, undefined, 'not within the call')
  await sim.run(10)
  assert.deepEqual([first.dialled.closed, first.accepted.closed], ['local', 'ended'])
  await first.listener.close()
  const second = await connection(sim, a, b)
  second.dialled.stream.pause(true)
  second.accepted.stream.write(new Uint8Array(20_000))
  await sim.run(10)
  second.dialled.stream.destroy()
  await sim.run(10)
  assert.deepEqual([second.dialled.closed, second.accepted.closed], ['local', 'reset'])
  assert.equal(second.dialled.length, 0)
  await sim.close()
})

test('the kernel ends the connections of a process that was killed; without power nobody is told, until they write to the machine that came back', async () => {
  const { sim, a, b } = await pair()
  const first = await connection(sim, a, b)
  first.accepted.stream.write(bytes('last words'))
  b.crash()
  await sim.run(10)
  assert.deepEqual([first.dialled.text, first.dialled.closed], ['last words', 'ended'])
  assert.equal(first.accepted.closed, undefined, 'the dead hear nothing')
  b.restart()
  await sim.run(1)
  const second = await connection(sim, a, b)
  b.crash({ silent: true })
  await sim.run(60_000)
  assert.equal(second.dialled.closed, undefined)
  second.dialled.stream.write(bytes('anybody?'))
  await sim.run(10_000)
  assert.equal(second.dialled.closed, undefined)
  b.restart()
  await sim.run(30_000)
  assert.equal(second.dialled.closed, 'reset')
  await sim.close()
})

test('the kernel resets a connection whose bytes a killed process had not read, or that it had not accepted', async () => {
  const { sim, a, b } = await pair()
  const { dialled, listener } = await connection(sim, a, b)
  b.pause()
  dialled.stream.write(bytes('unread'))
  const late = new Ear(sim, a.env.network.dial(listener.local))
  await sim.run(10)
  assert.ok(late.connectedAt >= 0)
  b.crash()
  await sim.run(10)
  assert.deepEqual([dialled.closed, late.closed], ['reset', 'reset'])
  await sim.close()
})

test('what a killed process had written before a cut still arrives after it, and then the end', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  sim.cut(a, b)
  accepted.stream.write(bytes('in the kernel'))
  b.crash()
  await sim.run(1_000)
  assert.equal(dialled.closed, undefined)
  sim.heal()
  await sim.run(5_000)
  assert.deepEqual([dialled.text, dialled.closed], ['in the kernel', 'ended'])
  await sim.close()
})

test('an idle connection does not notice a cut; bytes arrive late after it heals, at the next retry', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  sim.cut(a, b)
  await sim.run(3_600_000)
  sim.heal()
  dialled.stream.write(bytes('still here. '))
  await sim.run(10)
  assert.equal(accepted.text, 'still here. ')
  sim.cut(a, b)
  dialled.stream.write(bytes('late. '))
  dialled.stream.write(bytes('later.'))
  await sim.run(10_000)
  sim.heal()
  await sim.run(1_000)
  assert.equal(accepted.text, 'still here. ')
  await sim.run(2_000)
  assert.equal(accepted.text, 'still here. late. later.')
  assert.equal(dialled.closed, undefined)
  await sim.close()
})

test('a connection whose bytes never pass breaks after its time-out, and the reader never hears of it', async () => {
  const { sim, a, b } = await pair({ streamTimeoutMs: 60_000 })
  const { dialled, accepted } = await connection(sim, a, b)
  sim.cut(a, b, { oneWay: true })
  accepted.stream.write(bytes('one way is open'))
  await sim.run(10)
  assert.equal(dialled.text, 'one way is open')
  await sim.run(55_000)
  assert.equal(accepted.closed, undefined)
  dialled.stream.write(bytes('x'))
  await sim.run(60_000)
  assert.equal(accepted.closed, 'reset', 'nobody acknowledged what it sent')
  await sim.run(60_000)
  assert.equal(dialled.closed, 'reset')
  await sim.close()
})

test('packets alone may be cut while streams pass', async () => {
  const { sim, a, b } = await pair()
  sim.cut(a, b, { kind: 'packets' })
  const { dialled, accepted } = await connection(sim, a, b)
  dialled.stream.write(bytes('through'))
  await sim.run(10)
  assert.equal(accepted.text, 'through')
  await sim.close()
})

test('the kernel of a paused process connects and takes bytes; the process hears of both when it goes on', async () => {
  const { sim, a, b } = await pair()
  const { accepted } = await listening(sim, b)
  b.pause()
  const ear = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  ear.stream.write(bytes('before'))
  ear.stream.end()
  await sim.run(1_000)
  assert.ok(ear.connectedAt >= 0)
  assert.equal(accepted.length, 0)
  b.resume()
  await sim.run(10)
  assert.equal(accepted[0]?.text, 'before')
  assert.deepEqual([ear.closed, accepted[0]?.closed], ['ended', 'ended'])
  await sim.close()
})

test('connections beyond the backlog of a paused listener do not come about', async () => {
  const { sim, a, b } = await pair()
  const { accepted } = await listening(sim, b)
  b.pause()
  const ears: Ear[] = []
  for (let i = 0; i < backlogMax + 20; i += 1) {
    ears.push(new Ear(sim, a.env.network.dial(`${b.host}:80`)))
    await sim.run(2)
  }
  await sim.run(10_000)
  assert.equal(ears.filter(({ connectedAt }) => connectedAt >= 0).length, backlogMax)
  assert.equal(ears.filter(({ closed }) => closed === 'failed').length, 20)
  b.resume()
  await sim.run(10)
  assert.equal(accepted.length, backlogMax)
  await sim.close()
})

test('a listener that closes frees its port; streams it accepted live on', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted, listener } = await connection(sim, a, b)
  await assert.rejects(listening(sim, b), { code: 'EADDRINUSE' })
  await listener.close()
  const late = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  dialled.stream.write(bytes('x'))
  await sim.run(10)
  assert.equal(late.closed, 'refused')
  assert.equal(accepted.text, 'x')
  await listening(sim, b)
  await sim.close()
})

test('loopback reaches the own machine by 127.0.0.1 and by its own address', async () => {
  const { sim, a } = await pair()
  const { accepted } = await listening(sim, a, '0.0.0.0:90')
  const ears = ['127.0.0.1:90', `${a.host}:90`].map((to) => new Ear(sim, a.env.network.dial(to)))
  sim.cut(a)
  await sim.run(10)
  assert.ok(ears.every(({ connectedAt }) => connectedAt > 0))
  assert.deepEqual(
    accepted.map(({ stream }) => stream.remote.replace(/:\d+$/, '')),
    ['127.0.0.1', a.host],
  )
  await sim.close()
})

test('a stream takes one listener, and says nothing after it closed', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  const { stream }: { stream: ByteStream } = dialled
  const silent = { connected() {}, data() {}, drained() {}, closed() {} }
  assert.throws(() => stream.listen(silent))
  stream.destroy()
  stream.destroy()
  stream.end()
  assert.equal(stream.write(bytes('x')), false)
  accepted.stream.write(bytes('x'))
  await sim.run(1_000)
  assert.deepEqual(dialled.log, ['connected', 'local'])
  await sim.close()
})
