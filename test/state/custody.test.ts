/** Custody of one node, told what peers and its store do: what each oddity comes to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CopiesPort } from '../../src/state/copies-port.ts'
import { Custody, custodyLimits } from '../../src/state/custody.ts'
import type {
  Ask,
  CustodyInput,
  CustodyOutput,
  Elsewhere,
  GiveEntry,
  Reply,
  ViewPeer,
} from '../../src/state/custody-io.ts'
import { unknownCounter, unsureCounter } from '../../src/state/custody-io.ts'
import { noEpoch } from '../../src/state/epoch.ts'
import { counterMax, hearsayMax } from '../../src/state/fields.ts'
import {
  packPartitions,
  readAsk,
  readReply,
  unpackPartitions,
  writeAsk,
  writeReply,
} from '../../src/state/messages.ts'
import { Pace } from '../../src/state/pace.ts'
import { batchesMax } from '../../src/state/taker.ts'
import { World } from './custody-world.ts'

const bob: ViewPeer = { name: 'bob', boot: 'b1', isLeaving: false }
const carl: ViewPeer = { name: 'carl', boot: 'c1', isLeaving: false }

/** What bob says who knows nothing. */
const nothing: Extract<Reply, { type: 'claimed' }> = {
  type: 'claimed',
  boot: 'b1',
  held: [],
  elsewhere: [],
  contested: [],
  orphaned: [],
  counter: 0,
  bytes: 0,
}

/** Alice, of sixteen partitions. */
class Alone {
  readonly custody: Custody
  readonly keys: Map<number, number> = new Map()
  outputs: CustodyOutput[] = []
  now = 0
  #owners: string[] = []

  constructor(copies: Partial<CopiesPort> | undefined = undefined) {
    this.custody = new Custody({
      copies: copies as CopiesPort | undefined,
      partitions: 16,
      self: 'alice',
      boot: 'a1',
      copiesLive: true,
      size: (partition) => {
        const keys = this.keys.get(partition) ?? 0
        return { keys, bytes: keys * 100 }
      },
      limits: custodyLimits,
    })
  }

  feed(input: CustodyInput): CustodyOutput[] {
    this.outputs = []
    this.custody.handle(input, this.now)
    for (let output = this.custody.poll(); output !== undefined; output = this.custody.poll()) {
      this.outputs.push(output)
    }
    return this.outputs
  }

  /** Lets time pass, with all its ticks; what came of the last one. */
  pass(ms: number): CustodyOutput[] {
    const all: CustodyOutput[] = []
    const until = this.now + ms
    while (this.custody.deadline <= until) {
      this.now = Math.max(this.now, this.custody.deadline)
      all.push(...this.feed({ type: 'tick' }))
    }
    this.now = until
    this.outputs = all
    return all
  }

  /** All partitions are this one's from now on, by our table. */
  view(owner: string, peers: readonly ViewPeer[]): CustodyOutput[] {
    const before = this.#owners
    this.#owners = Array.from({ length: 16 }, () => owner)
    const all = Array.from({ length: 16 }, (_, partition) => partition)
    const gained = owner === 'alice' && before[0] !== 'alice' ? all : []
    const lost = owner !== 'alice' && before[0] === 'alice' ? all : []
    const owners = { ownerOf: () => owner }
    return this.feed({ type: 'view', owners, gained, lost, peers })
  }

  of<Type extends CustodyOutput['type']>(type: Type): Extract<CustodyOutput, { type: Type }>[] {
    return this.outputs.filter(
      (output): output is Extract<CustodyOutput, { type: Type }> => output.type === type,
    )
  }

  asks<Type extends Ask['type']>(
    type: Type,
  ): { id: number; to: string; ask: Extract<Ask, { type: Type }> }[] {
    return this.of('ask')
      .filter(({ ask }) => ask.type === type)
      .map(({ id, to, ask }) => ({ id, to, ask: ask as Extract<Ask, { type: Type }> }))
  }

  replies(): Reply[] {
    return this.of('answer').map(({ reply }) => reply)
  }
}

function give(batch: number, entries: readonly Partial<GiveEntry>[], toBoot = 'a1', below = 1): Ask {
  return {
    type: 'give',
    boot: 'b1',
    toBoot,
    batch,
    below,
    along: undefined,
    entries: entries.map((entry) => ({
      partition: 0,
      epoch: { counter: 3, boot: 'b1' },
      copy: 0,
      chunks: [],
      list: [],
      ...entry,
    })),
  }
}

/** Bob has all, and alice owns it. */
function seeking(alice: Alone = new Alone()): Alone {
  alice.view('bob', [bob])
  alice.view('alice', [bob])
  const [claim] = alice.asks('claim')
  assert.equal(claim?.to, 'bob')
  const held = claim.ask.partitions
  alice.feed({
    type: 'answered',
    id: claim.id,
    reply: { ...nothing, held, counter: 3, bytes: 1_600 },
  })
  return alice
}

/** Alice has all, and bob owns it and has claimed it; what is frozen first. */
function giving(keys = 1, copies: Partial<CopiesPort> | undefined = undefined): Alone {
  const alice = new Alone(copies)
  const partitions = Array.from({ length: 16 }, (_, partition) => partition)
  const epochs = partitions.map(() => ({ counter: 1, boot: 'a1' }))
  alice.view('alice', [])
  if (copies !== undefined) alice.feed({ type: 'blank', partitions, epochs, lost: new Set() })
  for (const partition of partitions) alice.keys.set(partition, keys)
  alice.view('bob', [bob])
  alice.feed({ type: 'asked', id: 1, from: 'bob', ask: { type: 'claim', boot: 'b1', partitions } })
  return alice
}

test('where nobody holds anything, as many nodes start at once, all is open after one round trip', () => {
  const world = new World({ partitions: 64, seed: 3, delayMs: [1, 1], viewMs: 0 })
  const started = ['a', 'b', 'c', 'd'].map((name) => ({ name, boot: `s-${name}`, status: 'ready' as const }))
  for (const { name } of started) world.start(name, 'joining')
  world.run(10)
  world.change(world.members.map((member) => ({ ...member, status: 'ready' })))
  world.run(12.5)
  world.settled()
})

