/** Replication of a few nodes, message by message. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inherit, readGrant } from '../../src/state/grant.ts'
import { unpackPartitions } from '../../src/state/messages.ts'
import type { Replication } from '../../src/state/replication.ts'
import { replicationLimits } from '../../src/state/replication-config.ts'
import { Absent, absentMax } from '../../src/state/seat-state.ts'
import { Senders, sendersMax } from '../../src/state/senders.ts'
import { bytes, given, Stand, seat } from './replication-stand.ts'

test('an update is done once it is on enough nodes, and lives on when its owner dies', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  assert.deepEqual([stand.news, stand.told], [['a blank'], [undefined]])
  assert.deepEqual(stand.texts('b'), ['k=one'])
  stand.die('a')
  stand.take('b')
  assert.deepEqual(stand.texts('b'), ['k=one'])
  stand.ship('b', 'k', 'two')
  assert.deepEqual([stand.told, stand.texts('c')], [[undefined, undefined], ['k=two']])
})

test('a write of a deposed owner that arrives 90 s late is refused everywhere', () => {
  const stand = new Stand('abcd', { copies: 3, acks: 2 })
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.isHeld = true
  const before = stand.sent.length
  stand.ship('a', 'k', 'late')
  const late = stand.sent.slice(before)
  assert.ok(late.length === 2 && late.every(({ ask }) => ask.ask.type === 'ship'))
  assert.deepEqual(stand.told, [undefined])
  stand.isHeld = false
  stand.die('a')
  stand.take('b')
  stand.ship('b', 'k', 'two')
  stand.now += 90_000
  for (const name of 'bcd') {
    const held = stand.texts(name)
    for (const { ask } of late) {
      // What was meant for one is refused by all, that one too.
      const reply = stand.of(name).answer('a', { ...ask.ask, to: `boot-${name}` }, stand.now)
      const rows = reply.type === 'shipped' ? reply.rows.map((row) => row.type) : [reply.type]
      assert.ok(['refused', 'stranger'].includes(rows[0] ?? ''), `${name}: ${rows}`)
    }
    assert.deepEqual(stand.texts(name), held)
  }
  // The owner itself hears of it, gives up, and its calls are routed anew.
  stand.alive.add('a')
  for (const { ask } of late) stand.of('a').answered(ask.id, undefined, stand.now)
  stand.now += 1_000
  stand.run()
  assert.deepEqual(stand.news.slice(-1), ['a deposed'])
  assert.equal(stand.told.at(-1), 'ERR_SHOAL_NOT_OWNER')
})

test('a deposed owner answers no read either', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.alive.delete('a')
  stand.of('b').viewChanged(0)
  stand.of('c').viewChanged(0)
  stand.take('b')
  stand.alive.add('a')
  const told: unknown[] = []
  stand.of('a').confirm(0, 'k', (failure) => told.push(failure?.code))
  stand.run()
  assert.deepEqual(told, ['ERR_SHOAL_NOT_OWNER'])
})

test('what a reader sees after a takeover is on enough copies before it hears', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.die('a')
  const held: string[][] = []
  stand.onNews = () => stand.of('b').confirm(0, 'k', () => held.push(stand.texts('c')))
  stand.take('b')
  assert.deepEqual(held, [['k=one']])
})

test('whoever dies while a partition is taken over is not in the list of its next owner', () => {
  const stand = new Stand('abcd')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.die('a')
  stand.isHeld = true
  const before = stand.sent.length
  stand.take('b')
  const held = stand.sent.slice(before)
  stand.isHeld = false
  stand.die('c')
  for (const { from, ask } of held) {
    const peer = stand.alive.has(ask.to.name) ? stand.of(ask.to.name) : undefined
    stand.of(from).answered(ask.id, peer?.answer(from, ask.ask, stand.now), stand.now)
  }
  stand.run()
  stand.ship('b', 'k', 'two')
  stand.now += 100
  stand.run()
  assert.deepEqual([stand.news.at(-1), stand.told], ['b taken', [undefined, undefined]])
  assert.deepEqual([stand.texts('d'), stand.of('b').stats.underReplicated], [['k=two'], 0])
})

test('the epoch of a next owner counts above all that it has heard of, also without a copy of its own', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.die('a')
  stand.take('c')
  const [leads] = [...stand.of('c').leading()]
  assert.equal(leads?.[1].epoch.counter, 2)
  assert.deepEqual([stand.news.at(-1), stand.texts('c')], ['c taken', ['k=one']])
})

test('what was shipped anywhere may have run, though its owner was deposed before enough had it', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.isHeld = true
  const failures: (boolean | undefined)[] = []
  stand.of('a').ship(0, 'k', bytes('two'), (failure) => failures.push(failure?.mayHaveRun))
  stand.run()
  stand.of('a').yield(0)
  stand.run()
  stand.of('a').ship(0, 'k', bytes('three'), (failure) => failures.push(failure?.mayHaveRun))
  stand.run()
  assert.deepEqual(failures, [true, true])
})

test('a list that a takeover asked for and gave up is not taken for the one that leads at the same epoch', () => {
  const stand = new Stand('abcd')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  // "d" does not see "a", and asks "b" to follow a list in which "b" has no place.
  for (const name of 'ab') stand.alive.delete(name)
  stand.alive.add('b')
  stand.isHeld = true
  const before = stand.sent.length
  stand.of('d').take(0, 1, 0)
  stand.run()
  for (const { from, ask } of stand.sent.slice(before))
    if (ask.to.name === 'b') stand.of('b').answer(from, ask.ask, 0)
  // "a" is back, and gives it to "d" as planned.
  stand.isHeld = false
  stand.of('d').abandon(0)
  for (const name of 'cda') {
    stand.alive.delete(name)
    stand.alive.add(name)
  }
  const collection = stand.of('a').collect(0)
  stand.of('d').accept(0, collection.next(1_000) as Uint8Array)
  stand.of('d').lead(0, { counter: 2, boot: 'boot-d' }, stand.of('a').listOf(0), 0)
  stand.of('a').yield(0)
  stand.ship('d', 'k', 'two')
  stand.now += 1_000
  stand.run()
  assert.deepEqual([stand.told, stand.texts('b')], [[undefined, undefined], ['k=two']])
})

test('whoever is given a partition knows the list that its giver had begun, and not only the last that led', () => {
  const config = (counter: number, revision: number) => {
    const seats = [seat('a'), seat('b')]
    return { epoch: { counter, boot: 'boot-a' }, revision, seats, acks: 2 }
  }
  const past = [config(5, 2), config(6, 7)]
  const tip = config(6, 6)
  const grant = { chain: [tip, config(6, 8)], past, content: [tip], tip, equal: [], version: 3 }
  const begun = inherit(grant, undefined, undefined, undefined)
  // Under the list that was only begun nothing is here: it must not pass for a side of its own.
  assert.deepEqual(begun?.adopted?.content, [tip])
  assert.deepEqual(
    begun?.past.map(({ epoch, revision }) => [epoch.counter, revision]),
    [
      [5, 2],
      [6, 8],
    ],
  )
})

test('what a takeover asked for has led, as a copy knows from its first batch', () => {
  const stand = new Stand('abc', { copies: 3 })
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.die('a')
  stand.of('b').take(0, 0, stand.now)
  stand.onNews = () => {
    stand.isHeld = true
  }
  stand.run()
  // Else a second attempt of the same node would pass over what counted under the first.
  assert.equal(stand.of('c').copyOf(0)?.isFence, true)
  stand.isHeld = false
  const { ask } = stand.sent.at(-1)!
  stand.of('b').answered(ask.id, stand.of('c').answer('b', ask.ask, 0), 0)
  assert.deepEqual([ask.ask.type, stand.of('c').copyOf(0)?.isFence], ['ship', false])
})

test('a member that was thought dead and comes back before others have its copies is told to drop its own', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.isHeld = true
  stand.die('b')
  assert.deepEqual(stand.texts('b'), ['k=one'])
  // Last in the list of all from now on.
  stand.alive.add('b')
  stand.isHeld = false
  for (const { from, ask } of stand.sent.splice(0)) stand.of(from).answered(ask.id, undefined, stand.now)
  for (const name of 'abc') stand.of(name).viewChanged(stand.now)
  stand.now += 5_000
  stand.run()
  assert.deepEqual([stand.texts('a'), stand.texts('b'), stand.texts('c')], [['k=one'], [], ['k=one']])
})

test('a member that was thought dead and comes back when others have its copies is told to drop its own, once', () => {
  const stand = new Stand('abc')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.die('b')
  assert.deepEqual([stand.texts('b'), stand.texts('c')], [['k=one'], ['k=one']])
  stand.alive.add('b')
  for (const name of 'abc') stand.of(name).viewChanged(stand.now)
  stand.run()
  assert.deepEqual([stand.texts('b'), stand.of('a').stats.underReplicated], [[], 0])
  stand.ship('a', 'k', 'two')
  assert.deepEqual([stand.told, stand.texts('c')], [[undefined, undefined], ['k=two']])
  const batches = stand.of('a').stats.batches
  stand.die('b')
  stand.alive.add('b')
  stand.of('a').viewChanged(stand.now)
  stand.run()
  assert.equal(stand.of('a').stats.batches, batches)
})

test('members that were taken for dead are remembered up to a number, by their lives', () => {
  const absent = new Absent()
  for (let i = 0; i <= absentMax; i++) absent.add({ name: `n${i}`, boot: 'b' })
  const take = (name: string, boot = 'b'): boolean => absent.take({ name, boot })
  assert.deepEqual(
    [take('n0'), take('n1'), take('n1'), take('n2', 'another'), take('n2')],
    [false, true, false, false, false],
  )
})

test('the list of copies stays as its next owner was told, though a member comes or goes meanwhile', () => {
  const stand = new Stand('abcd')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  const [list, chunk] = given(stand, 'a')
  // Another one would be told to the copies, and they refused the next owner, who never heard of it.
  stand.die('b')
  stand.of('c').accept(0, chunk)
  stand.of('c').lead(0, { counter: 2, boot: 'boot-c' }, list, stand.now)
  stand.of('a').yield(0)
  stand.run()
  stand.ship('c', 'k', 'two')
  assert.deepEqual([stand.news, stand.told], [['a blank'], [undefined, undefined]])
})

test('whoever goes on with what it had given begins a list that the next owner does not follow', () => {
  const stand = new Stand('abcd', { copies: 3, acks: 2 })
  stand.take('a')
  stand.ship('a', 'k', 'one')
  const [list, chunk] = given(stand, 'a')
  stand.of('a').thawed(0)
  stand.ship('a', 'k', 'two')
  assert.deepEqual(stand.told, [undefined, undefined])
  // It was believed dead, and takes what it was given before: its copies must not follow it behind what was acknowledged.
  stand.of('d').accept(0, chunk)
  stand.of('d').lead(0, { counter: 2, boot: 'boot-d' }, list, stand.now)
  stand.ship('d', 'j', 'lost')
  assert.deepEqual(stand.news, ['a blank', 'd deposed'])
  assert.deepEqual([stand.told.at(-1), stand.texts('b')], ['ERR_SHOAL_NOT_OWNER', ['k=two']])
})

test('what callers have settled is told to a copy before records that lack their calls, and to whoever takes over', () => {
  const stand = new Stand('abc')
  stand.take('a')
  const heard = (): string[] => stand.heard.splice(0)
  const write = (settledBelow?: number): void => {
    const word = settledBelow === undefined ? [] : [{ origin: 'ann', settledBelow }]
    stand.of('a').ship(0, 'k', bytes('x'), (failure) => stand.told.push(failure?.code), word)
  }
  write()
  stand.run()
  assert.deepEqual(heard(), ['b: all of a'])
  write()
  stand.run()
  assert.deepEqual(heard(), [])
  write(5)
  write(7)
  stand.run()
  const [told, ...others] = heard()
  assert.ok(told?.startsWith('b: ') && told.endsWith('ann\u0007'), told)
  assert.deepEqual(others, [])
  // What may not have come is told anew.
  stand.isHeld = true
  write(8)
  stand.run()
  const { ask } = stand.sent.at(-1)!
  stand.isHeld = false
  stand.of('a').answered(ask.id, undefined, stand.now)
  stand.now += 1_000
  stand.run()
  assert.deepEqual([heard(), stand.told.length], [['b: all of a'], 5])
  stand.die('a')
  stand.take('c')
  assert.deepEqual(heard().slice(0, 1), ['c: all of b'])
})

test('of a copy that has lost some records only those travel', () => {
  const stand = new Stand('ab')
  stand.take('a')
  for (let at = 0; at < 500; at++) stand.ship('a', `k${at}`, 'value')
  const log = stand.of('b').copyOf(0)!.log
  for (const key of ['k7', 'k99', 'k300']) {
    const { keyHash, hash } = log.get(key)!
    log.erase(keyHash, hash)
  }
  log.put('stray', bytes('x'), 1, 0)
  const { shippedRecords } = stand.of('a').stats
  stand.now += replicationLimits.repairMs + 10
  stand.run()
  const { repairedKeys, shippedRecords: after } = stand.of('a').stats
  assert.deepEqual([repairedKeys, after - shippedRecords], [4, 3])
  assert.deepEqual(stand.texts('b'), stand.texts('a'))
})

test('what all copies heard to be removed is forgotten, and not before', () => {
  const stand = new Stand('ab')
  const counts = (): number[] => ['a', 'b'].map((name) => stand.of(name).copyOf(0)!.log.count)
  const remove = (key: string): void => {
    stand.of('a').ship(0, key, undefined, (failure) => stand.told.push(failure?.code))
    stand.run()
  }
  stand.take('a')
  for (const key of ['j', 'k', 'l']) stand.ship('a', key, 'one')
  remove('k')
  assert.deepEqual(counts(), [3, 3])
  // "b" does not hear of the next one.
  stand.split('b')
  stand.of('a').viewChanged(stand.now)
  remove('l')
  assert.deepEqual(counts(), [3, 3])
  stand.split('')
  assert.deepEqual([stand.texts('a'), stand.texts('b')], [['j=one'], ['j=one']])
  stand.now += replicationLimits.repairMs + 10
  stand.run()
  assert.deepEqual(counts(), [1, 1])
  // Nothing had to be repaired for that.
  assert.equal(stand.of('a').stats.repairedKeys, 0)
  assert.deepEqual([stand.of('a').stats.copyBytes, stand.of('b').stats.copyBytes], [29, 29])
})

test('a grant that does not say what is in it is none, and what is being copied out keeps its removals', () => {
  const stand = new Stand('ab')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  const [[list = '']] = given(stand, 'a')
  assert.ok(readGrant(list) !== undefined)
  assert.equal(readGrant(JSON.stringify({ ...JSON.parse(list), content: undefined })), undefined)
  stand.of('a').thawed(0)
  stand.run()
  const collection = stand.of('a').collect(0)
  stand.of('a').ship(0, 'k', undefined, () => {})
  stand.run()
  for (const count of [1, 0]) {
    stand.now += replicationLimits.repairMs + 10
    stand.run()
    assert.equal(stand.of('a').copyOf(0)?.log.count, count)
    if (count === 1) collection.close()
  }
})

test('that a key was removed is remembered until the last copy has heard of it', () => {
  const stand = new Stand('abc', { copies: 3, acks: 2 })
  const a = stand.of('a')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  stand.isHeld = true
  stand.sent.length = 0
  a.ship(0, 'k', undefined, (failure) => stand.told.push(failure?.code))
  stand.run()
  const late = stand.sent.find(({ ask }) => ask.to.name === 'c')!.ask
  stand.isHeld = false
  const { id, ask } = stand.sent.find(({ ask: one }) => one.to.name === 'b')!.ask
  a.answered(id, stand.of('b').answer('a', ask, stand.now), stand.now)
  stand.now += replicationLimits.repairMs + 10
  stand.run()
  const removed = (): number[] =>
    ['a', 'b', 'c'].map((name) => stand.of(name).copyOf(0)!.log.count - stand.texts(name).length)
  assert.deepEqual([stand.told, removed(), stand.texts('c')], [[undefined, undefined], [1, 1, 0], ['k=one']])
  a.answered(late.id, undefined, stand.now)
  stand.now += 1_000
  stand.run()
  assert.deepEqual([removed(), stand.texts('c')], [[1, 1, 1], []])
  stand.now += replicationLimits.repairMs
  stand.run()
  assert.deepEqual(removed(), [0, 0, 0])
})

test('unchanged keys share one message, however many they are', () => {
  const stand = new Stand('ab')
  stand.take('a')
  for (let at = 0; at < 100; at++) stand.ship('a', `k${at}`, 'value')
  const before = stand.of('a').stats
  let done = 0
  for (let at = 0; at < 100; at++) stand.of('a').confirm(0, `k${at}`, () => done++)
  stand.run()
  const { batches, shippedBytes } = stand.of('a').stats
  assert.deepEqual([done, batches - before.batches, shippedBytes - before.shippedBytes], [100, 1, 0])
})

test('a node that is alone serves, unless it is told not to', () => {
  const alone = new Stand('a')
  alone.take('a')
  alone.ship('a', 'k', 'one')
  assert.deepEqual(alone.told, [undefined])
  assert.deepEqual([alone.of('a').refusal(0), alone.of('a').stats.underReplicated], [undefined, 1])
  const strict = new Stand('a', { acksMin: 2 })
  strict.take('a')
  assert.equal(strict.of('a').refusal(0)?.code, 'ERR_SHOAL_NO_OWNER')
  assert.equal(strict.of('a').refusal(0)?.mayHaveRun, false)
})

test('a copy for which there is no room is not counted as one', () => {
  const stand = new Stand('ab', { copyBytesMax: 2_000 })
  stand.take('a')
  stand.ship('a', 'k', 'x')
  stand.ship('a', 'large', 'x'.repeat(3_000))
  assert.deepEqual(stand.told, [undefined])
  assert.deepEqual(stand.texts('b'), ['k=x'])
})

test('of many partitions a part is asked for in each turn, and nobody waits for the next part', () => {
  const stand = new Stand('ab', { partitions: 20_000 })
  const [a, sizes]: [Replication, number[]] = [stand.of('a'), []]
  for (let partition = 0; partition < 20_000; partition++) a.take(partition, 0, 0)
  for (const isTurn of [false, false, true, true, true]) {
    if (isTurn) a.tick(0)
    else a.flush(0)
    for (let output = a.poll(); output !== undefined; output = a.poll()) {
      if (output.type === 'ask' && output.ask.type === 'survey')
        sizes.push(unpackPartitions(output.ask.partitions, 20_000)?.length ?? 0)
    }
    assert.equal(a.deadline === 0, sizes.length < 3)
  }
  assert.deepEqual(sizes, [8_192, 8_192, 3_616])
})

test('calls beyond those that may wait for copies are refused before they run, and run again once copies answer', () => {
  const stand = new Stand('ab', { effectsWaitingMax: 32 })
  const a = stand.of('a')
  const done: (string | undefined)[] = []
  const read = (partition: number): void => a.confirm(partition, 'k', (failure) => done.push(failure?.code))
  for (let partition = 0; partition < 4; partition++) {
    a.take(partition, 0, stand.now)
    stand.run()
  }
  read(0)
  assert.equal(a.refusal(0), undefined)
  read(0)
  const { code, mayHaveRun, message } = a.refusal(0) ?? {}
  assert.deepEqual([code, mayHaveRun, a.refusal(1)], ['ERR_SHOAL_OVERLOADED', false, undefined])
  assert.match(
    message ?? '',
    /partition 0 are behind: 2 calls wait for them on "a" \(limits.effectsWaitingMax\)/,
  )
  // Where as many wait as may at all, only a partition in which none does goes on.
  for (let i = 0; i < 29; i++) read(1)
  read(2)
  assert.deepEqual([a.refusal(2)?.code, a.refusal(3)], ['ERR_SHOAL_OVERLOADED', undefined])
  stand.run()
  assert.deepEqual([done.length, done.every((failure) => failure === undefined)], [32, true])
  assert.deepEqual([a.refusal(0), a.refusal(2)], [undefined, undefined])
  a.confirm(0, 'k', () => {})
  assert.equal(a.refusal(0), undefined)
  a.yield(0)
  assert.equal(a.refusal(0), undefined)
})

test('messages that are none, or for another life, change nothing', () => {
  const stand = new Stand('ab')
  stand.take('a')
  stand.ship('a', 'k', 'one')
  const { ask } = stand.sent.findLast((one) => one.ask.ask.type === 'ship')!.ask
  const row = (ask as unknown as { rows: object[] }).rows[0]
  const b = stand.of('b')
  for (const wrong of [
    undefined,
    'text',
    { ...ask, to: 'boot-other' },
    { ...ask, seq: -1 },
    { ...ask, rows: 'none' },
    { ...ask, rows: Array.from({ length: 1_025 }, () => row) },
    { ...ask, seq: 99, rows: [{ ...row, partition: 4 }] },
    { ...ask, seq: 99, rows: [{ ...row, records: 'text' }] },
    { ...ask, seq: 99, rows: [{ ...row, list: { buckets: 8_192, which: [] } }] },
  ]) {
    assert.equal(b.answer('a', wrong, 0).type, 'stranger')
  }
  // Nobody speaks for the tenure of another, nor may a newer one bury what it has not heard of.
  const config = {
    epoch: { counter: 9, boot: 'boot-x' },
    revision: 0,
    seats: [seat('x'), seat('b')],
    acks: 2,
  }
  const forged = { partition: 0, epoch: config.epoch, revision: 0, config, records: new Uint8Array(0) }
  const told = (from: string, boot: string): string => {
    const reply = b.answer(from, { type: 'ship', boot, to: 'boot-b', seq: 1_000, rows: [forged] }, 0)
    return reply.type === 'shipped' ? reply.rows[0]!.type : reply.type
  }
  assert.deepEqual([told('y', 'boot-y'), told('x', 'boot-x')], ['unknown', 'refused'])
  assert.deepEqual(stand.texts('b'), ['k=one'])
  assert.ok(b.stats.refusedMessages >= 10)
})

test('senders beyond the most are forgotten, the silent ones first', () => {
  const senders = new Senders()
  for (let at = 0; at < sendersMax; at++) assert.ok(senders.isNext(`boot ${at}`, 5))
  assert.ok(senders.isNext('boot 0', 6))
  assert.ok(senders.isNext('one more', 1))
  assert.deepEqual([senders.isNext('boot 0', 6), senders.isNext('boot 1', 1)], [false, true])
})
