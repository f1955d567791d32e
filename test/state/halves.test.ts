/** Copies that a merger had half done when it died: the sides whose records it had brought together are told apart all the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CopyAnswer } from '../../src/state/answers.ts'
import type { Config } from '../../src/state/config.ts'
import { Copy } from '../../src/state/copy.ts'
import { isKnownTo, joined } from '../../src/state/lineage.ts'
import { difference, listHashes } from '../../src/state/reconcile.ts'
import { RecordLog } from '../../src/state/record-log.ts'
import { type Decision, decideTakeover } from '../../src/state/takeover.ts'
import { bytes, Stand, seat } from './replication-stand.ts'

const config = (counter: number, names: string, revision = 0): Config => ({
  epoch: { counter, boot: `boot-${names[0]}` },
  revision,
  seats: [...names].map(seat),
  acks: Math.min(2, names.length),
})

/** A copy that is complete as of `base`, and has come from `known`. */
function complete(name: string, base: Config, known: readonly Config[] = []): CopyAnswer {
  const digest = { count: 1, xor: 1, sum: 1 }
  const rest = { isFenced: true, wasLed: true, chain: [], isCut: false, past: [], digest, version: 1 }
  return { seat: seat(name), before: base, base, top: base, known: [...known, base], ...rest }
}

/** One that has records of an owner after that, who has come from `past`, but not all. */
function half(before: CopyAnswer, top: Config, past: readonly Config[]): CopyAnswer {
  return { ...before, before: top, top, past }
}

/** One that was never complete. */
function begun(name: string, top: Config, past: readonly Config[]): CopyAnswer {
  return { ...complete(name, top), base: undefined, known: [], past }
}

function take(answers: readonly CopyAnswer[], self = 'z'): Extract<Decision, { type: 'take' }> {
  const decision = decideTakeover({
    self: seat(self),
    answers,
    silent: [],
    isGone: () => true,
    isPatienceOver: true,
  })
  assert.ok(decision.type === 'take')
  return decision
}

function decide(answers: readonly CopyAnswer[], self?: string): string {
  const { isSound, base, from, forks } = take(answers, self)
  const names = (one: readonly CopyAnswer[]): string => one.map(({ seat: { name } }) => name).join('')
  const others = forks.map((side) => `${names(side.from)} of ${side.base?.epoch.counter}`).join(', ')
  const first = `${names(from)} of ${base?.epoch.counter}`
  return `${isSound ? 'sound' : 'lost'} ${first} and ${others || 'nothing'}`
}

const texts = (log: RecordLog | undefined): string[] =>
  [...(log?.entries() ?? [])].map(({ key, record }) => `${key}=${new TextDecoder().decode(record)}`).sort()

// "a" with "b" and "c" with "d" led at once; "d" took both over, shipped some of it to "a", and died.
const [here, there, merger] = [config(1, 'ab'), config(2, 'cd'), config(4, 'da')]

test('what a merger had shipped half of does not pass for what it had merged', () => {
  const [a, b, c] = [complete('a', here), complete('b', here), complete('c', there)]
  // What is newer in "a" has come from what "c" has, and goes with that.
  assert.equal(decide([half(a, merger, [there]), b, c]), 'sound ca of 2 and ab of 1')
  // It was told that all was merged, but not that it has all.
  assert.equal(decide([half(a, merger, [here, there]), b, c]), 'sound ab of 1 and c of 2')
  // Of the other side with the higher number.
  const late = config(3, 'ab')
  const [x, y] = [complete('a', late), complete('b', late)]
  assert.equal(decide([half(x, merger, [there]), y, c]), 'sound ca of 2 and ab of 3')
})

test('other sides are merged into the one of which the merger has something: it must not be gone with the merger', () => {
  const answers = [complete('a', here), complete('b', here), complete('c', there), complete('d', there)]
  assert.equal(decide(answers), 'sound cd of 2 and ab of 1')
  assert.equal(decide(answers, 'b'), 'sound ab of 1 and cd of 2')
  assert.equal(decide(answers, 'd'), 'sound cd of 2 and ab of 1')
})

test('nor where the copy had nothing before', () => {
  const e = begun('e', config(4, 'de'), [here, there])
  assert.equal(decide([e, complete('b', here), complete('c', there)]), 'sound ce of 2 and b of 1')
})

test('what a merger came from and nobody has any more is lost, and the other side is merged', () => {
  const [a, b] = [complete('a', here), complete('b', here)]
  assert.equal(decide([half(a, merger, [there]), b]), 'lost a of undefined and ab of 1')
})

test('what another side has is not known before it is merged', () => {
  // It was told under which ones something may have counted, of both sides.
  const [late, heir] = [config(3, 'ab'), config(4, 'de')]
  const e = { ...begun('e', heir, [there]), chain: [there, late] }
  const { past, forks, chain } = take([e, complete('b', late), complete('c', there)])
  const known = [there, late, heir].map((one) => isKnownTo(past, one))
  assert.deepEqual(known, [true, false, true])
  assert.ok(isKnownTo(forks[0]!.past, late))
  assert.deepEqual(chain, [there, late, heir])
})