test('a node that is alone opens its partitions without asking anybody', () => {
  const alice = new Alone()
  alice.view('alice', [])
  assert.equal(alice.of('activate')[0]?.partitions.length, 16)
  assert.equal(alice.custody.held, 16)
  assert.equal(alice.custody.deadline, Infinity)
})

test('calls go to the holder until the partition is here, and wait when they come back from it', () => {
  const alice = seeking()
  assert.equal(alice.custody.where(5), 'bob')
  alice.feed({ type: 'sealed', partition: 5, by: 'bob' })
  assert.equal(alice.custody.where(5), '')
  assert.equal(alice.custody.where(6), 'bob')
  alice.feed({ type: 'asked', id: 9, from: 'bob', ask: give(1, [{ partition: 5 }]) })
  assert.equal(alice.custody.where(5), 'alice')
  assert.deepEqual(alice.custody.epochOf(5), { counter: 4, boot: 'a1' })
})

test('a batch that comes again is answered alike and does nothing twice', () => {
  const alice = seeking()
  alice.feed({ type: 'asked', id: 1, from: 'bob', ask: give(1, [{ partition: 2 }]) })
  const first = alice.replies()
  assert.deepEqual(first, [{ type: 'given', taken: [2], refused: [] }])
  alice.feed({ type: 'asked', id: 2, from: 'bob', ask: give(1, [{ partition: 2 }]) })
  assert.deepEqual(alice.replies(), first)
  assert.deepEqual(alice.of('activate'), [])
  // Also when it has been given away since.
  alice.view('carl', [bob, carl])
  alice.feed({ type: 'asked', id: 3, from: 'bob', ask: give(1, [{ partition: 2 }]) })
  assert.deepEqual(alice.replies(), first)
})

test('what is given is led at an epoch above all that its own copy has promised', () => {
  const promised = (partition: number): number => (partition === 2 ? 9 : 0)
  const alice = seeking(new Alone({ promised }))
  alice.feed({ type: 'asked', id: 1, from: 'bob', ask: give(1, [{ partition: 2 }, { partition: 3 }]) })
  const counters = alice.of('activate').flatMap(({ epochs }) => epochs.map(({ counter }) => counter))
  assert.deepEqual(counters, [10, 4])
})

test('a batch is answered once all of it is read, whoever asks again meanwhile', () => {
  const alice = seeking()
  alice.feed({
    type: 'asked',
    id: 1,
    from: 'bob',
    ask: give(1, [{ partition: 2, chunks: [new Uint8Array(3)] }]),
  })
  const [accept] = alice.of('accept')
  assert.equal(accept?.partition, 2)
  alice.feed({
    type: 'asked',
    id: 2,
    from: 'bob',
    ask: give(1, [{ partition: 2, chunks: [new Uint8Array(3)] }]),
  })
  assert.deepEqual(alice.outputs, [])
  alice.feed({ type: 'accepted', id: accept.id, partition: 2, reason: undefined })
  assert.deepEqual(
    alice.of('answer').map(({ id }) => id),
    [1, 2],
  )
})

test('what is live here is not taken over while its calls run, though nothing comes with it', () => {
  const alice = seeking()
  alice.feed({ type: 'asked', id: 1, from: 'bob', ask: give(1, [{ partition: 2 }]) })
  alice.outputs.length = 0
  alice.feed({ type: 'asked', id: 2, from: 'bob', ask: give(2, [{ partition: 2 }]) })
  const [accept] = alice.of('accept')
  assert.deepEqual([accept?.partition, alice.of('activate').length], [2, 0])
  alice.feed({ type: 'accepted', id: accept?.id ?? 0, partition: 2, reason: undefined })
  assert.deepEqual([alice.of('activate').length, alice.replies().length], [1, 1])
})

test('what cannot be read is discarded and refused, and what is read too late too', () => {
  const alice = seeking()
  const chunks = [new Uint8Array(3)]
  alice.feed({
    type: 'asked',
    id: 1,
    from: 'bob',
    ask: give(1, [
      { partition: 2, chunks },
      { partition: 3, chunks },
    ]),
  })
  const [bad, slow] = alice.of('accept')
  alice.feed({ type: 'accepted', id: bad?.id ?? 0, partition: 2, reason: 'nonsense' })
  assert.deepEqual(alice.of('discard'), [{ type: 'discard', partition: 2 }])
  alice.pass(custodyLimits.acceptMs)
  const [reply] = alice.replies()
  assert.ok(reply?.type === 'given')
  assert.deepEqual(reply.taken, [])
  assert.deepEqual(
    reply.refused.map(({ code }) => code),
    ['unreadable', 'late'],
  )
  alice.feed({ type: 'accepted', id: slow?.id ?? 0, partition: 3, reason: undefined })
  assert.deepEqual(alice.of('discard'), [{ type: 'discard', partition: 3 }])
  assert.deepEqual(alice.of('activate'), [])
})

test('handoff of what is not ours, for another life of us, or from a stranger changes nothing', () => {
  const alice = new Alone()
  alice.view('bob', [bob])
  alice.feed({
    type: 'asked',
    id: 1,
    from: 'bob',
    ask: give(1, [{ partition: 2, chunks: [new Uint8Array(9)] }]),
  })
  assert.deepEqual(
    alice.outputs.map(({ type }) => type),
    ['answer'],
  )
  const [refusal] = alice.replies()
  assert.ok(refusal?.type === 'given' && refusal.refused[0]?.code === 'notOwner')
  alice.view('alice', [bob])
  alice.feed({ type: 'asked', id: 2, from: 'bob', ask: give(2, [{ partition: 2 }], 'a0') })
  assert.deepEqual(alice.replies(), [{ type: 'stranger' }])
  alice.feed({ type: 'asked', id: 3, from: 'mallory', ask: give(1, [{ partition: 2 }]) })
  const [reply] = alice.replies()
  assert.ok(reply?.type === 'given' && reply.refused[0]?.code === 'notOwner')
  const copying = { from: 'mallory', boot: 'm1', toBoot: 'a1', partition: 2, copy: 1, after: 0 }
  alice.feed({ type: 'copying', id: 4, ...copying })
  assert.equal(alice.of('reject')[0]?.refusal.code, 'notOwner')
  assert.deepEqual(alice.of('activate'), [])
  assert.equal(alice.custody.held, 0)
})

