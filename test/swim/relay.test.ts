import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressOf, Lone } from './lone.ts'

/** Asks it, as a member at place 1, to ping x at place 2; the number of its own ping to x. */
function ask(lone: Lone, nack: boolean): number {
  const target = Uint8Array.of(10, 66, 0, 2)
  const sourceAddr = Uint8Array.of(10, 66, 0, 1)
  const asker = { nack, sourceAddr, sourcePort: 7946, sourceNode: 'asker' }
  lone.tell(addressOf(1), { type: 'indirectPing', seqNo: 42, target, port: 7946, node: 'x', ...asker })
  const [ping] = lone.sentTo(addressOf(2))
  assert.ok(ping?.type === 'ping' && ping.node === 'x')
  lone.forget()
  return ping.seqNo
}

function answers(lone: Lone): string[] {
  const found: string[] = []
  for (const message of lone.sentTo(addressOf(1)))
    if (message.type === 'ack' || message.type === 'nack') found.push(`${message.type} ${message.seqNo}`)
  return found
}

test('a helper pings whom it is asked to, hands the ack on under the number of the asker, and says no more', () => {
  const lone = new Lone()
  const seqNo = ask(lone, true)
  assert.notEqual(seqNo, 42)
  lone.tell(addressOf(2), { type: 'ack', seqNo, payload: undefined })
  assert.deepEqual(answers(lone), ['ack 42'])
  lone.tell(addressOf(2), { type: 'ack', seqNo, payload: undefined })
  lone.world.run(2_000)
  assert.deepEqual(answers(lone), ['ack 42'])
})

test('a helper that hears nothing says so at four fifths of the probe timeout; a later ack is handed on all the same', () => {
  const lone = new Lone()
  const seqNo = ask(lone, true)
  lone.world.run(399)
  assert.deepEqual(answers(lone), [])
  lone.world.run(1)
  assert.deepEqual(answers(lone), ['nack 42'])
  lone.world.run(50)
  lone.tell(addressOf(2), { type: 'ack', seqNo, payload: undefined })
  assert.deepEqual(answers(lone), ['nack 42', 'ack 42'])
})

test('who did not ask for a nack gets none, and after the probe timeout nothing at all', () => {
  const lone = new Lone()
  const seqNo = ask(lone, false)
  lone.world.run(500)
  lone.tell(addressOf(2), { type: 'ack', seqNo, payload: undefined })
  assert.deepEqual(answers(lone), [])
})

test('a helper that slept does not say that it heard nothing', () => {
  const lone = new Lone()
  ask(lone, true)
  lone.node.pause()
  lone.world.run(3_000)
  lone.node.resume()
  lone.world.run(3_000)
  assert.deepEqual(answers(lone), [])
})
