/** Who should have had copies, and when nobody of them is left. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Seats } from '../../src/hosting/seats.ts'
import type { RingTable } from '../../src/ring/ring.ts'
import type { ViewPeer } from '../../src/state/custody-io.ts'

const peer = (name: string, isLeaving = false): ViewPeer => ({ name, boot: `${name}1`, isLeaving })
/** Of partition 0 "b" and "c" are to have copies, of partition 1 "c" and "a". */
const table = (names: string): RingTable => {
  const lists = ['bcad', 'cabd'].map((list) => [...list].filter((name) => names.includes(name)))
  return { owners: (partition: number, most: number) => lists[partition]?.slice(0, most) } as RingTable
}

function told(seats: Seats): boolean[] {
  return [seats.isBereft(0), seats.isBereft(1)]
}

test('what all who should have had it were killed with is lost, and told once', () => {
  const seats = new Seats({ name: 'a', boot: 'a1' }, 2, 2)
  seats.changed(table('abcd'), [peer('b'), peer('c'), peer('d')], 0)
  seats.changed(table('acd'), [peer('c'), peer('d')], 10)
  assert.deepEqual(told(seats), [false, false])
  seats.changed(table('ad'), [peer('d')], 20)
  assert.deepEqual(
    [told(seats), told(seats)],
    [
      [true, false],
      [false, false],
    ],
  )
})

test('who leaves has handed over, who is back lives, and what is long ago is forgotten', () => {
  const leaving = new Seats({ name: 'a', boot: 'a1' }, 2, 2)
  leaving.changed(table('abcd'), [peer('b', true), peer('c', true), peer('d')], 0)
  leaving.changed(table('ad'), [peer('d')], 10)
  assert.deepEqual(told(leaving), [false, false])
  const back = new Seats({ name: 'a', boot: 'a1' }, 2, 2)
  back.changed(table('abcd'), [peer('b'), peer('c'), peer('d')], 0)
  back.changed(table('ad'), [peer('d')], 10)
  back.changed(table('abd'), [peer('b'), peer('d')], 20)
  assert.deepEqual(told(back), [false, false])
  const late = new Seats({ name: 'a', boot: 'a1' }, 2, 2)
  late.changed(table('abcd'), [peer('b'), peer('c'), peer('d')], 0)
  late.changed(table('ad'), [peer('d')], 10)
  late.changed(table('ad'), [peer('d')], 60_011)
  assert.deepEqual(told(late), [false, false])
})
