import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isShoalError } from '../../src/errors.ts'
import { hashKey } from '../../src/ring/hash.ts'
import {
  buildRing,
  paramsDigest,
  type RingParams,
  type RingTable,
  ringDefaults,
  ringDifference,
  ringPointsMax,
} from '../../src/ring/ring.ts'
import { OwnerTable } from '../../src/ring/table.ts'
import { member, seededMembers } from './members.ts'

const small: RingParams = { partitions: 256, points: 16, bound: 1.05 }

function allOwners(table: RingTable): (string | undefined)[] {
  return Array.from({ length: table.params.partitions }, (_, partition) => table.ownerOf(partition))
}

function refused(build: () => unknown, pattern: RegExp): void {
  assert.throws(build, (error) => {
    assert.ok(isShoalError(error) && error.code === 'ERR_SHOAL_OPTION')
    assert.match(error.message, pattern)
    return true
  })
}

test('a table made from the one before it is the table made from nothing, also after a change of weight', () => {
  const before = [member('a'), member('b'), member('c')]
  const after = [member('a'), { ...member('b'), weight: 3 }, member('c')]
  const merged = buildRing(small, after, buildRing(small, before))
  assert.deepEqual(allOwners(merged), allOwners(buildRing(small, after)))
  assert.ok(merged.share('b') > 128)
})

test('an empty ring has partitions and no owner', () => {
  const table = buildRing(ringDefaults, [])
  assert.equal(table.lookup('key'), undefined)
  assert.equal(table.ownerOf(table.partitionOf('key')), undefined)
  assert.deepEqual(table.owners(0, 3), [])
  assert.deepEqual(table.explain(0), [])
  assert.equal(table.share('nobody'), 0)
})

test('one member owns everything, and the first member takes every partition from nobody', () => {
  const table = buildRing(small, [member('a')])
  assert.equal(table.share('a'), 256)
  const moves = ringDifference(buildRing(small, []), table)
  assert.equal(moves.length, 256)
  assert.deepEqual(moves[0], { partition: 0, from: undefined, to: 'a' })
  assert.equal(ringDifference(table, buildRing(small, [])).at(-1)?.to, undefined)
})

test('a key lies in the slice that the top bits of its hash name', () => {
  const table = buildRing(ringDefaults, seededMembers(1, 5))
  for (const key of ['', 'user-42', 'naïve', '\u{1f41f}'.repeat(40)]) {
    const partition = table.partitionOf(key)
    assert.equal(partition, Math.floor((hashKey(key) / 2 ** 32) * ringDefaults.partitions))
    assert.equal(table.lookup(key), table.ownerOf(partition))
  }
})

test('a partition that does not exist has no owner', () => {
  const table = buildRing(small, [member('a')])
  for (const partition of [-1, 256, 0.5, Number.NaN]) {
    assert.equal(table.ownerOf(partition), undefined)
    assert.deepEqual(table.owners(partition, 1), [])
    assert.deepEqual(table.explain(partition), [])
  }
})

test('a member of weight 0 owns nothing, holds no copy, and alone leaves the ring empty', () => {
  const table = buildRing(small, [member('a', 0), member('b'), member('c')])
  assert.equal(table.share('a'), 0)
  assert.equal(table.share('b') + table.share('c'), 256)
  for (let partition = 0; partition < 256; partition++) {
    assert.equal(table.owners(partition, 3).length, 2)
    assert.ok(!table.explain(partition).some(({ name }) => name === 'a'))
  }
  assert.equal(buildRing(small, [member('a', 0)]).lookup('key'), undefined)
  assert.equal(table.members.length, 3)
})

test('names and indexes whose concatenations are equal do not share points', () => {
  const colliding = ['1.2.3.4:5', '1.2.3.4:55', '1.2.3.4:555', '1.2.3.4:5555'].map((name) => member(name))
  const table = buildRing(ringDefaults, colliding)
  assert.ok(table instanceof OwnerTable)
  const { positions } = table.points
  assert.ok(new Set(positions).size > 0.999 * positions.length, 'four members share points as strangers do')
  for (const { name } of colliding) assert.ok(table.share(name) >= 0.95 * (ringDefaults.partitions / 4))
})

test('members whose every point coincides are told apart by name', () => {
  // Lone surrogates have no UTF-8 form of their own, so these two names hash alike.
  const twins = [member('node-\ud801'), member('node-\ud800')]
  const table = buildRing(small, twins)
  assert.deepEqual(allOwners(table), allOwners(buildRing(small, twins.toReversed())))
  assert.equal(table.members[0]?.name, 'node-\ud800')
  assert.ok(Math.abs(table.share('node-\ud800') - 128) <= 6)
  const alone = buildRing(small, [twins[0]!], table)
  assert.equal(alone.share('node-\ud801'), 256)
})

test('copies go to other zones first, and to the same zone once all zones hold one', () => {
  const members = ['a', 'b', 'c'].flatMap((zone) => [1, 2, 3].map((i) => member(`${zone}${i}`, 1, zone)))
  const table = buildRing(ringDefaults, members)
  for (let partition = 0; partition < ringDefaults.partitions; partition += 97) {
    const owners = table.owners(partition, 5)
    assert.equal(owners[0], table.ownerOf(partition))
    assert.equal(new Set(owners.slice(0, 3).map((name) => name[0])).size, 3)
    assert.equal(new Set(owners).size, 5)
    assert.deepEqual(table.owners(partition, 2), owners.slice(0, 2))
    assert.equal(table.owners(partition, 99).length, 9)
  }
  assert.deepEqual(table.owners(0, 0), [])
  assert.deepEqual(table.owners(0, Number.NaN), [])
})

