/** A connection is torn at the byte that was named, and its ends hear what was said. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Simulation, SimulationError, type TearOptions } from '../../src/sim/index.ts'
import { bytes, connection, Ear, listening, pair } from './wire.ts'

test('a torn connection has carried exactly so many bytes, wherever the writer ended its messages', async () => {
  for (let afterBytes = 0; afterBytes <= 12; afterBytes += 1) {
    const { sim, a, b } = await pair({ seed: afterBytes })
    const { dialled, accepted } = await connection(sim, a, b)
    sim.tear(a, b, { afterBytes })
    for (const text of ['1234', '567', '89012', '3456']) dialled.stream.write(bytes(text))
    await sim.run(100)
    assert.equal(accepted.text, '1234567890123456'.slice(0, afterBytes))
    assert.equal(accepted.closed, 'reset')
    assert.equal(dialled.closed, 'reset')
    await sim.close()
  }
})

test('a function sees what the sender sends, in order, and names the byte', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  let seen = ''
  sim.tear(b, a, {
    afterBytes: (piece) => {
      const at = new TextDecoder().decode(piece).indexOf('!')
      seen += new TextDecoder().decode(piece)
      return at < 0 ? undefined : at
    },
  })
  accepted.stream.write(bytes('hello '))
  await sim.run(10)
  accepted.stream.write(bytes('wor!d'))
  accepted.stream.write(bytes('more'))
  await sim.run(100)
  assert.equal(dialled.text, 'hello wor')
  assert.ok('hello wor!dmore'.startsWith(seen), seen)
  assert.equal(dialled.closed, 'reset')
  await sim.close()
})

test('each end hears what the tear says, and who does not hear writes into nothing', async () => {
  const closes = async (options: TearOptions): Promise<string> => {
    const { sim, a, b } = await pair({ streamTimeoutMs: 5_000 })
    const { dialled, accepted } = await connection(sim, a, b)
    sim.tear(a, b, { afterBytes: 2, ...options })
    dialled.stream.write(bytes('abcd'))
    await sim.run(100)
    assert.equal(accepted.text, 'ab')
    accepted.stream.write(bytes('answer'))
    await sim.run(100)
    assert.equal(dialled.text, '', 'nothing comes back either')
    const soon = `${dialled.closed}/${accepted.closed}`
    await sim.run(20_000)
    assert.ok(dialled.closed !== undefined && accepted.closed !== undefined, 'both give it up in the end')
    await sim.close()
    return soon
  }
  assert.equal(await closes({}), 'reset/reset')
  assert.equal(await closes({ heardBy: 'sender' }), 'reset/undefined')
  assert.equal(await closes({ heardBy: 'receiver' }), 'undefined/reset')
  assert.equal(await closes({ heardBy: 'nobody' }), 'undefined/undefined')
  assert.equal(await closes({ how: 'end' }), 'ended/ended')
  assert.equal(await closes({ how: 'end', heardBy: 'receiver' }), 'undefined/ended')
})

test('a writer whose end was told lets go of what it had queued', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  accepted.stream.pause(true)
  dialled.stream.write(new Uint8Array(1_000_000))
  await sim.run(10)
  sim.tear(b, a, { how: 'end' })
  accepted.stream.write(bytes('x'))
  await sim.run(10)
  assert.equal(dialled.closed, 'ended')
  assert.equal(accepted.closed, undefined, 'it does not read')
  accepted.stream.pause(false)
  await sim.run(10)
  assert.equal(accepted.closed, 'ended')
  await sim.close()
})

test('a fresh tear waits for the next connection, and one of a port for a connection to it', async () => {
  const { sim, a, b } = await pair()
  const { dialled, accepted } = await connection(sim, a, b)
  sim.tear(b, a, { fresh: true, afterBytes: 3 })
  sim.tear(a, b, { port: 81, afterBytes: 3 })
  accepted.stream.write(bytes('hello'))
  dialled.stream.write(bytes('hello'))
  await sim.run(10)
  assert.deepEqual([dialled.text, accepted.text], ['hello', 'hello'])
  const other = await listening(sim, b, `${b.host}:81`)
  const second = new Ear(sim, a.env.network.dial(`${b.host}:81`))
  await sim.run(10)
  other.accepted[0]!.stream.write(bytes('hello'))
  await sim.run(10)
  assert.equal(second.text, 'hel')
  const third = new Ear(sim, a.env.network.dial(`${b.host}:81`))
  third.stream.write(bytes('hello'))
  await sim.run(10)
  assert.equal(other.accepted[1]!.text, 'hel')
  assert.equal(dialled.closed, undefined)
  await sim.close()
})

test('a tear says what became of it, and can be called off', async () => {
  const { sim, a, b } = await pair()
  const first = sim.tear(a, b, { afterBytes: 3 })
  const second = sim.tear(a, b, { afterBytes: 3 })
  const third = sim.tear(a, b)
  const { dialled, accepted } = await connection(sim, a, b)
  assert.equal(first.state, 'waiting')
  first.cancel()
  dialled.stream.write(bytes('ab'))
  await sim.run(10)
  assert.deepEqual([first.state, second.state, third.state], ['off', 'found', 'waiting'])
  second.cancel()
  dialled.stream.write(bytes('cdef'))
  await sim.run(10)
  assert.equal(accepted.text, 'ab', 'what was called off makes room for the next')
  assert.equal(third.state, 'torn')
  third.cancel()
  assert.equal(third.state, 'torn')
  await sim.close()
})

test('what a tear does not know is refused by name', async () => {
  const { sim, a, b } = await pair()
  const refused = (options: unknown, told: RegExp): void =>
    assert.throws(() => sim.tear(a, b, options as TearOptions), told)
  refused({ after: 3 }, /^ShoalError: tear: after: no such option, got 3$/)
  refused({ afterBytes: -1 }, /tear: afterBytes: expected a whole number from 0 to/)
  refused({ how: 'rest' }, /tear: how: expected reset or end, got "rest"/)
  refused({ heardBy: 'me' }, /tear: heardBy: expected both, sender, receiver or nobody/)
  refused({ port: 'http' }, /tear: port: expected a whole number from 0 to 65535/)
  assert.throws(() => sim.tear(a, a), SimulationError)
  await sim.close()
  assert.ok(sim instanceof Simulation)
})

test('whoever listens to the wire hears all that is sent, by connection and direction, and may end the run', async () => {
  const { sim, a, b } = await pair()
  const heard: string[] = []
  sim.onWire(({ from, to, port, connection }, sent) => {
    const text = new TextDecoder().decode(sent)
    heard.push(`${from.name}>${to.name}:${port} #${connection} ${text}`)
    if (text === 'z') throw new Error('enough')
  })
  const { dialled, accepted } = await connection(sim, a, b)
  const second = new Ear(sim, a.env.network.dial(`${b.host}:80`))
  await sim.run(10)
  dialled.stream.write(bytes('x'))
  accepted.stream.write(bytes('y'))
  second.stream.write(bytes('w'))
  assert.deepEqual(heard, ['a>b:80 #1 x', 'b>a:80 #1 y', 'a>b:80 #2 w'])
  await sim.run(10)
  dialled.stream.write(bytes('z'))
  await assert.rejects(sim.run(10), /enough/)
  await sim.close()
})