test(`no more than ${batchesMax} batches of a giver that are not settled are taken`, () => {
  const alice = seeking()
  for (let batch = 1; batch <= batchesMax + 1; batch++) {
    alice.feed({ type: 'asked', id: batch, from: 'bob', ask: give(batch, [{ partition: batch % 16 }]) })
  }
  assert.deepEqual(alice.replies().at(-1), { type: 'later' })
  alice.feed({ type: 'asked', id: 99, from: 'bob', ask: give(batchesMax + 1, [{ partition: 1 }], 'a1', 2) })
  assert.equal(alice.of('accept').length, 1)
  // One that is settled is answered too, or whoever waits for it would wait here for ever.
  alice.feed({ type: 'asked', id: 100, from: 'bob', ask: give(1, [{ partition: 1 }], 'a1', 2) })
  assert.deepEqual(alice.replies(), [{ type: 'given', taken: [], refused: [] }])
})

test('a giver that is told so asks the same batch again a little later', () => {
  const alice = giving()
  const [{ partitions = [] } = {}] = alice.of('freeze')
  alice.feed({ type: 'frozen', partitions })
  const chunks = [new Uint8Array(3)]
  for (const partition of partitions) alice.feed({ type: 'collected', partition, chunks, complete: true })
  const [first] = alice.asks('give')
  assert.ok(first !== undefined)
  alice.feed({ type: 'answered', id: first.id, reply: { type: 'later' } })
  assert.deepEqual(alice.of('thaw'), [])
  alice.pass(20)
  assert.equal(alice.asks('give')[0]?.ask.batch, first.ask.batch)
})

test('a partition whose calls do not end is served again, and given later', () => {
  const alice = giving()
  const [freeze] = alice.of('freeze')
  assert.equal(freeze?.partitions.length, 16)
  const [slow = 0, ...rest] = freeze.partitions
  alice.feed({ type: 'frozen', partitions: rest })
  assert.equal(alice.custody.where(slow), 'bob')
  alice.pass(custodyLimits.freezeMs)
  assert.ok(alice.of('thaw').some(({ partitions }) => partitions.includes(slow)))
  assert.ok(alice.of('told').some(({ what, reason }) => what === 'refused' && /does not end/.test(reason)))
  assert.equal(alice.custody.where(slow), 'alice')
  assert.ok(alice.pass(2_000).some((output) => output.type === 'freeze' && output.partitions.includes(slow)))
})

test('what cannot be collected is served again', () => {
  const alice = giving()
  alice.feed({ type: 'frozen', partitions: [7] })
  assert.deepEqual(
    alice.of('collect').map(({ partition }) => partition),
    [7],
  )
  alice.feed({ type: 'uncollected', partition: 7, reason: 'disk full' })
  assert.deepEqual(alice.of('thaw'), [{ type: 'thaw', partitions: [7] }])
  assert.equal(alice.of('told')[0]?.reason, 'disk full')
})

test('a batch without an answer is asked again until it has one, and thawed only when its taker is gone', () => {
  const alice = giving()
  const partitions = alice.of('freeze')[0]?.partitions ?? []
  alice.feed({ type: 'frozen', partitions })
  for (const partition of partitions) alice.feed({ type: 'collected', partition, chunks: [], complete: true })
  let asked = alice.asks('give')
  const [first] = asked
  assert.equal(first?.ask.entries.length, 16)
  for (let time = 0; time < 5; time++) {
    alice.feed({ type: 'unanswered', id: asked[0]?.id ?? 0 })
    alice.pass(1_000)
    asked = alice.asks('give')
    assert.deepEqual(asked[0]?.ask, first.ask)
  }
  // The table may say what it likes meanwhile.
  alice.view('alice', [bob])
  assert.deepEqual(alice.of('thaw'), [])
  alice.feed({ type: 'peers', peers: [] })
  assert.equal(alice.of('thaw')[0]?.partitions.length, 16)
  assert.equal(alice.custody.where(3), 'alice')
})

/** Bob was asked to take what alice has, and is gone before he has answered; carl is there. */
function doubting(end: 'gone' | 'reborn', isLeaving = true): Alone {
  const alice = new Alone()
  alice.view('alice', [])
  for (let partition = 0; partition < 16; partition++) alice.keys.set(partition, 1)
  alice.view('bob', [isLeaving ? { ...bob, isLeaving } : bob, carl])
  const partitions = [3]
  alice.feed({ type: 'asked', id: 1, from: 'bob', ask: { type: 'claim', boot: 'b1', partitions } })
  alice.feed({ type: 'frozen', partitions })
  alice.feed({ type: 'collected', partition: 3, chunks: [Uint8Array.of(1)], complete: true })
  alice.feed({ type: 'unanswered', id: alice.asks('give')[0]?.id ?? 0 })
  if (end === 'gone') alice.view('carl', [carl])
  else {
    alice.pass(20)
    alice.feed({ type: 'answered', id: alice.asks('give')[0]?.id ?? 0, reply: { type: 'stranger' } })
  }
  return alice
}

test('what was given to one that is gone unanswered is served again only if nobody else has it by now', () => {
  for (const end of ['gone', 'reborn'] as const) {
    const ask = (alice: Alone): number => {
      const whose = alice.asks('whose').filter(({ to }) => to === 'carl')
      assert.deepEqual(
        whose.map(({ ask }) => ask.partitions),
        [[3]],
      )
      for (const { id, to } of alice.asks('whose'))
        if (to === 'bob') alice.feed({ type: 'answered', id, reply: { type: 'stranger' } })
      assert.equal(alice.custody.where(3), '')
      return whose[0]?.id ?? 0
    }
    const held = (counter: number): Reply => ({
      type: 'holds',
      boot: 'c1',
      held: [{ epoch: { counter, boot: 'c1' }, partitions: [3] }],
      pending: [],
    })
    const moved = doubting(end)
    moved.feed({ type: 'answered', id: ask(moved), reply: held(5) })
    assert.deepEqual(
      [moved.of('release').map(({ partitions }) => partitions), moved.of('thaw'), moved.custody.epochOf(3)],
      [[[3]], [], undefined],
    )
    // Another side of a split, which knows nothing of ours.
    const older = doubting(end)
    older.feed({
      type: 'answered',
      id: ask(older),
      reply: { ...held(5), held: [{ epoch: noEpoch, partitions: [3] }] } as Reply,
    })
    assert.deepEqual(older.of('thaw')[0]?.partitions, [3])
    assert.deepEqual(
      older.of('told').map(({ what, peer, partitions }) => [what, peer, partitions]),
      [['lost', 'bob', [3]]],
    )
    const pending = doubting(end)
    pending.feed({
      type: 'answered',
      id: ask(pending),
      reply: { ...held(5), held: [], pending: [3] } as Reply,
    })
    pending.pass(60)
    pending.feed({ type: 'answered', id: ask(pending), reply: held(5) })
    assert.equal(pending.of('release').length, 1)
    const silent = doubting(end)
    silent.feed({ type: 'unanswered', id: ask(silent) })
    silent.pass(50)
    silent.feed({ type: 'unanswered', id: ask(silent) })
    silent.feed({ type: 'peers', peers: [] })
    assert.deepEqual(silent.of('thaw'), [])
    silent.pass(60)
    assert.deepEqual(silent.of('thaw')[0]?.partitions, [3])
  }
})

