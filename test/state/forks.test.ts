/** Two sides of a split that both lead: what becomes of what each has counted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CopyAnswer } from '../../src/state/answers.ts'
import type { Config, Seat } from '../../src/state/config.ts'
import { Copies } from '../../src/state/copies.ts'
import { Copy } from '../../src/state/copy.ts'
import { isKnownTo, joined, type Lineage, lineageMax, readLineage } from '../../src/state/lineage.ts'
import { Merge } from '../../src/state/merge.ts'
import { Packer } from '../../src/state/packed.ts'
import type { RecordLog } from '../../src/state/record-log.ts'
import { readAsk, readReply } from '../../src/state/replica-reader.ts'
import { replicationLimits } from '../../src/state/replication-config.ts'
import { composeRow } from '../../src/state/ship-row.ts'
import { decideTakeover } from '../../src/state/takeover.ts'
import { Tenure } from '../../src/state/tenure.ts'
import { apart, given, Stand, seat } from './replication-stand.ts'

const config = (counter: number, names: string, revision = 0): Config => ({
  epoch: { counter, boot: `boot-${names[0]}` },
  revision,
  seats: [...names].map(seat),
  acks: Math.min(2, names.length),
})

function answer(name: string, base: Config, known: Lineage): CopyAnswer {
  const digest = { count: 1, xor: 1, sum: 1 }
  const rest = { isFenced: true, wasLed: true, chain: [], isCut: false, past: [], digest, version: 1 }
  return { seat: seat(name), before: base, base, top: base, known, ...rest }
}

function decide(answers: CopyAnswer[], isGone: (one: Seat) => boolean = () => true): string {
  const decision = decideTakeover({ self: seat('z'), answers, silent: [], isGone, isPatienceOver: true })
  if (decision.type !== 'take') return decision.type
  const names = (from: readonly CopyAnswer[]): string => from.map((one) => one.seat.name).join('')
  const forks = decision.forks.map(({ from }) => names(from)).join(' ')
  return `${decision.isSound ? 'sound' : 'lost'} ${names(decision.from)} and ${forks || 'nothing'}`
}

const texts = (log: RecordLog | undefined): string[] =>
  [...(log?.entries() ?? [])].map(({ key, record }) => `${key}=${new TextDecoder().decode(record)}`)

test('of each tenure the last configuration is remembered, and of many tenures the last ones', () => {
  const [first, later] = [config(1, 'a', 3), config(1, 'a', 5)]
  const lineage = joined(later, first, undefined)
  assert.deepEqual(
    [isKnownTo(lineage, first), isKnownTo(lineage, later), isKnownTo(lineage, config(1, 'a', 6))],
    [true, true, false],
  )
  assert.equal(isKnownTo(lineage, config(1, 'b')), false)
  const long = joined(...Array.from({ length: lineageMax + 5 }, (_, at) => config(at, 'a')))
  assert.equal(long.length, lineageMax)
  // What is older than all of so many is taken for known.
  assert.deepEqual([isKnownTo(long, config(1, 'a')), isKnownTo(long, config(40, 'b'))], [true, false])
  assert.deepEqual(readLineage(JSON.parse(JSON.stringify(long))), long)
  for (const wrong of [[{}], [...long, config(99, 'a')], 'x', [{ ...first, revision: -1 }]])
    assert.equal(readLineage(wrong), undefined)
})

test('a takeover keeps apart what has come from each other and what has not, whatever their epochs', () => {
  const old = config(1, 'ab')
  const here = config(4, 'bc')
  // "c" has come from "a"; "d" led by itself and counted further.
  const there = config(9, 'de')
  assert.equal(decide([answer('a', old, []), answer('c', here, [old])]), 'sound c and nothing')
  const both = [answer('c', here, [old]), answer('a', old, []), answer('d', there, [])]
  assert.equal(decide(both), 'sound d and c')
})

test('to know that nothing more counted under a configuration is not to know what its owner had', () => {
  // "e" took over, merged nothing yet, and was deposed; "a" has asked all whom it had asked.
  const [there, taken] = [config(5, 'ef'), config(6, 'ef')]
  const here = config(7, 'ab')
  assert.equal(decide([answer('a', here, [taken]), answer('e', taken, [there])]), 'sound a and e')
  assert.equal(
    decide([answer('a', here, [there, taken]), answer('e', taken, [there])]),
    'sound a and nothing',
  )
})

test('a side of which too few were heard is told as lost, and is new when it is found', () => {
  const three = { ...config(2, 'abc'), acks: 2 }
  const decision = decideTakeover({
    self: seat('z'),
    answers: [answer('c', three, [])],
    silent: [],
    isGone: () => true,
    isPatienceOver: true,
  })
  assert.ok(decision.type === 'take')
  assert.deepEqual([decision.isSound, isKnownTo(decision.past, three)], [false, false])
  const heard = decideTakeover({
    self: seat('z'),
    answers: [answer('c', three, []), answer('b', three, [])],
    silent: [],
    isGone: () => true,
    isPatienceOver: true,
  })
  assert.ok(heard.type === 'take')
  assert.deepEqual([heard.isSound, isKnownTo(heard.past, three)], [true, true])
})

test('who takes over after a split brings both sides together', () => {
  const stand = taken('both', 'there', 'here')
  assert.deepEqual(stand.texts('d'), ['both=before', 'here=a', 'there=c'])
  assert.deepEqual(stand.of('d').forksOf(0)?.map(texts), [['both=before', 'here=a']])
})

/** "d" has taken over what "a" with "b" and "c" with "d" have counted, and has not merged it yet. */
function taken(before = 'k', there = 'k', here = 'k'): Stand {
  const stand = apart(before, there)
  stand.ship('a', here, 'a')
  for (const name of 'ac') stand.of(name).yield(0)
  stand.split('')
  stand.take('d')
  return stand
}

