/** What holds for every set of members: names of any characters, any weights and zones, any parameters. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { shareBounds } from '../../src/ring/partitions.ts'
import {
  buildRing,
  type RingMember,
  type RingTable,
  ringDefaults,
  ringDifference,
} from '../../src/ring/ring.ts'
import { seededMembers } from '../ring/members.ts'

const params = fc.record({
  partitions: fc.constantFrom(16, 64, 256, 1024),
  points: fc.integer({ min: 1, max: 40 }),
  bound: fc.constantFrom(1, 1.02, 1.05, 1.25, 2),
})
const member: fc.Arbitrary<RingMember> = fc.record({
  name: fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.string({ maxLength: 40 })),
  weight: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.constantFrom(0, 0.01, 0.5, 2, 3.7, 100)),
  zone: fc.constantFrom('', 'a', 'b', 'c'),
})
const members = (minLength = 0): fc.Arbitrary<RingMember[]> =>
  fc.uniqueArray(member, { selector: ({ name }) => name, minLength, maxLength: 14 })

function allOwners(table: RingTable): (string | undefined)[] {
  return Array.from({ length: table.params.partitions }, (_, partition) => table.ownerOf(partition))
}

test('the table does not depend on the order of the members', () => {
  const shuffled = members().chain((all) =>
    fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
  )
  fc.assert(
    fc.property(params, shuffled, (ring, [one, other]) => {
      const [a, b] = [buildRing(ring, one), buildRing(ring, other)]
      assert.deepEqual(allOwners(a), allOwners(b))
      assert.equal(a.digest, b.digest)
    }),
  )
})

test('the table does not depend on the one before it, whatever that was', () => {
  fc.assert(
    fc.property(params, params, members(), members(), fc.boolean(), (ring, before, all, others, same) => {
      // Members of the old table that stay, some under another weight, and strangers.
      const stay = all.filter((_, index) => index % 2 === 0)
      const old = others.concat(
        stay.map((each, index) => (index % 2 === 0 ? each : { ...each, weight: 1 + (each.weight % 2) })),
      )
      const unique = [...new Map(old.map((each) => [each.name, each])).values()]
      const previous = buildRing(same ? ring : before, unique)
      const [fresh, merged] = [buildRing(ring, all), buildRing(ring, all, previous)]
      assert.deepEqual(allOwners(merged), allOwners(fresh))
      assert.equal(merged.digest, fresh.digest)
      for (let p = 0; p < 16; p++) assert.deepEqual(merged.owners(p, 4), fresh.owners(p, 4))
    }),
  )
})

test('every partition has an owner within that member’s bounds', () => {
  fc.assert(
    fc.property(params, members(1), (ring, all) => {
      const table = buildRing(ring, all)
      const weights = table.members.map(({ weight }) => weight)
      if (weights.every((weight) => weight === 0)) return
      const bounds = shareBounds(weights, ring.partitions, ring.bound)
      const shares = table.members.map(({ name }) => table.share(name))
      assert.equal(
        shares.reduce((sum, share) => sum + share, 0),
        ring.partitions,
      )
      for (const [index, share] of shares.entries()) {
        assert.ok(share <= bounds.most[index]! && share >= bounds.least[index]!)
      }
    }),
  )
})

test('the difference is exactly what changed, and a member that left owns nothing', () => {
  fc.assert(
    fc.property(params, members(1), fc.nat(), (ring, all, pick) => {
      const gone = all[pick % all.length]!
      const before = buildRing(ring, all)
      const after = buildRing(
        ring,
        all.filter((each) => each !== gone),
        before,
      )
      assert.equal(after.share(gone.name), 0)
      const owners = allOwners(before)
      let last = -1
      for (const { partition, from, to } of ringDifference(before, after)) {
        assert.ok(partition > last && from !== to)
        assert.equal(owners[partition], from)
        owners[partition] = to
        last = partition
      }
      assert.deepEqual(owners, allOwners(after))
      assert.ok(!owners.includes(gone.name))
      assert.deepEqual(ringDifference(before, before), [])
    }),
  )
})

test('preference lists hold distinct members of weight, the owner first, new zones before known ones', () => {
  fc.assert(
    fc.property(params, members(), fc.integer({ min: 0, max: 16 }), (ring, all, n) => {
      const table = buildRing(ring, all)
      const zoneOf = new Map(all.map(({ name, zone }) => [name, zone]))
      const weighted = all.filter(({ weight }) => weight > 0)
      const zones = new Set(weighted.map(({ zone }) => zone)).size
      for (let partition = 0; partition < ring.partitions; partition += 7) {
        const owners = table.owners(partition, n)
        assert.equal(owners.length, Math.min(n, weighted.length))
        assert.equal(new Set(owners).size, owners.length)
        if (n > 0) assert.equal(owners[0], table.ownerOf(partition))
        const spread = owners.slice(0, zones).map((name) => zoneOf.get(name))
        assert.equal(new Set(spread).size, spread.length)
        assert.deepEqual(table.owners(partition, 16).slice(0, n), owners)
      }
    }),
  )
})

test('digests are equal for equal members and differ for others', () => {
  fc.assert(
    fc.property(params, members(), members(), (ring, one, other) => {
      const rows = (all: RingMember[]): string =>
        JSON.stringify(
          all.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((m) => [m.name, m.weight, m.zone]),
        )
      const equal = rows(one) === rows(other)
      assert.equal(buildRing(ring, one).digest === buildRing(ring, other).digest, equal)
      assert.equal(
        buildRing(ring, one).digest,
        buildRing(
          ring,
          one.map((each) => ({ ...each })),
        ).digest,
      )
    }),
  )
})

test('with the defaults a join moves partitions to the joiner, and few between those who were there', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.nat(1e6), (size, seed) => {
      const all = seededMembers(seed, size + 1)
      const before = buildRing(ringDefaults, all.slice(1))
      const after = buildRing(ringDefaults, all, before)
      const moves = ringDifference(before, after)
      const toOthers = moves.filter(({ to }) => to !== all[0]!.name).length
      assert.ok(toOthers <= 0.2 * moves.length, `${toOthers} of ${moves.length} between survivors`)
      assert.equal(moves.length - toOthers, after.share(all[0]!.name))
    }),
    { numRuns: 40 },
  )
})
