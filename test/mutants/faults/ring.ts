/** From members to owners, alike everywhere (ring). */
import type { Mutant } from '../mutant.ts'

const points = 'src/ring/points.ts'
const partitions = 'src/ring/partitions.ts'
const ring = 'src/ring/ring.ts'
const table = 'src/ring/table.ts'

export const ringFaults: readonly Mutant[] = [
  {
    id: 'ring/tie-of-points-broken-otherwise',
    file: points,
    find: 'other === position && added.members[a] > member',
    replace: 'other === position && added.members[a] < member',
    why: 'points of one place are ordered by name, whoever came first',
    tests: ['ring/partitions'],
  },
  {
    id: 'ring/members-sorted-otherwise',
    file: ring,
    find: 'a.name < b.name ? -1 : a.name > b.name ? 1 : 0',
    replace: 'a.name < b.name ? 1 : a.name > b.name ? -1 : 0',
    why: 'equal members make equal tables, in every version',
    tests: ['ring/golden', 'ring/ring'],
  },
  {
    id: 'ring/bound-ignored-upwards',
    file: partitions,
    find: 'Math.max(Math.ceil(fair), Math.floor(fair * bound))',
    replace: 'partitions',
    why: 'nobody owns more than bound times its share',
    tests: ['ring/golden', 'ring/partitions'],
  },
  {
    id: 'ring/bound-ignored-downwards',
    file: partitions,
    find: 'fillShort(points, bounds.least, owners);',
    replace: ';',
    why: 'nobody owns less than 2 - bound times its share',
    tests: ['ring/golden', 'ring/partitions'],
  },
  {
    id: 'ring/full-member-takes-one-more',
    file: partitions,
    find: 'if (room[member] > 0) {',
    replace: 'if (room[member] >= 0) {',
    why: 'a full member stays full',
    tests: ['ring/golden', 'ring/partitions'],
  },
  {
    id: 'ring/weight-ignored',
    file: ring,
    find: 'Math.round(weight * density)',
    replace: 'Math.round(density)',
    why: 'points follow weight',
    tests: ['ring/golden'],
  },
  {
    id: 'ring/weight-zero-has-a-point',
    file: ring,
    find: 'return weight === 0 ? 0 :',
    replace: 'return weight === 0 ? 1 :',
    why: 'an observer owns nothing and holds no copy',
    tests: ['ring/ring'],
  },
  {
    id: 'ring/reweighted-member-keeps-its-points',
    file: ring,
    find: '&& previous?.members[known]?.weight === weight',
    replace: '',
    why: 'a table made from the one before it is the table made from nothing',
    tests: ['ring/ring'],
  },
  {
    id: 'ring/digest-without-zone',
    file: table,
    find: '[name, weight, zone]',
    replace: '[name, weight]',
    why: 'the digest tells apart all that the table depends on',
    tests: ['ring/ring', 'ring/golden'],
  },
  {
    id: 'ring/parameters-without-bound',
    file: table,
    find: '[hashName, ruleVersion, partitions, points, bound]',
    replace: '[hashName, ruleVersion, partitions, points]',
    why: 'nodes of other ring parameters stay off the ring',
    tests: ['ring/ring'],
  },
  {
    id: 'ring/copies-in-one-zone',
    file: table,
    find: 'if (zones.has(zone)) rest.push(member);',
    replace: 'if (false) rest.push(member);',
    why: 'copies go to other zones first',
    tests: ['ring/ring'],
  },
  {
    id: 'ring/key-in-the-next-partition',
    file: table,
    find: 'return hashKey(key) >>> this.#shift;',
    replace: 'return hashKey(key) >>> (this.#shift - 1);',
    why: 'a key lies in the slice that the top bits of its hash name',
    tests: ['ring/ring'],
  },
  {
    id: 'ring/first-partition-of-nobody-not-told',
    file: table,
    find: 'if (from === nobody ? to === nobody : renumber[from] === to)',
    replace: 'if (from === nobody || renumber[from] === to)',
    why: 'the first member takes every partition, and is told so',
    tests: ['ring/ring'],
  },
]