test('what another one leads by now, as replication says, is not served again once the doubt is over', () => {
  for (const end of ['gone', 'reborn'] as const) {
    const alice = doubting(end)
    const asked = alice.asks('whose')
    alice.feed({ type: 'deposed', partition: 3, counter: 9, by: 'carl' })
    const { held } = alice.custody
    const nobody: Reply = { type: 'holds', boot: 'c1', held: [], pending: [] }
    for (const { id } of asked) alice.feed({ type: 'answered', id, reply: nobody })
    const after = alice.pass(10_000).filter(({ type }) => type === 'thaw' || type === 'release')
    assert.deepEqual([alice.custody.epochOf(3), alice.custody.held, after], [undefined, held, []])
  }
})

test('a taker that does not host the store is told of, one that has restarted is not', () => {
  for (const [reply, refused] of [
    [
      { type: 'stranger', lacksStore: true },
      [['bob', 'it does not host it: every member of its role that is not an observer must']],
    ],
    [{ type: 'stranger' }, []],
  ] as const) {
    const alice = giving()
    alice.feed({ type: 'frozen', partitions: [3] })
    alice.feed({ type: 'collected', partition: 3, chunks: [Uint8Array.of(1)], complete: true })
    const [ask] = alice.asks('give')
    assert.deepEqual(readReply(writeReply(reply), 16), reply)
    alice.feed({ type: 'answered', id: ask?.id ?? 0, reply })
    assert.deepEqual(
      alice.of('told').map(({ peer, reason }) => [peer, reason]),
      refused,
    )
    assert.equal(alice.of('thaw').length, 1)
  }
})

test('what was given to one that died, or seems to have, is served again at once', () => {
  const alice = doubting('gone', false)
  assert.deepEqual([alice.of('thaw')[0]?.partitions, alice.asks('whose')], [[3], []])
  assert.deepEqual(
    alice.of('told').map(({ what, peer }) => [what, peer]),
    [['lost', 'bob']],
  )
})

test('who has what, and since when, is told without giving it', () => {
  const alice = giving()
  const ask: Ask = { type: 'whose', boot: 'c1', partitions: [3, 4] }
  alice.feed({ type: 'asked', id: 7, from: 'carl', ask })
  const epoch = { counter: 1, boot: 'a1' }
  assert.deepEqual(alice.replies(), [
    { type: 'holds', boot: 'a1', held: [{ epoch, partitions: [3, 4] }], pending: [] },
  ])
  const taker = seeking()
  taker.feed({ type: 'asked', id: 1, from: 'bob', ask: give(1, [{ chunks: [Uint8Array.of(1)] }]) })
  taker.feed({ type: 'asked', id: 7, from: 'carl', ask: { ...ask, partitions: [0, 4] } })
  assert.deepEqual(taker.replies(), [{ type: 'holds', boot: 'a1', held: [], pending: [0] }])
})

test('what is frozen is held, whatever the table says meanwhile, until its taker has said that it took it', () => {
  const alice = giving()
  const partitions = alice.of('freeze')[0]?.partitions ?? []
  alice.feed({ type: 'frozen', partitions })
  for (const partition of partitions) alice.feed({ type: 'collected', partition, chunks: [], complete: true })
  alice.feed({ type: 'unanswered', id: alice.asks('give')[0]?.id ?? 0 })
  alice.view('carl', [bob, carl])
  const ask: Ask = { type: 'claim', boot: 'c1', partitions: [3, 4] }
  alice.feed({ type: 'asked', id: 7, from: 'carl', ask })
  const [reply] = alice.replies()
  assert.deepEqual(reply?.type === 'claimed' && [reply.held, reply.elsewhere], [[3, 4], []])
})

test('a new owner does not open what its giver cannot get across to the one before', () => {
  const world = new World({ partitions: 32, seed: 5, viewMs: 5 })
  const a = world.start('a')
  world.run(100)
  for (let partition = 0; partition < 32; partition++) world.mark(partition)
  // Nothing arrives at b, which nobody notices.
  world.cuts.add('a b')
  world.cuts.add('c b')
  world.start('b')
  world.run(3_000)
  const frozen = Array.from({ length: 32 }, (_, partition) => partition).filter(
    (partition) => a.custody.epochOf(partition) !== undefined && !a.active.has(partition),
  )
  assert.ok(frozen.length > 5, `${frozen.length}`)
  const c = world.start('c')
  world.run(90_000)
  const both = frozen.filter((partition) => c.table.ownerOf(partition) === 'c')
  assert.ok(both.length > 0)
  assert.deepEqual(
    both.map((partition) => [c.custody.where(partition), c.custody.epochOf(partition)]),
    both.map(() => ['a', undefined]),
  )
  world.cuts.clear()
  world.run(95_000)
  world.settled()
  assert.deepEqual([world.missing(), world.untold()], [[], []])
})