test('copies of the other side stay until what they have is merged and has been shipped', () => {
  const stand = taken()
  assert.deepEqual(stand.of('d').forksOf(0)?.map(texts), [['k=a']])
  const kept = (): string[][] => ['b', 'c'].map((name) => texts(stand.of(name).copyOf(0)?.log))
  assert.deepEqual(kept(), [['k=a'], ['k=c']])
  stand.ship('d', 'k', 'both')
  assert.deepEqual([stand.told.at(-1), kept()], [undefined, [['k=a'], ['k=c']]])
  const there = stand.of('b').copyOf(0)?.base
  stand.of('d').merged(0)
  stand.run()
  assert.deepEqual([kept(), stand.of('d').forksOf(0)], [[[], []], undefined])
  // Whoever is in the list knows that it has that.
  const heir = stand.of('a').copyOf(0)
  assert.ok(there !== undefined && heir !== undefined && isKnownTo(heir.known, there))
  assert.deepEqual(texts(heir.log), ['k=both'])
})

test('where the new list is its owner alone, copies of the other side stay until they are merged, too', () => {
  const stand = new Stand('ab', { copies: 1, acks: 1 })
  stand.split('b')
  for (const name of 'ab') {
    stand.take(name)
    stand.ship(name, 'k', name)
    stand.of(name).yield(0)
  }
  stand.split('')
  stand.take('a')
  for (let at = 0; at < 2; at++) {
    stand.now += 2 * replicationLimits.repairMs + 10
    stand.run()
  }
  // "b" has asked whether anybody knows what it has.
  assert.equal(stand.news.at(-1), 'a deposed')
  stand.take('a')
  assert.deepEqual([stand.of('a').forksOf(0)?.map(texts), stand.texts('b')], [[['k=b']], ['k=b']])
  stand.of('a').merged(0)
  stand.run()
  assert.deepEqual([stand.texts('a'), stand.texts('b')], [['k=a'], []])
})

test('what was to be merged is forgotten by who is deposed, and is found again by who takes over', () => {
  const stand = taken()
  stand.split('d')
  stand.take('b')
  assert.deepEqual([stand.texts('b'), stand.of('b').forksOf(0)?.map(texts)], [['k=a'], [['k=c']]])
  stand.split('')
  stand.ship('d', 'new', 'late')
  assert.equal(stand.news.at(-1), 'd deposed')
  assert.equal(stand.of('d').forksOf(0), undefined)
})