test('the owner that leaves is nearly always followed by the next on the preference list', (t) => {
  const members = seededMembers(3, 50)
  const before = buildRing(ringDefaults, members)
  let second = 0
  let total = 0
  for (const gone of members.slice(0, 5)) {
    const after = buildRing(
      ringDefaults,
      members.filter(({ name }) => name !== gone.name),
      before,
    )
    for (const { partition, from, to } of ringDifference(before, after)) {
      if (from !== gone.name) continue
      total++
      if (before.owners(partition, 2)[1] === to) second++
    }
  }
  t.diagnostic(`${((100 * second) / total).toFixed(1)} %`)
  assert.ok(second / total > 0.9)
})

test('explain names every candidate once and says why those before the owner were passed over', () => {
  const table = buildRing({ partitions: 1024, points: 32, bound: 1.02 }, seededMembers(5, 12))
  const seen = new Set<string>()
  for (let partition = 0; partition < 1024; partition++) {
    const candidates = table.explain(partition)
    assert.equal(new Set(candidates.map(({ name }) => name)).size, 12)
    const owner = candidates.findIndex(({ verdict }) => verdict === 'owner')
    assert.equal(candidates[owner]?.name, table.ownerOf(partition))
    for (const [rank, { verdict }] of candidates.entries()) {
      seen.add(verdict)
      if (rank > owner) assert.equal(verdict, 'next')
    }
    const first = candidates[0]!.verdict
    assert.ok(first === 'owner' || first === 'full' || first === 'gave')
    const gave = candidates.findIndex(({ verdict }) => verdict === 'gave')
    if (gave >= 0) assert.ok(candidates.slice(0, gave).every(({ verdict }) => verdict === 'full'))
  }
  assert.deepEqual([...seen].sort(), ['full', 'gave', 'next', 'owner'])
})

test('a table and its members cannot be changed', () => {
  const mine = { name: 'a', weight: 1, zone: '' }
  const params = { ...small }
  const table = buildRing(params, [mine])
  const { digest } = table
  mine.weight = 5
  params.points = 99
  assert.equal(table.members[0]?.weight, 1)
  assert.equal(table.params.points, 16)
  assert.ok(
    Object.isFrozen(table.members) && Object.isFrozen(table.members[0]) && Object.isFrozen(table.params),
  )
  assert.equal(buildRing(small, [member('a')]).digest, digest)
})

test('the digest tells apart names, weights, zones and parameters', () => {
  const digests = [
    buildRing(small, [member('a'), member('b')]),
    buildRing(small, [member('a'), member('c')]),
    buildRing(small, [member('a'), member('b', 2)]),
    buildRing(small, [member('a'), member('b', 1, 'z')]),
    buildRing(small, [member('ab')]),
    buildRing(small, []),
    buildRing({ ...small, points: 17 }, [member('a'), member('b')]),
    buildRing({ ...small, bound: 1.06 }, [member('a'), member('b')]),
    buildRing({ ...small, partitions: 512 }, [member('a'), member('b')]),
  ].map(({ digest }) => digest)
  assert.equal(new Set(digests).size, digests.length)
  for (const digest of digests) assert.equal(digest, digest >>> 0)
})

test('the digest of the parameters is eight hex digits and changes with each of them', () => {
  const digests = [small, { ...small, points: 17 }, { ...small, bound: 1.06 }, { ...small, partitions: 512 }]
  assert.equal(new Set(digests.map(paramsDigest)).size, 4)
  assert.match(paramsDigest(ringDefaults), /^[0-9a-f]{8}$/)
  assert.equal(paramsDigest({ ...ringDefaults }), paramsDigest(ringDefaults))
})

test('tables of different numbers of partitions cannot be compared', () => {
  refused(
    () => ringDifference(buildRing(small, []), buildRing({ ...small, partitions: 512 }, [])),
    /ring\.partitions must be 256, as in the table compared with, not 512/,
  )
})

test('parameters out of range are refused with name, range and value', () => {
  for (const partitions of [0, 8, 100, 2 ** 21, -16, Number.NaN, 16.5]) {
    refused(
      () => buildRing({ ...small, partitions }, []),
      /ring\.partitions must be a power of two from 16 to 1048576, not /,
    )
  }
  for (const points of [0, 1.5, 4097, Number.NaN]) {
    refused(() => paramsDigest({ ...small, points }), /ring\.points must be an integer from 1 to 4096, not /)
  }
  for (const bound of [0.99, 2.01, Number.NaN]) {
    refused(() => buildRing({ ...small, bound }, []), /ring\.bound must be a number from 1 to 2, not /)
  }
})

test('members out of range are refused with name, range and value', () => {
  for (const weight of [-1, 0.001, 101, Number.NaN, Number.POSITIVE_INFINITY]) {
    refused(
      () => buildRing(small, [member('a', weight)]),
      /weight of "a" must be 0 or a number from 0\.01 to 100, not /,
    )
  }
  refused(
    () => buildRing(small, [member('a'), member('b'), member('a')]),
    /ring members must be of distinct names, not a/,
  )
  const many = Array.from({ length: 65536 }, (_, i) => member(`m${i}`))
  refused(() => buildRing(small, many), /ring members must be at most 65535, not 65536/)
})

test('a ring never holds more than its maximum of points: beyond it every member places fewer', () => {
  const params = { partitions: 1024, points: 4096, bound: 1.05 }
  const members = Array.from({ length: 513 }, (_, i) => member(`m${i}`))
  const full = buildRing(params, members.slice(1))
  const thinned = buildRing(params, members, full)
  assert.ok(full instanceof OwnerTable && thinned instanceof OwnerTable)
  assert.equal(full.points.positions.length, ringPointsMax)
  assert.equal(thinned.points.positions.length, 513 * 2048)
  assert.deepEqual(allOwners(thinned), allOwners(buildRing(params, members)))
})