test('what was told of a merge later is not in what had come before', () => {
  const copy = new Copy(here, false)
  copy.put('k', new Uint8Array(1), 1)
  copy.complete()
  const again = { ...merger, revision: 1 }
  copy.promise(merger, [], joined(there))
  copy.put('k', new Uint8Array(2), 2)
  copy.promise(again, [], joined(here, there))
  copy.put('l', new Uint8Array(2), 3)
  assert.deepEqual(copy.origin, joined(there))
  copy.complete(joined(here, there))
  copy.promise({ ...merger, revision: 2 }, [], joined(here, there, again))
  copy.put('k', new Uint8Array(3), 4)
  assert.deepEqual(copy.origin, joined(here, there, again))
})

test('what a copy has of a key stays until what replaces it is there', () => {
  const [ours, theirs] = [new RecordLog(), new RecordLog()]
  for (const log of [ours, theirs]) log.put('same', bytes('same'), 1, 0)
  ours.put('other', bytes('newer'), 3, 0)
  theirs.put('other', bytes('older'), 2, 0)
  theirs.put('gone', bytes('gone'), 2, 0)
  const { keys, extras } = difference(ours, listHashes(theirs, 1))
  const gone = theirs.get('gone')
  assert.deepEqual([keys, extras], [['other'], [[gone?.keyHash, gone?.hash]]])
})

test('an heir that had shipped half of it makes no sides where there was one', () => {
  const [old, next, heir] = [config(1, 'ab'), config(2, 'bc'), config(3, 'cb')]
  const behind = complete('b', old)
  const ahead = complete('c', next, [old])
  assert.equal(decide([half(behind, heir, [old, next]), ahead]), 'sound cb of 2 and nothing')
  assert.equal(decide([half(ahead, heir, [old, next]), behind]), 'sound c of 2 and nothing')
  assert.equal(decide([half(behind, heir, [old])]), 'sound b of 1 and nothing')
  assert.equal(decide([begun('b', heir, [old, next]), ahead]), 'sound cb of 2 and nothing')
  // Two heirs died, one after the other.
  const last = config(4, 'bc')
  const both = [half(behind, heir, [old, next]), half(ahead, last, [old, next, heir])]
  assert.equal(decide(both), 'sound cb of 2 and nothing')
})

test('an heir of what both have come from is a side of its own beside one that never heard of it', () => {
  const [old, other, heir] = [config(1, 'abc'), config(7, 'cx'), config(5, 'yb')]
  const b = half(complete('b', old), heir, [old])
  assert.equal(decide([b, complete('c', other, [old])]), 'sound c of 7 and b of 1')
})

/** "d" has taken over what both sides have counted; its messages are carried by hand until "a" has got something of it. */
function halfway(isMerged: boolean, names = 'abcd'): Stand {
  const stand = new Stand(names)
  stand.take('a')
  for (const key of ['both', 'here']) stand.ship('a', key, 'a')
  stand.split(names.slice(2))
  stand.take('c')
  for (const key of ['both', 'there']) stand.ship('c', key, 'c')
  for (const name of 'ac') stand.of(name).yield(0)
  stand.split('')
  stand.isHeld = true
  stand.sent.length = 0
  stand.take('d')
  let isDone = false
  for (let isNew = true; isNew; ) {
    isNew = false
    for (const { from, ask } of stand.sent.splice(0)) {
      isNew = true
      const reply = stand.of(ask.to.name).answer(from, ask.ask, stand.now)
      const { top, base } = stand.of('a').copyOf(0)!
      if (top !== base) return stand
      stand.of(from).answered(ask.id, reply, stand.now)
      stand.run()
      if (isDone || stand.of('d').forksOf(0) === undefined) continue
      isDone = true
      stand.ship('d', isMerged ? 'both' : 'new', isMerged ? 'merged' : 'd')
      if (isMerged) stand.of('d').merged(0)
      stand.run()
    }
  }
  assert.fail('nothing was shipped')
}

for (const isMerged of [true, false]) {
  const what = isMerged ? 'had merged' : 'had not merged yet'
  test(`what both sides of a split have counted outlives a merger that ${what} and died while it shipped`, () => {
    const stand = halfway(isMerged)
    const { base, top } = stand.of('a').copyOf(0)!
    assert.deepEqual([base?.epoch.boot, top?.epoch.boot], ['boot-a', 'boot-d'])
    stand.isHeld = false
    stand.die('d')
    stand.now += 60_000
    stand.run()
    stand.take('b')
    stand.now += 60_000
    stand.run()
    const all = isMerged ? ['both=a', 'here=a', 'there=c'] : ['both=a', 'here=a', 'new=d', 'there=c']
    assert.deepEqual(stand.texts('b'), all)
    const fork = isMerged ? ['both=merged', 'there=c'] : ['both=c', 'new=d', 'there=c']
    assert.deepEqual(stand.of('b').forksOf(0)?.map(texts), [fork])
    stand.of('b').merged(0)
    stand.run()
    // Once is enough.
    stand.die('b')
    stand.now += 60_000
    stand.run()
    stand.take('a')
    assert.deepEqual(stand.texts('a'), all)
    assert.equal(stand.of('a').forksOf(0), undefined)
  })
}