test('what a copy took under many lists is read in pages, and a long chain is told in part', () => {
  const noted = { refusedByFence: 0, refusedMessages: 0, repairedKeys: 0 }
  const copies = new Copies({
    self: seat('b'),
    limits: replicationLimits,
    counters: noted,
    leads: () => undefined,
    deposed: () => {},
  })
  const lists = Array.from({ length: 40 }, (_, at) => config(1, 'ab', at))
  for (const [at, one] of lists.entries()) {
    const packer = new Packer()
    packer.put({ key: `k${at}`, record: new Uint8Array(1), version: at }, 0)
    const { epoch, revision } = one
    const row = { partition: 0, epoch, revision, config: one, records: packer.finish() }
    assert.equal(copies.ship(row, seat('a')).type, 'ok')
  }
  const next = config(2, 'cb')
  assert.equal(copies.fence({ partition: 0, config: next }).type, 'promised')
  const merge = new Merge()
  let at = { place: 0, rewrites: 0 }
  do {
    const ask = { partition: 0, config: next, from: undefined, known: new Uint8Array(0), ...at }
    const read = readReply({ type: 'fetched', reply: copies.fetch(ask) })
    assert.ok(read?.type === 'fetched' && read.reply.type === 'page')
    assert.ok(merge.page(read.reply.records, read.reply.configs))
    at = read.reply
  } while (at.place > 0)
  assert.equal(merge.log.count, 40)
  const tenure = new Tenure(0, seat('c'), new Copy(next, false), next, lists)
  const sent = composeRow(tenure, tenure.seats.get('b')!, 1_000, new Packer())
  const ask = { type: 'ship', boot: 'boot-c', to: 'boot-b', seq: 1, rows: [sent?.row], along: undefined }
  assert.equal(readAsk(ask, 4)?.type, 'ship')
})

test('an owner that the other side does not follow keeps what it has for whoever the table names', () => {
  const stand = apart()
  const told = stand.told.length
  stand.split('')
  // "c" is not the owner by the table: it does not lead on, nor does it forget.
  stand.ship('c', 'late', 'c')
  assert.equal(stand.told.length, told)
  const [list, chunk] = given(stand, 'c')
  assert.equal(stand.of('a').mayMerge(0, list), 'merge')
  stand.of('a').accept(0, chunk)
  stand.of('a').lead(0, { counter: 5, boot: 'boot-a' }, list, stand.now)
  stand.of('c').yield(0)
  stand.run()
  // Its own copy is not of that side before anybody follows it.
  assert.deepEqual([stand.news.at(-1), stand.texts('a')], ['a deposed', ['k=before']])
  stand.take('a')
  assert.deepEqual(stand.texts('a'), ['k=before', 'late=c'])
  assert.deepEqual(stand.of('a').forksOf(0)?.map(texts), [['k=c', 'late=c']])
})

test('what is given is dropped where all of it is known, and waits where it knows all that is here', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  const [list] = given(stand, 'a')
  stand.die('a')
  stand.take('b')
  stand.ship('b', 'k', 'two')
  assert.equal(stand.of('b').mayMerge(0, list), 'drop')
  const [newer] = given(stand, 'b')
  assert.equal(stand.of('a').mayMerge(0, newer), 'wait')
  stand.alive.add('a')
  stand.run()
  assert.equal(stand.news.at(-1), 'a deposed')
})

test('whoever sees no majority does not begin another list, nor tells that anything is done', () => {
  const stand = new Stand('abc', { voters: 3 })
  stand.run()
  stand.take('a')
  stand.now += 300
  stand.run()
  stand.ship('a', 'k', 'one')
  stand.split('a')
  stand.ship('a', 'k', 'two')
  const copy = stand.of('a').copyOf(0)
  assert.deepEqual([stand.told, copy?.base?.seats.length, stand.texts('a')], [[undefined], 2, ['k=one']])
  assert.equal(stand.of('a').refusal(0)?.code, 'ERR_SHOAL_NO_OWNER')
  assert.equal(stand.of('a').copyOf(0)?.promised.seats.length, 1)
  // The others have all that counted.
  stand.of('b').take(0, 0, stand.now)
  stand.now += 3_000
  for (let at = 0; at < 4; at++) {
    stand.now += 300
    stand.run()
  }
  stand.ship('b', 'k', 'three')
  assert.deepEqual([stand.told, stand.texts('c')], [[undefined, undefined], ['k=three']])
})

