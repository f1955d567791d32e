import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/sim/random.ts'
import { Members, state } from '../../src/swim/members.ts'
import { PeerRegistry } from '../../src/swim/peers.ts'

const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0)

function fill(members: Members, count: number, random: SeededRandom): void {
  for (let i = 0; i < count; i += 1) {
    const peer = members.add(`member-${i}`, 0, random)
    members.setFacet(peer, Uint8Array.of(10, 0, i >> 8, i & 255), 7946, vsn, undefined)
    members.setIncarnation(peer, 1)
    members.setState(peer, state.alive, 0)
  }
}

test('a view of 10,000 members costs 13 bytes a member beyond what views share', () => {
  const random = new SeededRandom(1)
  const registry = new PeerRegistry()
  const views = Array.from({ length: 5 }, () => new Members(registry))
  for (const view of views) fill(view, 10_000, random)
  for (const view of views) assert.ok(view.byteLength <= 10_000 * 16.5, `${view.byteLength} bytes`)
  assert.equal(registry.size, 10_000)
  assert.equal(registry.facetCount, 10_000)
})

test('what no view holds is gone, and its place is used again', () => {
  const random = new SeededRandom(2)
  const registry = new PeerRegistry()
  const one = new Members(registry)
  const two = new Members(registry)
  fill(one, 10, random)
  fill(two, 5, random)
  one.clear()
  assert.equal(registry.size, 5)
  assert.equal(registry.facetCount, 5)
  two.setFacet(two.find('member-0'), Uint8Array.of(1, 2, 3, 4), 1, vsn, Uint8Array.of(9))
  assert.equal(registry.facetCount, 5)
  two.clear()
  assert.equal(registry.size, 0)
  assert.equal(registry.facetCount, 0)
  fill(one, 10, random)
  assert.deepEqual([one.count, one.aliveCount, registry.size], [10, 10, 10])
})

test('each round of the probe list names every live member but us once', () => {
  const random = new SeededRandom(3)
  const members = new Members(new PeerRegistry())
  fill(members, 20, random)
  const self = members.find('member-7')
  members.setState(members.find('member-3'), state.dead, 0)
  for (let round = 0; round < 10; round += 1) {
    const names = new Set<string>()
    for (let i = 0; i < 18; i += 1) {
      names.add(members.name(members.nextProbe(self, 0, random, () => false)))
    }
    // The first round is entered in the middle of an unshuffled list, so only complete rounds are judged.
    assert.equal(names.size, 18)
    assert.ok(!names.has('member-7') && !names.has('member-3'))
  }
})

test('each round of the probe list has an order of its own', () => {
  const random = new SeededRandom(8)
  const members = new Members(new PeerRegistry())
  fill(members, 20, random)
  const round = (): string =>
    Array.from({ length: 20 }, () => members.nextProbe(-1, 0, random, () => false)).join()
  round()
  assert.equal(new Set([round(), round(), round()]).size, 3)
})

test('a purged member is a tombstone with its incarnation until that expires', () => {
  const random = new SeededRandom(4)
  const members = new Members(new PeerRegistry())
  fill(members, 3, random)
  const peer = members.find('member-2')
  members.setState(peer, state.dead, 0)
  members.setIncarnation(peer, 77)
  const self = members.find('member-0')
  for (let i = 0; i < 4; i += 1) members.nextProbe(self, 1000, random, (dead) => dead === peer)
  assert.deepEqual([members.count, members.tombstoneCount], [2, 1])
  assert.equal(members.state(members.find('member-2')), state.tombstone)
  assert.equal(members.incarnation(peer), 77)
  members.expireTombstones(1999, 1000, 10)
  assert.equal(members.find('member-2'), peer)
  members.expireTombstones(2000, 1000, 10)
  assert.equal(members.find('member-2'), -1)
  assert.equal(members.registry.size, 2)
})

test('a name that is buried twice is forgotten once', () => {
  const random = new SeededRandom(5)
  const members = new Members(new PeerRegistry())
  fill(members, 2, random)
  const self = members.find('member-0')
  for (let life = 0; life < 5; life += 1) {
    const peer = life === 0 ? members.find('member-1') : members.add('member-1', life, random)
    members.setFacet(peer, Uint8Array.of(10, 0, 0, life), 1, vsn, undefined)
    members.setState(peer, state.dead, life)
    for (let i = 0; i < 4; i += 1) members.nextProbe(self, life, random, (dead) => dead === peer)
  }
  assert.equal(members.tombstoneCount, 5)
  members.expireTombstones(10_000, 1000, 10)
  assert.equal(members.find('member-1'), -1)
  assert.deepEqual([members.tombstoneCount, members.registry.size, members.registry.facetCount], [0, 1, 1])
})

test('tables that say the same share one image, and what changed is in the next', () => {
  const random = new SeededRandom(4)
  const registry = new PeerRegistry()
  const one = new Members(registry)
  const two = new Members(registry)
  fill(one, 50, random)
  two.copy(one, random)
  const image = one.heldTable()
  assert.equal(image?.nodes.length, 50)
  assert.equal(two.heldTable(), image)
  two.setIncarnation(two.find('member-7'), 2)
  const next = two.heldTable()
  assert.equal(next?.nodes.find(({ name }) => name === 'member-7')?.incarnation, 2)
  assert.equal(one.heldTable()?.nodes.find(({ name }) => name === 'member-7')?.incarnation, 1)
  two.setState(two.find('member-8'), state.suspect, 0)
  assert.deepEqual(
    two.heldTable()?.suspects.map(({ name }) => name),
    ['member-8'],
  )
  two.clear()
  assert.equal(two.heldTable()?.nodes.length, 0)
})

test('an image does not outlive the ids it speaks in', () => {
  const random = new SeededRandom(5)
  const members = new Members(new PeerRegistry())
  fill(members, 3, random)
  assert.equal(members.heldTable()?.nodes.length, 3)
  members.clear()
  // The same ids with other names and facts, and the same numbers in the columns.
  for (const name of ['x', 'y', 'z']) {
    const peer = members.add(name, 0, random)
    members.setFacet(peer, Uint8Array.of(10, 9, 9, 9), 1, vsn, undefined)
    members.setIncarnation(peer, 1)
    members.setState(peer, state.alive, 0)
  }
  assert.deepEqual(
    members
      .heldTable()
      ?.nodes.map(({ name }) => name)
      .sort(),
    ['x', 'y', 'z'],
  )
})

test('members who know the same send the same table, whatever they learned first', () => {
  const random = new SeededRandom(6)
  const tables = [
    ['a', 'c', 'b'],
    ['x', 'b', 'c', 'a'],
  ].map((names) => {
    const members = new Members(new PeerRegistry())
    for (const name of names) {
      const peer = members.add(name, 0, random)
      members.setFacet(peer, Uint8Array.of(10, 0, 0, name.charCodeAt(0)), 7946, vsn, undefined)
      members.setIncarnation(peer, 1)
      members.setState(peer, state.alive, 0)
    }
    return members
  })
  const [one, two] = tables as [Members, Members]
  assert.notDeepEqual(one.heldTable()?.bytes, two.heldTable()?.bytes)
  two.setState(two.find('x'), state.dead, 0)
  two.nextProbe(-1, 1, random, () => true)
  for (let i = 0; i < 4; i += 1) two.nextProbe(-1, 1, random, () => true)
  assert.deepEqual(one.heldTable()?.bytes, two.heldTable()?.bytes)
})
