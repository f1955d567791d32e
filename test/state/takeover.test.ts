/** What a next owner concludes from the copies it has heard. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CopyAnswer } from '../../src/state/answers.ts'
import type { Config, Seat } from '../../src/state/config.ts'
import { Copies } from '../../src/state/copies.ts'
import { isKnownTo } from '../../src/state/lineage.ts'
import { replicationLimits } from '../../src/state/replication-config.ts'
import { decideTakeover, type Hearing } from '../../src/state/takeover.ts'

const seat = (name: string): Seat => ({ name, boot: `boot-${name}` })
const config = (counter: number, names: string, acks: number, revision = 0): Config => ({
  epoch: { counter, boot: `boot-${names[0]}` },
  revision,
  seats: [...names].map(seat),
  acks,
})

function answer(name: string, fields: Partial<CopyAnswer> = {}): CopyAnswer {
  const digest = { count: 1, xor: 1, sum: 1 }
  const none = {
    before: undefined,
    wasLed: true,
    base: undefined,
    top: undefined,
    chain: [],
    isCut: false,
    past: [],
    known: [],
  }
  return { seat: seat(name), isFenced: true, ...none, digest, version: 1, ...fields }
}

const complete = (name: string, at: Config): CopyAnswer => answer(name, { before: at, base: at, top: at })

function decide(answers: CopyAnswer[], fields: Partial<Hearing> = {}): string {
  const decision = decideTakeover({
    self: seat('z'),
    answers,
    silent: [],
    isGone: () => true,
    isPatienceOver: true,
    ...fields,
  })
  if (decision.type === 'fence') return `fence ${decision.seats.map(({ name }) => name)}`
  if (decision.type === 'wait') return 'wait'
  const from = decision.from.map((one) => one.seat.name).join('')
  return `${decision.isSound ? 'sound' : 'lost'} from ${from || 'nobody'}`
}

test('acks - 1 members may be missing, one more makes it a loss', () => {
  const three = config(1, 'abc', 2)
  assert.equal(decide([complete('b', three), complete('c', three)]), 'sound from bc')
  assert.equal(decide([complete('c', three)]), 'lost from c')
  assert.equal(decide([complete('b', config(1, 'ab', 2))]), 'sound from b')
  assert.equal(decide([complete('b', config(1, 'ab', 1))]), 'lost from b')
})

test('members who live are waited for, strangers only while there is patience', () => {
  const two = config(1, 'ab', 2)
  const silent = [seat('x')]
  assert.equal(decide([complete('b', two)], { silent, isPatienceOver: false }), 'wait')
  assert.equal(decide([complete('b', two)], { silent }), 'sound from b')
  const three = config(1, 'abc', 2)
  assert.equal(
    decide([complete('b', three)], { silent: [seat('c')], isGone: ({ name }) => name === 'a' }),
    'wait',
  )
  // Two of three: nobody can have taken over without one of them.
  const heard = [complete('b', three), complete('c', three)]
  assert.equal(decide(heard, { silent, isPatienceOver: false }), 'sound from bc')
})

test('what only an older configuration vouches for does not count', () => {
  const [old, next] = [config(1, 'ab', 2), config(2, 'bc', 2)]
  assert.equal(decide([complete('a', old), complete('c', next)]), 'sound from c')
  const behind = answer('b', { before: next, base: old, top: next, chain: [] })
  assert.equal(decide([behind, complete('c', next)]), 'sound from cb')
})

test('a copy that was never complete is not taken for all there was', () => {
  const next = config(2, 'bc', 2)
  assert.equal(decide([answer('c', { before: next, top: next, chain: [config(1, 'ab', 2)] })]), 'lost from c')
  assert.equal(decide([answer('c', { before: next, base: next, top: next, isCut: true })]), 'sound from c')
})

test('a member with nothing must promise too, and one that has restarted is gone with what it had', () => {
  const two = config(1, 'abc', 2)
  const empty = answer('c', { isFenced: false, digest: { count: 0, xor: 0, sum: 0 } })
  assert.equal(decide([complete('b', two), empty]), 'fence c')
  const restarted = { ...empty, seat: { name: 'c', boot: 'later' } }
  assert.equal(decide([complete('b', two), restarted]), 'lost from b')
})

test('where nobody has anything there is nothing to lose', () => {
  const empty = answer('b', { isFenced: false, digest: { count: 0, xor: 0, sum: 0 } })
  assert.equal(decide([empty]), 'sound from nobody')
})

test('what a copy was only asked for is followed, not known: it may have led elsewhere', () => {
  const [asked, own] = [config(4, 'ac', 2), config(5, 'bd', 2)]
  const empty = answer('d', { before: asked, wasLed: false, digest: { count: 0, xor: 0, sum: 0 } })
  const decision = decideTakeover({
    self: seat('z'),
    answers: [complete('b', own), empty],
    silent: [],
    isGone: () => true,
    isPatienceOver: true,
  })
  assert.ok(decision.type === 'take')
  assert.deepEqual([isKnownTo(decision.past, asked), isKnownTo(decision.past, own)], [false, true])
  assert.deepEqual([decision.isSound, decision.chain], [true, [asked, own]])
})

test('what a copy had followed before others asked it is followed too, or it would follow nobody any more', () => {
  const [older, asked, own] = [config(3, 'de', 2), config(8, 'bd', 1), config(7, 'bd', 2)]
  const none = { count: 0, xor: 0, sum: 0 }
  const empty = answer('e', { before: asked, wasLed: false, chain: [older], digest: none })
  const decision = decideTakeover({
    self: seat('z'),
    answers: [complete('b', own), complete('d', own), empty],
    silent: [],
    isGone: () => true,
    isPatienceOver: true,
  })
  assert.ok(decision.type === 'take')
  assert.deepEqual(decision.chain, [older, own, asked])
})

test('what was led is overwritten by nobody who only knows that something may have counted there', () => {
  const [led, heir] = [config(4, 'ac', 2), config(6, 'bc', 2)]
  const refused = (past: Config[], isFenced: boolean): boolean => {
    const copies = new Copies({
      self: seat('c'),
      limits: replicationLimits,
      counters: { refusedByFence: 0, refusedMessages: 0, repairedKeys: 0 },
      leads: () => undefined,
      deposed: () => {},
    })
    const row = { partition: 0, records: new Uint8Array(0) }
    const told = ({ epoch, revision }: Config) => ({ ...row, epoch, revision })
    assert.equal(copies.ship({ ...told(led), config: led, anew: true }, seat('a')).type, 'ok')
    if (isFenced) assert.equal(copies.fence({ partition: 0, config: heir }).type, 'promised')
    const ask = { ...told(heir), config: heir, chain: [led], past }
    return copies.ship(ask, seat('b')).type === 'refused'
  }
  assert.deepEqual([refused([], false), refused([led], false)], [true, false])
  // It has asked this copy, and knows what is in it.
  assert.equal(refused([], true), false)
})