test('an owner that nobody has followed yet tells no copy to go', () => {
  const [before, alone] = [config(1, 'ab'), config(1, 'a', 1)]
  const copy = new Copy(alone, false)
  const view = { isGone: () => true, peers: () => [], mayCommit: () => true }
  const tenure = new Tenure(0, seat('a'), copy, alone, [before])
  assert.equal(tenure.mayDrop, false)
  tenure.commit(view)
  assert.deepEqual([tenure.isFenced, tenure.mayDrop], [true, true])
})

test('what another side made of a key is not replaced in its copies before it is merged, nor is its update told', () => {
  const stand = apart('k', 'other')
  stand.ship('a', 'k', 'a')
  for (const name of 'ac') stand.of(name).yield(0)
  stand.split('')
  stand.take('c')
  assert.deepEqual(stand.of('c').forksOf(0)?.map(texts), [['k=a']])
  const before = stand.told.length
  stand.ship('c', 'new', 'c')
  stand.ship('c', 'k', 'both')
  stand.ship('c', 'late', 'c')
  const [, config] = [...stand.of('c').leading()][0]!
  const copies = (): string[][] => config.seats.map(({ name }) => stand.texts(name))
  const rest = ['late=c', 'new=c', 'other=c']
  assert.deepEqual(
    [stand.told.slice(before), copies()],
    [
      [undefined],
      [
        ['k=a', ...rest],
        ['k=a', 'late=c', 'new=c'],
      ],
    ],
  )
  const isIdle = (): boolean => {
    const { length } = stand.sent
    stand.run()
    return stand.sent.length === length && !stand.of('c').isDue(stand.now)
  }
  assert.ok(isIdle())
  stand.of('c').merged(0)
  stand.run()
  assert.deepEqual(
    [stand.told.slice(before), copies()],
    [
      [undefined, undefined, undefined],
      [
        ['k=both', ...rest],
        ['k=both', ...rest],
      ],
    ],
  )
})

test('whoever is given what another side had has its own side in its copy until the two are merged', () => {
  const stand = apart('k', 'other')
  stand.ship('a', 'k', 'a')
  stand.of('a').yield(0)
  stand.split('')
  const [list, chunk] = given(stand, 'c')
  stand.of('a').accept(0, chunk)
  stand.of('a').lead(0, { counter: 5, boot: 'boot-a' }, list, stand.now)
  stand.of('c').yield(0)
  // Nobody has followed it yet.
  assert.deepEqual(stand.texts('a'), ['k=a'])
  stand.alive.delete('c')
  stand.die('d')
  stand.now += 60_000
  stand.run()
  const a = stand.of('a')
  assert.deepEqual([texts(a.toLive(0)), a.forksOf(0)?.map(texts)], [['other=c'], [['k=a']]])
  assert.deepEqual([stand.texts('a'), stand.texts('b')], [['k=a', 'other=c'], ['k=a']])
  const before = stand.told.length
  stand.ship('a', 'k', 'both')
  assert.deepEqual([stand.told.slice(before), stand.texts('a')], [[], ['k=a', 'other=c']])
  a.merged(0)
  stand.run()
  const all = ['k=both', 'other=c']
  assert.deepEqual([stand.told.slice(before), stand.texts('a'), stand.texts('b')], [[undefined], all, all])
})

test('of a side of which too few are left to know what counted, what there is of it is merged all the same', () => {
  const stand = new Stand('abcdef', { copies: 3 })
  stand.split('def')
  for (const name of 'ad') {
    stand.take(name)
    stand.ship(name, 'k', name)
    stand.of(name).yield(0)
  }
  for (const name of 'de') stand.die(name)
  stand.split('')
  stand.take('a')
  for (let at = 0; at < 4; at++) {
    stand.now += 60_000
    stand.run()
  }
  // "f" has asked whether anybody knows what it has.
  assert.equal(stand.news.at(-1), 'a deposed')
  stand.take('a')
  assert.deepEqual([stand.texts('a'), stand.of('a').forksOf(0)?.map(texts)], [['k=a'], [['k=d']]])
})
