import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLinkMs } from '../../src/rpc/breaker.ts'
import { introduce, TestCall, TestNode, World } from './world.ts'

test('a duplicate whose other end has lost it unheard is closed, and what ran for it is given up', () => {
  const world = new World()
  const ann = new TestNode(world, 'ann')
  const bob = new TestNode(world, 'bob')
  introduce(ann, bob)
  const call = (from: TestNode, to: string): TestCall => {
    const one = new TestCall(world, 'hi', { timeoutMs: 100_000 })
    from.peers.call(to, one, one)
    world.run()
    return one
  }
  // Bob dials, and ann calls him on that connection; his handler waits.
  assert.equal(call(bob, 'ann').replies.length, 1)
  bob.hold = true
  const held = call(ann, 'bob')
  assert.equal(bob.held.length, 1)
  // Something in the middle forgets the connection, and tells ann alone.
  const [lost] = ann.streams
  bob.streams[0]!.other = undefined
  lost!.other = undefined
  lost!.close('reset')
  world.run()
  assert.equal(held.code, 'DISCONNECTED')
  bob.hold = false
  assert.equal(call(ann, 'bob').replies.length, 1, 'ann has dialled anew, and hers is the one that stays')
  world.run(silentLinkMs - 100)
  assert.equal(bob.held[0]?.cancelled, false)
  world.run(200)
  assert.equal(bob.held[0]?.cancelled, true)
  assert.equal(bob.peers.stats.connections, 1)
  assert.equal(call(bob, 'ann').replies.length, 1)
})