test('whoever is to have what another node has sought hears of its holder that is gone', () => {
  const leaving = { ...bob, isLeaving: true }
  const ends: [string, (alice: Alone) => void][] = [
    ['at once', (alice) => alice.view('carl', [carl])],
    ['not yet, as we see it', (alice) => alice.view('carl', [leaving, carl])],
    [
      'later',
      (alice) => {
        alice.view('carl', [leaving, carl])
        alice.feed({ type: 'peers', peers: [carl] })
      },
    ],
  ]
  for (const [when, end] of ends) {
    const alice = new Alone()
    alice.view('bob', [bob, carl])
    alice.view('alice', [leaving, carl])
    end(alice)
    alice.feed({ type: 'asked', id: 1, from: 'carl', ask: { type: 'claim', boot: 'c1', partitions: [3] } })
    const [reply] = alice.replies()
    assert.ok(reply?.type === 'claimed')
    const isKnown = when !== 'not yet, as we see it'
    assert.deepEqual(reply.orphaned, isKnown ? [{ name: 'bob', partitions: [3] }] : [], when)
    const believed = { name: 'bob', boot: 'b1', counter: unsureCounter, isGone: false, partitions: [3] }
    assert.deepEqual(reply.elsewhere, isKnown ? [] : [believed], when)
  }
})

test('what has something in it goes before what is empty, however much that is', () => {
  const alice = new Alone()
  alice.view('alice', [])
  alice.keys.set(9, 1)
  alice.view('bob', [bob])
  const partitions = Array.from({ length: 16 }, (_, partition) => partition)
  alice.feed({ type: 'asked', id: 1, from: 'bob', ask: { type: 'claim', boot: 'b1', partitions } })
  const [freeze] = alice.of('freeze')
  assert.deepEqual([freeze?.partitions[0], freeze?.partitions.length], [9, 16])
})

test('many small partitions go before few large ones, which are copied while they are served', () => {
  const alice = new Alone()
  alice.view('alice', [])
  alice.keys.set(3, 1_000).set(4, 2).set(5, 1)
  alice.view('bob', [bob])
  alice.feed({
    type: 'asked',
    id: 1,
    from: 'bob',
    ask: { type: 'claim', boot: 'b1', partitions: [3, 4, 5, 6] },
  })
  assert.deepEqual(alice.of('freeze')[0]?.partitions, [5, 4, 6])
  assert.deepEqual(
    alice.of('copy').map(({ partition }) => partition),
    [3],
  )
  assert.equal(alice.custody.where(3), 'alice')
  alice.feed({ type: 'copied', partition: 3, copy: 1, outcome: 'whole', bytes: 100_000 })
  assert.deepEqual(alice.of('freeze')[0]?.partitions, [3])
})

test('an owner that claims before our table agrees has its partitions as soon as it does', () => {
  const alice = new Alone()
  alice.view('alice', [bob])
  for (const { id } of alice.asks('claim')) alice.feed({ type: 'answered', id, reply: { type: 'stranger' } })
  assert.equal(alice.custody.held, 16)
  alice.feed({ type: 'asked', id: 1, from: 'bob', ask: { type: 'claim', boot: 'b1', partitions: [1] } })
  const [reply] = alice.replies()
  assert.deepEqual(reply?.type === 'claimed' && reply.held, [1])
  assert.deepEqual(alice.of('freeze'), [])
  alice.view('bob', [bob])
  assert.equal(alice.of('freeze').length, 1)
})

/** Alice becomes the owner after dan, who is gone; what bob and carl say of partition 0. */
function hinted(bobs: Elsewhere[], carls: Elsewhere[]): Alone {
  const alice = new Alone()
  alice.view('dan', [bob, carl, { name: 'dan', boot: 'd1', isLeaving: false }])
  alice.view('alice', [bob, carl])
  const said = new Map([
    ['bob', { boot: 'b1', elsewhere: bobs }],
    ['carl', { boot: 'c1', elsewhere: carls }],
  ])
  for (const { id, to } of alice.asks('claim')) {
    const reply: Reply = {
      type: 'claimed',
      held: [],
      contested: [],
      orphaned: [],
      counter: 9,
      bytes: 0,
      ...said.get(to)!,
    }
    alice.feed({ type: 'answered', id, reply })
  }
  return alice
}

test('a hint is worth nothing once whoever it names had it and gave it to one that is gone', () => {
  const toCarl = { name: 'carl', boot: 'c1', counter: 2, isGone: false, partitions: [0] }
  const toDan = { name: 'dan', boot: 'd1', counter: 3, isGone: false, partitions: [0] }
  for (const [bobs, carls] of [
    [[toCarl], [toDan]],
    [[toCarl], [{ ...toDan, name: '', boot: '', counter: 2 }]],
    [[{ ...toDan, isGone: true }], []],
  ] as const) {
    const alice = hinted([...bobs], [...carls])
    assert.ok(alice.of('activate').some(({ partitions }) => partitions.includes(0)))
    assert.ok(alice.of('told').some(({ what, peer }) => what === 'lost' && peer === 'dan'))
  }
})

test('whoever is named and has not had it yet is asked again, as is one that waits for a node that is gone', () => {
  const toCarl = { name: 'carl', boot: 'c1', counter: 2, isGone: false, partitions: [0] }
  for (const [bobs, carls] of [
    [[toCarl], []],
    [[toCarl], [{ name: 'dan', boot: 'd1', counter: 1, isGone: false, partitions: [0] }]],
    [[{ name: 'dan', boot: 'd1', counter: unknownCounter, isGone: false, partitions: [0] }], []],
  ] as const) {
    const alice = hinted([...bobs], [...carls])
    assert.ok(!alice.of('activate').some(({ partitions }) => partitions.includes(0)))
    alice.pass(5)
    assert.deepEqual(
      alice.asks('claim').map(({ to, ask }) => [to, ask.partitions]),
      [
        ['bob', [0]],
        ['carl', [0]],
      ],
    )
  }
})

test('of two that seek the same, whoever comes first by name goes on, and the other asks again', () => {
  for (const [peer, isFirst] of [
    [bob, true],
    [{ ...bob, name: 'aaron' }, false],
  ] as const) {
    const alice = new Alone()
    alice.view('alice', [peer])
    const [claim] = alice.asks('claim')
    const ask: Ask = { type: 'claim', boot: 'b1', partitions: [3] }
    alice.feed({ type: 'asked', id: 1, from: peer.name, ask })
    const [reply] = alice.replies()
    assert.deepEqual(reply?.type === 'claimed' && reply.contested, isFirst ? [3] : [])
    alice.feed({ type: 'answered', id: claim?.id ?? 0, reply: nothing })
    assert.equal(alice.custody.where(3), isFirst ? 'alice' : '')
    assert.equal(alice.custody.where(4), 'alice')
    alice.pass(5)
    assert.deepEqual(
      alice.asks('claim').map(({ ask }) => ask.partitions),
      isFirst ? [] : [[3]],
    )
  }
})