for (const [names, what] of [
  ['abcd', 'is made a copy of its own by'],
  ['abcde', 'is dropped for'],
] as const) {
  test(`no copy of two sides ${what} an owner that knows one of them`, () => {
    const stand = halfway(false, names)
    stand.isHeld = false
    // "d" goes on without "a", and then "c" without "d"; of the other side only "a" is left.
    stand.split('ab')
    stand.now += 60_000
    stand.run()
    stand.die('d')
    stand.die('b')
    stand.take('c')
    stand.ship('c', 'late', 'c')
    assert.deepEqual(stand.texts('a'), ['both=a', 'here=a', 'new=d'])
    stand.alive.delete('a')
    stand.alive.add('a')
    stand.split('')
    for (let at = 0; at < 2; at++) {
      stand.now += 130_000
      stand.run()
    }
    assert.equal(stand.news.at(-1), 'c deposed')
    stand.take('c')
    assert.deepEqual(stand.of('c').forksOf(0)?.map(texts), [['new=d'], ['both=a', 'here=a']])
  })
}

test('whoever takes over with a copy of two sides keeps both until they are merged', () => {
  const stand = halfway(false)
  stand.isHeld = false
  stand.die('d')
  stand.now += 60_000
  stand.run()
  stand.take('a')
  const a = stand.of('a')
  const [first, side] = [
    ['both=c', 'here=a', 'new=d', 'there=c'],
    ['both=a', 'here=a'],
  ]
  assert.deepEqual([texts(a.toLive(0)), a.forksOf(0)?.map(texts)], [first, [side]])
  assert.deepEqual(stand.texts('a'), ['both=a', 'here=a', 'new=d', 'there=c'])
  a.merged(0)
  stand.run()
  assert.deepEqual([stand.texts('a'), stand.texts('b')], [first, first])
})

test('to have heard of a later list of another side is not to know what that had counted before', () => {
  const later = config(2, 'cd', 1)
  const own = { ...complete('a', here), before: later, chain: [later] }
  const { past } = take([own, complete('c', there)], 'a')
  assert.deepEqual([isKnownTo(past, here), isKnownTo(past, there)], [true, false])
})

test('who decided before a copy had answered has not heard of what that copy has, though it has promised', () => {
  const stand = new Stand('abde', { copies: 3 })
  stand.take('d')
  stand.ship('d', 'k', 'before')
  stand.split('de')
  stand.take('a')
  stand.ship('a', 'k', 'a')
  stand.ship('d', 'k', 'd')
  for (const name of 'ad') stand.of(name).yield(0)
  stand.split('')
  // Both of its list have promised, and it dies before it has merged what they have with what "e" has, too.
  stand.take('d')
  stand.die('d')
  // Those two are all of that list; "e" is asked, and answers too late to be heard.
  stand.take('a')
  assert.deepEqual([stand.news.at(-1), stand.texts('e')], ['a deposed', ['k=d']])
  stand.take('a')
  assert.deepEqual(
    [...stand.of('a').forksOf(0)!].map((log) => [...log.entries()].map(({ key }) => key)),
    [['k']],
  )
})

test('an older copy of the other side follows whoever has heard of it', () => {
  const [here, there, older] = [config(4, 'ab'), config(5, 'zx'), config(1, 'de')]
  const answers = [complete('a', here), complete('x', there, [older]), complete('e', older)]
  const decision = decideTakeover({
    self: seat('a'),
    answers,
    silent: [],
    isGone: () => true,
    isPatienceOver: true,
  })
  assert.ok(decision.type === 'take')
  const copy = new Copy(older, false)
  copy.put('k', bytes('d'), 1)
  copy.complete()
  const next = config(6, 'ae')
  copy.fence(next)
  const heard = joined(...decision.past, ...decision.chain)
  assert.ok(copy.isFollowedBy(next, heard, decision.past))
})

test('whoever follows the last that a copy has promised is to have heard of what came before that, too', () => {
  const [before, counted, asked, next] = [config(1, 'de'), config(2, 'ze'), config(3, 'ye'), config(4, 'ae')]
  const copy = new Copy(before, false)
  copy.complete()
  copy.promise(counted, [], joined(before))
  copy.put('k', bytes('z'), 1)
  for (const one of [asked, next]) copy.fence(one)
  const follows = (...heard: Config[]): boolean => copy.isFollowedBy(next, joined(...heard), [])
  assert.deepEqual([follows(before, asked), follows(before, counted, asked)], [false, true])
})
