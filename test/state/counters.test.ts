/** Numbers that grow over the life of a cluster have one bound, and whoever is told one at the bound goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '../../src/state/config.ts'
import { Copy } from '../../src/state/copy.ts'
import { unknownCounter } from '../../src/state/custody-io.ts'
import { counterAfter, counterMax } from '../../src/state/fields.ts'
import { readGrant, writeGrant } from '../../src/state/grant.ts'
import { readLineage } from '../../src/state/lineage.ts'
import { packPartitions, readAsk, readReply } from '../../src/state/messages.ts'
import { Packer, unpack } from '../../src/state/packed.ts'
import { RecordLog } from '../../src/state/record-log.ts'
import { readRecords, removedRecord, writeRecord } from '../../src/state/records.ts'
import * as replica from '../../src/state/replica-reader.ts'
import { Tenure } from '../../src/state/tenure.ts'
import { bytes, given, Stand, seat } from './replication-stand.ts'

const list = (counter: number, revision = 0) => ({
  epoch: { counter, boot: 'boot-a' },
  revision,
  seats: [seat('a')],
  acks: 1,
})

test('what reads a counter reads it up to the same bound, and no further', () => {
  const none = packPartitions([])
  const digest = { count: 0, xor: 0, sum: 0 }
  const claimed = (counter: number, at: number): unknown =>
    readReply(['claimed', 'b', none, [['n', 'b', none, at, false]], none, counter, 0, []], 16)
  const record = (counter: number, version: number): true => {
    readRecords(writeRecord(removedRecord({ key: 'k', epoch: { counter, boot: 'b' }, version })), {
      key: () => {},
      caller: () => {},
    })
    return true
  }
  const packed = (version: number): unknown => {
    const raw = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 107])
    new DataView(raw.buffer).setUint16(2, Math.floor(version / 2 ** 32))
    new DataView(raw.buffer).setUint32(4, version >>> 0)
    return unpack(raw)
  }
  const readers: Record<string, (counter: number) => unknown> = {
    'epoch of a list': (counter) => readConfig(list(counter)),
    'revision of a list': (revision) => readConfig(list(1, revision)),
    lineage: (counter) => readLineage([{ epoch: { counter, boot: 'b' }, revision: 0 }]),
    'revision of a lineage': (revision) => readLineage([{ epoch: { counter: 1, boot: 'b' }, revision }]),
    'revision of a row': (revision) =>
      replica.readAsk(
        {
          type: 'ship',
          boot: 'a',
          to: 'b',
          seq: 1,
          rows: [{ partition: 0, epoch: { counter: 1, boot: 'a' }, revision }],
        },
        4,
      ),
    'version of a copy': (version) =>
      replica.readReply({ type: 'fenced', rows: [{ type: 'promised', digest, version }] }),
    'version of what is given': (version) => readGrant(JSON.stringify({ chain: [], equal: [], version })),
    'epoch of what is given': (counter) =>
      readAsk(['give', 'b', 'a', 1, 1, [[counter, 'b', packPartitions([3])]], []], 16),
    claim: (counter) => claimed(counter, 1),
    hint: (counter) => claimed(1, counter),
    'epoch of a record': (counter) => record(counter, 1),
    'version of a record': (version) => record(1, version),
    'version of a packed record': packed,
  }
  for (const [what, read] of Object.entries(readers)) {
    const reads = (counter: number): boolean => {
      try {
        return read(counter) !== undefined
      } catch {
        return false
      }
    }
    assert.deepEqual([reads(counterMax), reads(counterMax + 1)], [true, false], what)
  }
  // It stands for no counter at all.
  assert.ok(unknownCounter > counterMax && claimed(1, unknownCounter) !== undefined)
})

test('a number at the bound stays there, and what is written with it can be read', () => {
  assert.deepEqual([counterAfter(7), counterAfter(counterMax)], [8, counterMax])
  const log = new RecordLog()
  log.put('k', bytes('1'), counterMax + 5, 0)
  assert.deepEqual([log.get('k')?.version, log.version], [counterMax, counterMax])
  const packer = new Packer()
  packer.put({ key: 'k', record: undefined, version: counterMax + 1 }, 0)
  assert.equal(unpack(packer.finish())?.length, 1)
  const tenure = new Tenure(0, seat('a'), new Copy(list(1), false), list(1), [])
  tenure.head = counterMax + 9
  assert.equal(readGrant(writeGrant(tenure))?.version, counterMax)
})

test('who takes over from an epoch at the bound leads on at the bound, and counts and gives as before', () => {
  const stand = new Stand('abc')
  stand.of('a').lead(0, { counter: counterMax, boot: 'boot-a' }, [], stand.now)
  stand.ship('a', 'k', 'one')
  stand.die('a')
  stand.take('b')
  stand.ship('b', 'k', 'two')
  assert.deepEqual(
    [stand.news.at(-1), stand.told, stand.texts('b')],
    ['b taken', [undefined, undefined], ['k=two']],
  )
  assert.equal(stand.of('b').copyOf(0)?.promised.epoch.counter, counterMax)
  const [grant, chunk] = given(stand, 'b')
  stand.of('c').accept(0, chunk)
  stand.of('b').yield(0)
  stand.of('c').lead(0, { counter: counterMax, boot: 'boot-c' }, grant, stand.now)
  stand.ship('c', 'k', 'three')
  assert.deepEqual([stand.told.length, stand.told.at(-1), stand.texts('c')], [3, undefined, ['k=three']])
})