/** Aaron, whom alice's view does not have yet, has claimed 3, and comes first; bob has answered that he knows nothing. */
function yielded(): Alone {
  const alice = new Alone()
  alice.view('alice', [bob])
  const [claim] = alice.asks('claim')
  const ask: Ask = { type: 'claim', boot: 'n1', partitions: [3] }
  alice.feed({ type: 'asked', id: 1, from: 'aaron', ask })
  alice.feed({ type: 'answered', id: claim?.id ?? 0, reply: nothing })
  alice.pass(5)
  return alice
}

/** All who are asked but aaron know nothing, and what is sent to him is lost; who was asked. */
function unheard(alice: Alone): string[] {
  const asked: string[] = []
  for (let asks = alice.asks('claim'); asks.length > 0; ) {
    const more: typeof asks = []
    for (const { id, to } of asks) {
      asked.push(to)
      alice.feed(to === 'aaron' ? { type: 'unanswered', id } : { type: 'answered', id, reply: nothing })
      more.push(...alice.asks('claim'))
    }
    asks = more
  }
  return asked
}

test('whoever goes on and is not in the view yet is asked again when a message to it is lost: it may have opened what it claimed', () => {
  const alice = yielded()
  assert.deepEqual(unheard(alice), ['bob', 'aaron'])
  assert.equal(alice.custody.where(3), '')
  alice.pass(50)
  const [again] = alice.asks('claim')
  assert.equal(again?.to, 'aaron')
  const reply: Reply = { ...nothing, boot: 'n1', held: [3] }
  alice.feed({ type: 'answered', id: again.id, reply })
  assert.equal(alice.custody.where(3), 'aaron')
  assert.equal(alice.custody.epochOf(3), undefined)
})

test('whoever goes on and never comes into the view is waited for 5 s after its claim, and what others said before it was given up is asked anew', () => {
  const alice = yielded()
  const asked: string[] = []
  for (let end = 4_900; alice.now < end; alice.pass(50)) asked.push(...unheard(alice))
  assert.equal(alice.custody.where(3), '')
  assert.equal(asked.filter((name) => name === 'bob').length, 1)
  for (let end = 5_100; alice.now < end; alice.pass(50)) asked.push(...unheard(alice))
  assert.equal(alice.custody.where(3), 'alice')
  assert.deepEqual(asked.slice(-2), ['aaron', 'bob'])
})

test('an answer is worth nothing once another one that was asked has left without one: all are asked again', () => {
  const alice = new Alone()
  alice.view('alice', [bob, carl])
  const ids = new Map(alice.asks('claim').map(({ to, id }) => [to, id]))
  const heard = { name: 'bob', boot: 'b1', counter: unknownCounter, isGone: false, partitions: [3] }
  const reply: Reply = { ...nothing, boot: 'c1', elsewhere: [heard] }
  alice.feed({ type: 'answered', id: ids.get('carl') ?? 0, reply })
  // Bob has given it to carl by now.
  alice.feed({ type: 'peers', peers: [carl] })
  assert.equal(alice.custody.where(3), '')
  const [again] = alice.asks('claim')
  assert.equal(again?.to, 'carl')
  alice.feed({ type: 'answered', id: again?.id ?? 0, reply: { ...nothing, boot: 'c1', held: [3] } })
  assert.deepEqual([alice.custody.where(3), alice.custody.where(4)], ['carl', 'alice'])
})

test('a node that leaves and holds nothing is waited for no longer, whatever it still does', () => {
  const alice = new Alone()
  const leaving = { ...bob, isLeaving: true }
  alice.view('alice', [leaving, carl])
  const ids = new Map(alice.asks('claim').map(({ to, id }) => [to, id]))
  alice.feed({ type: 'answered', id: ids.get('carl') ?? 0, reply: { ...nothing, boot: 'c1' } })
  assert.equal(alice.custody.where(3), '')
  alice.feed({ type: 'asked', id: 9, from: 'bob', ask: { type: 'empty', boot: 'b1' } })
  assert.deepEqual(alice.replies(), [{ type: 'noted' }])
  // Carl may have it since then.
  const again = alice.asks('claim')
  assert.deepEqual(
    again.map(({ to }) => to),
    ['carl'],
  )
  const reply: Reply = { ...nothing, boot: 'c1', held: [3] }
  alice.feed({ type: 'answered', id: again[0]?.id ?? 0, reply })
  assert.deepEqual([alice.custody.where(3), alice.custody.where(4)], ['carl', 'alice'])
  assert.deepEqual(alice.of('told'), [])
  const late = new Alone()
  late.view('bob', [leaving, carl])
  late.feed({ type: 'asked', id: 9, from: 'bob', ask: { type: 'empty', boot: 'b1' } })
  late.view('alice', [leaving, carl])
  assert.deepEqual(
    late.asks('claim').map(({ to }) => to),
    ['carl'],
  )
  const empty: Ask = { type: 'empty', boot: 'b1' }
  assert.deepEqual(readAsk(writeAsk(empty), 16), empty)
  assert.deepEqual(readReply(writeReply({ type: 'noted' }), 16), { type: 'noted' })
  alice.feed({ type: 'emptied' })
  assert.deepEqual(
    alice.asks('empty').map(({ to }) => to),
    ['bob', 'carl'],
  )
})

test('what is said to be with a member that has never been seen is not opened until it is seen, or the speaker hears that it is gone', () => {
  const toEve = { name: 'eve', boot: 'e1', isGone: false, partitions: [0] }
  for (const counter of [unsureCounter, 5]) {
    const alice = hinted([{ ...toEve, counter }], [])
    assert.ok(!alice.of('activate').some(({ partitions }) => partitions.includes(0)))
    alice.pass(5)
    assert.deepEqual(
      alice.asks('claim').map(({ to }) => to),
      ['bob', 'carl'],
    )
    for (const { id, to } of alice.asks('claim')) {
      const boot = to === 'bob' ? 'b1' : 'c1'
      const elsewhere = to === 'bob' ? [{ ...toEve, isGone: true, counter }] : []
      alice.feed({ type: 'answered', id, reply: { ...nothing, boot, elsewhere } })
    }
    assert.ok(alice.of('activate').some(({ partitions }) => partitions.includes(0)))
    assert.ok(
      alice.of('told').some(({ what, peer }) => what === 'lost' && (peer === 'eve' || peer === 'dan')),
    )
  }
})

