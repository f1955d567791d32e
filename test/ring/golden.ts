/**
 * Golden tables: what a set of members and parameters must give in every version, for ever. A running cluster
 * is upgraded node by node, and both versions must name the same owners. `node dist/test/ring/golden.js` adds
 * files for cases that have none; it never changes one that exists. A wrong golden table is not corrected
 * either: the rule gets a new version (src/ring/table.ts), and with it other digests.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import {
  buildRing,
  paramsDigest,
  type RingMember,
  type RingParams,
  type RingTable,
  ringDefaults,
} from '../../src/ring/ring.ts'
import { member, seededMembers, seededNumbers } from './members.ts'

/** Beside the sources, not beside the compiled test. */
export const goldenFolder: string = join(import.meta.dirname, '../../../test/ring/golden')

/** One file. Inputs are written out, so that it stands by itself. */
export interface Golden {
  readonly params: RingParams
  readonly members: readonly (readonly [name: string, weight: number, zone: string])[]
  readonly paramsDigest: string
  readonly digest: number
  /** Members by name; each partition's number in it as two bytes, little-endian (65,535: nobody); raw deflate; base64. */
  readonly owners: string
  /** Key, partition, owner and preference list of four. */
  readonly keys: readonly (readonly [
    key: string,
    partition: number,
    owner: string | null,
    list: readonly string[],
  ])[]
}

const keys = [
  '',
  'a',
  'user-42',
  'cart/0123456789abcdef',
  'naïve',
  '魚群',
  '\u{1f41f}',
  '\ud800',
  'k'.repeat(25),
]
const longKeys = ['k'.repeat(97), 'é'.repeat(200), 'x'.repeat(5000)]

/** The column of owners as bytes: see `Golden.owners`. */
export function ownerBytes(table: RingTable): Uint8Array {
  const numbers = new Map(table.members.map(({ name }, number) => [name, number]))
  const bytes = new DataView(new ArrayBuffer(2 * table.params.partitions))
  for (let partition = 0; partition < table.params.partitions; partition++) {
    const owner = table.ownerOf(partition)
    bytes.setUint16(2 * partition, owner === undefined ? 0xffff : numbers.get(owner)!, true)
  }
  return new Uint8Array(bytes.buffer)
}

/** What the code makes of the inputs of a golden file now. */
export function goldenKeys(table: RingTable): Golden['keys'] {
  return [...keys, ...longKeys].map((key) => {
    const partition = table.partitionOf(key)
    return [key, partition, table.lookup(key) ?? null, table.owners(partition, 4)] as const
  })
}

function goldenCases(): Map<string, { params: RingParams; members: RingMember[] }> {
  const next = seededNumbers(2026)
  const weighted = Array.from({ length: 20 }, (_, i) =>
    member(`shoal-${i}`, [0, 0.25, 0.5, 1, 1, 1, 2, 3.3, 8][next(9)], ['', 'eu-a', 'eu-b', 'us'][next(4)]),
  )
  const odd = ['1.2.3.4:5', '1.2.3.4:55', 'é', 'e\u0301', '\ufffd', '\ud800', '\u{1f41f}', ' ', ''].map(
    (name) => member(name),
  )
  const few = { partitions: 4096, points: 64, bound: 1.1 }
  return new Map([
    ['empty', { params: few, members: [] }],
    ['defaults-1', { params: ringDefaults, members: seededMembers(1, 1) }],
    ['defaults-2', { params: ringDefaults, members: seededMembers(2, 2) }],
    ['defaults-3', { params: ringDefaults, members: seededMembers(3, 3) }],
    ['defaults-10', { params: ringDefaults, members: seededMembers(10, 10) }],
    ['defaults-100', { params: ringDefaults, members: seededMembers(100, 100) }],
    ['defaults-weights-zones', { params: ringDefaults, members: weighted }],
    ['few-30', { params: few, members: seededMembers(30, 30) }],
    ['few-1000', { params: few, members: seededMembers(1000, 1000) }],
    ['few-odd-names', { params: few, members: odd }],
    ['exact-weights', { params: { partitions: 1024, points: 7, bound: 1 }, members: weighted }],
    ['loose', { params: { partitions: 16384, points: 256, bound: 2 }, members: seededMembers(12, 12) }],
    ['fewest', { params: { partitions: 16, points: 1, bound: 1.25 }, members: seededMembers(5, 40) }],
  ])
}

function writeMissing(): void {
  mkdirSync(goldenFolder, { recursive: true })
  for (const [name, { params, members }] of goldenCases()) {
    const file = join(goldenFolder, `${name}.json`)
    if (existsSync(file)) continue
    const table = buildRing(params, members)
    const golden: Golden = {
      params,
      members: members.map(({ name, weight, zone }) => [name, weight, zone]),
      paramsDigest: paramsDigest(params),
      digest: table.digest,
      owners: deflateRawSync(ownerBytes(table), { level: 9 }).toString('base64'),
      keys: goldenKeys(table),
    }
    const lines = Object.entries(golden).map(
      ([field, value]) => `${JSON.stringify(field)}: ${JSON.stringify(value)}`,
    )
    writeFileSync(file, `{\n${lines.join(',\n')}\n}\n`)
    console.log(`wrote ${file}`)
  }
}

if (process.argv[1] === import.meta.filename) writeMissing()
