/** What a copy is to be told, and up to where it has all. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Copy } from '../../src/state/copy.ts'
import { joined } from '../../src/state/lineage.ts'
import { Packer, unpack } from '../../src/state/packed.ts'
import { RecordLog } from '../../src/state/record-log.ts'
import { composeRow } from '../../src/state/ship-row.ts'
import { Tenure } from '../../src/state/tenure.ts'
import { bytes, seat } from './replication-stand.ts'

test('a batch that was lost does not hide that an update before it is held back until a merge', () => {
  const list = (counter: number, name: string) => ({
    epoch: { counter, boot: `boot-${name}` },
    revision: 0,
    seats: [name, 'b'].map(seat),
    acks: 2,
  })
  const [there, config] = [list(1, 'z'), list(2, 'a')]
  const tenure = new Tenure(0, seat('a'), new Copy(config, false), config, [there])
  const other = new RecordLog()
  other.put('k', bytes('there'), 1, 0)
  tenure.waitsFor({ logs: [other], lineage: joined(there), main: undefined })
  const state = tenure.seats.get('b')!
  state.hasPromised = state.isTold = true
  tenure.commit({ isGone: () => true, peers: () => [], mayCommit: () => true })
  assert.ok(tenure.isFenced)
  for (const key of ['k', 'x', 'y']) {
    tenure.keep(key, bytes(key))
    tenure.add(key, true, () => {})
  }
  const first = composeRow(tenure, state, 1_000, new Packer())!
  assert.deepEqual([[...first.keys.keys()], first.position], [['x', 'y'], 0])
  state.restore(first.keys, first.extras)
  // A small one: only one of them has room.
  const again = composeRow(tenure, state, 1, new Packer())!
  assert.equal(unpack(again.row.records)?.length, 1)
  assert.equal(again.position, 0)
})