test('a member that nobody else gets to see is waited for no longer than a holder', () => {
  const eve = { name: 'eve', boot: 'e1', counter: unsureCounter, isGone: false, partitions: [0] }
  const alice = hinted([eve], [])
  const until = custodyLimits.holderWaitMs + 1_000
  while (alice.now < until && alice.custody.epochOf(0) === undefined) {
    alice.pass(5)
    for (const { id, to } of alice.asks('claim')) {
      const boot = to === 'bob' ? 'b1' : 'c1'
      alice.feed({
        type: 'answered',
        id,
        reply: { ...nothing, boot, elsewhere: to === 'bob' ? [eve] : [] },
      })
    }
  }
  assert.ok(alice.now >= custodyLimits.holderWaitMs && alice.now < until, `${alice.now}`)
})

test('whoever owns a partition by the table of another one, and is gone, is said to have had it', () => {
  const alice = hinted(
    [{ name: 'dan', boot: 'd1', counter: unsureCounter, isGone: false, partitions: [0] }],
    [{ name: 'carl', boot: 'c1', counter: unsureCounter, isGone: false, partitions: [1] }],
  )
  assert.deepEqual(
    [0, 1].map((partition) => alice.custody.where(partition)),
    ['alice', 'alice'],
  )
  const other = new Alone()
  other.view('bob', [bob, carl])
  other.feed({ type: 'asked', id: 1, from: 'carl', ask: { type: 'claim', boot: 'c1', partitions: [3] } })
  const [reply] = other.replies()
  assert.deepEqual(reply?.type === 'claimed' && reply.elsewhere, [
    { name: 'bob', boot: 'b1', counter: unsureCounter, isGone: false, partitions: [3] },
  ])
})

test('messages arrive as they were sent, and what is malformed is nothing', () => {
  for (const partitions of [[], [0], [5, 3, 65_535], Array.from({ length: 1_000 }, (_, i) => i * 65)]) {
    const sorted = [...partitions].sort((a, b) => a - b)
    assert.deepEqual(unpackPartitions(packPartitions(partitions), 65_536), sorted)
  }
  const ask = give(7, [
    { partition: 1 },
    { partition: 2, copy: 5, chunks: [Uint8Array.of(1, 2)], list: ['bob'] },
  ])
  assert.deepEqual(readAsk(writeAsk(ask), 16), ask)
  const reply: Reply = {
    type: 'claimed',
    boot: 'b1',
    held: [1],
    elsewhere: [{ name: 'carl', boot: 'c1', counter: 7, isGone: false, partitions: [2, 3] }],
    contested: [4],
    orphaned: [{ name: 'dora', partitions: [5, 6] }],
    counter: 9,
    bytes: 77,
  }
  assert.deepEqual(readReply(writeReply(reply), 16), reply)
  const whose: Ask = { type: 'whose', boot: 'b1', partitions: [1, 5] }
  assert.deepEqual(readAsk(writeAsk(whose), 16), whose)
  const held = [{ epoch: { counter: 4, boot: 'b1' }, partitions: [1] }]
  const holds: Reply = { type: 'holds', boot: 'b1', held, pending: [5] }
  assert.deepEqual(readReply(writeReply(holds), 16), holds)
  assert.equal(readAsk(writeAsk(ask), 2), undefined)
  for (const bad of [
    undefined,
    7,
    [],
    ['claim'],
    ['claim', 'b', 'x'],
    ['whose', 'b', 7],
    ['holds', 'b', [[-1, 'b', packPartitions([1])]], packPartitions([])],
    ['give', 'b', 'a', -1, 0, [], []],
    ['take'],
  ]) {
    assert.equal(readAsk(bad, 16), undefined)
    assert.equal(readReply(bad, 16), undefined)
  }
  const twice = [
    'give',
    'b',
    'a',
    1,
    1,
    [
      [1, 'b', packPartitions([3])],
      [1, 'b', packPartitions([3])],
    ],
    [],
    undefined,
  ]
  assert.equal(readAsk(twice, 16), undefined)
  assert.equal(unpackPartitions(packPartitions([16]), 16), undefined)
  assert.equal(unpackPartitions(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80), 16), undefined)
})

test('what leaves is paced to so many bytes a second, after a short burst', () => {
  const pace = new Pace(1_000_000)
  let now = 10_000
  let bytes = 0
  const start = now
  while (bytes < 1_000_000) {
    const waitMs = pace.take(10_000, now)
    if (waitMs > 0) now += waitMs
    else bytes += 10_000
  }
  assert.ok(Math.abs(now - start - 900) <= 10, `${now - start}`)
  assert.equal(new Pace(Infinity).take(1e9, 0), 0)
})

test('a partition of which another side is not merged yet is neither given nor taken before it is', () => {
  const merging = new Set([3])
  const giver = giving(1, { isMerging: (partition) => merging.has(partition), listOf: () => [] })
  const frozen = (): number[] => giver.of('freeze').flatMap(({ partitions }) => partitions)
  assert.deepEqual([frozen().length, frozen().includes(3), giver.custody.where(3)], [15, false, 'alice'])
  giver.pass(5_000)
  assert.ok(!frozen().includes(3))
  merging.clear()
  giver.pass(1_000)
  assert.deepEqual(frozen(), [3])

  const taker = seeking(new Alone({ isMerging: () => true, promised: () => 0, mayMerge: () => 'merge' }))
  taker.feed({ type: 'asked', id: 1, from: 'bob', ask: give(1, [{}]) })
  assert.deepEqual(taker.of('activate').length, 1)
  taker.feed({ type: 'asked', id: 2, from: 'bob', ask: give(2, [{}]) })
  const [reply] = taker.replies()
  assert.ok(reply?.type === 'given')
  assert.deepEqual(
    reply.refused.map(({ code, reason }) => `${code}: ${reason}`),
    ['busy: what is here is merged first'],
  )
})

test('a counter at the bound raises its own partition alone, which goes on there', () => {
  for (const [said, next] of [
    [hearsayMax, hearsayMax + 1],
    [counterMax, 1],
  ] as const) {
    const alice = new Alone()
    alice.view('bob', [bob])
    alice.view('alice', [bob])
    for (let asked = alice.asks('claim'); asked.length > 0; asked = alice.asks('claim')) {
      const [{ id } = { id: 0 }] = asked
      alice.feed({ type: 'answered', id, reply: { ...nothing, counter: said } })
    }
    assert.deepEqual(alice.custody.epochOf(5), { counter: next, boot: 'a1' })
  }
  const alice = seeking()
  alice.feed({
    type: 'asked',
    id: 9,
    from: 'bob',
    ask: give(1, [{ partition: 5, epoch: { counter: counterMax, boot: 'b1' } }]),
  })
  assert.deepEqual(alice.custody.epochOf(5), { counter: counterMax, boot: 'a1' })
})

test('a copy that came whole and was not followed by its give makes room for another holder’s', () => {
  const alice = seeking()
  alice.feed({ type: 'peers', peers: [bob, carl] })
  const copying = { toBoot: 'a1', partition: 3, after: 0 }
  const from = (peer: ViewPeer, id: number): CustodyOutput[] =>
    alice.feed({ type: 'copying', id, from: peer.name, boot: peer.boot, copy: id, ...copying })
  from(bob, 1)
  assert.equal(alice.of('admit').length, 1)
  // While it travels there is one at a time.
  from(carl, 2)
  assert.equal(alice.of('reject')[0]?.refusal.code, 'busy')
  alice.feed({ type: 'received', id: 1, reason: undefined, bytes: 100 })
  from(carl, 3)
  assert.deepEqual([alice.of('discard').length, alice.of('admit')[0]?.anew], [1, true])
  // What comes after the first one would be a part of nothing.
  alice.feed({ type: 'asked', id: 4, from: 'bob', ask: give(1, [{ partition: 3, copy: 1 }]) })
  const [reply] = alice.replies()
  assert.ok(reply?.type === 'given' && reply.refused[0]?.code === 'busy')
})

test('who was killed while it left, and is back before any table has changed, has lost what it had', () => {
  const alice = new Alone()
  alice.view('carl', [bob, carl])
  alice.feed({ type: 'peers', peers: [bob, { ...carl, isLeaving: true }] })
  alice.feed({ type: 'peers', peers: [bob, { ...carl, boot: 'c2' }] })
  alice.view('alice', [bob, { ...carl, boot: 'c2' }])
  for (const { id, to } of alice.asks('claim'))
    alice.feed({ type: 'answered', id, reply: { ...nothing, boot: to === 'bob' ? 'b1' : 'c2' } })
  assert.equal(alice.custody.held, 16)
  assert.deepEqual(
    alice.of('told').map(({ what, peer, partitions }) => [what, peer, partitions.length]),
    [['lost', 'carl', 16]],
  )
  // Not who had said that it was empty.
  const other = new Alone()
  other.view('carl', [bob, carl])
  other.feed({ type: 'peers', peers: [bob, { ...carl, isLeaving: true }] })
  other.feed({ type: 'asked', id: 1, from: 'carl', ask: { type: 'empty', boot: 'c1' } })
  other.feed({ type: 'peers', peers: [bob] })
  other.view('alice', [bob])
  for (const { id } of other.asks('claim')) other.feed({ type: 'answered', id, reply: nothing })
  assert.deepEqual([other.custody.held, other.of('told')], [16, []])
})

test('what should be with one whose next life answers instead is lost, whoever says so first', () => {
  for (const order of [1, -1]) {
    const alice = new Alone()
    alice.view('bob', [bob, carl])
    alice.view('alice', [bob, carl])
    const toCarl = { name: 'carl', boot: 'c1', counter: unsureCounter, isGone: false, partitions: [3] }
    const [claim] = alice.asks('claim')
    alice.feed({ type: 'answered', id: claim?.id ?? 0, reply: { ...nothing, elsewhere: [toCarl] } })
    const asked = alice.asks('claim').sort((a, b) => (a.to < b.to ? -order : order))
    assert.equal(asked.length, 2)
    for (const { id, to } of asked) {
      const reply = to === 'bob' ? { ...nothing, elsewhere: [toCarl] } : { ...nothing, boot: 'c2' }
      alice.feed({ type: 'answered', id, reply })
    }
    assert.deepEqual(
      alice.of('told').map(({ what, peer, partitions }) => [what, peer, partitions]),
      [['lost', 'carl', [3]]],
    )
  }
})

test('what a node had in its former life is lost, as others say who knew that it had it', () => {
  const alice = new Alone()
  alice.view('bob', [bob])
  alice.view('alice', [bob])
  const toFormer = { name: 'alice', boot: 'a0', counter: unknownCounter, isGone: false, partitions: [3] }
  for (let asks = alice.asks('claim'); asks[0] !== undefined; asks = alice.asks('claim'))
    alice.feed({ type: 'answered', id: asks[0].id, reply: { ...nothing, elsewhere: [toFormer] } })
  assert.equal(alice.custody.held, 16)
  assert.deepEqual(
    alice.of('told').map(({ what, peer, partitions }) => [what, peer, partitions]),
    [['lost', 'alice', [3]]],
  )
})

test('two who name each other are asked in circles a few times, then all are, ever more seldom', () => {
  const alice = new Alone()
  alice.view('bob', [bob, carl])
  alice.view('alice', [bob, carl])
  const named = (name: string, boot: string): Elsewhere => ({
    name,
    boot,
    counter: 5,
    isGone: false,
    partitions: [3],
  })
  const said = new Map([
    ['bob', { ...nothing, elsewhere: [named('carl', 'c1')] }],
    ['carl', { ...nothing, boot: 'c1', elsewhere: [named('bob', 'b1')] }],
  ])
  let asked = 0
  const answer = (): void => {
    const asks = alice.asks('claim')
    for (const { id, to } of asks) {
      if (++asked > 1_000) return
      alice.feed({ type: 'answered', id, reply: said.get(to)! })
      asks.push(...alice.asks('claim'))
    }
  }
  answer()
  assert.ok(asked < 20, `${asked}`)
  for (let at = 0; at < 1_000; at++) {
    alice.pass(10)
    answer()
  }
  assert.ok(asked < 100, `${asked}`)
  // Both have said that they do not have it.
  assert.equal(alice.custody.held, 16)
})
