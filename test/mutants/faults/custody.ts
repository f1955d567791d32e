/** Who holds a partition, and how it moves (state/custody, seeker, taker, giver, batches, messages; shard/stored). */
import type { Mutant } from '../mutant.ts'

const custody = 'src/state/custody.ts'
const seeker = 'src/state/seeker.ts'
const taker = 'src/state/taker.ts'
const giver = 'src/state/giver.ts'
const batches = 'src/state/batches.ts'
const giving = 'src/state/giving.ts'
const messages = 'src/state/messages.ts'
const hints = 'src/state/hints.ts'

export const custodyFaults: readonly Mutant[] = [
  {
    id: 'custody/the-last-hint-counts-not-the-newest',
    file: hints,
    find: 'if (before !== undefined && counter <= before.counter && !isAnswer)',
    replace: 'if (false)',
    why: 'of what is said of a partition the word with the newest epoch counts',
    tests: ['state/custody'],
  },
  {
    id: 'custody/a-denial-at-the-same-epoch-is-no-answer',
    file: hints,
    find: 'before?.peer === speaker && counter === before.counter',
    replace: 'false',
    why: 'whoever is named and had it at that epoch has it no more',
    tests: ['state/custody'],
  },
  {
    id: 'custody/both-who-seek-go-on',
    file: seeker,
    find: 'return peer.name < this.#ground.options.self;',
    replace: 'return true;',
    why: 'of two nodes that seek one partition, one goes on',
    tests: ['state/custody', 'state/custody-random'],
  },
  {
    id: 'custody/thawed-though-the-taker-may-have-it',
    file: giver,
    find: "if (isRight || (move.step === 'asked' && peer.isThere)) continue;",
    replace: 'if (isRight) continue;',
    why: 'a partition that a living node was asked to take is thawed by its answer alone',
    tests: ['state/custody', 'state/custody-random'],
  },
  {
    id: 'custody/a-batch-is-done-twice',
    file: taker,
    find: 'if (known !== undefined) { known.asked.push(id);',
    replace: 'if (false) { known.asked.push(id);',
    why: 'a batch that comes again is answered alike',
    tests: ['state/custody'],
  },
  {
    id: 'custody/a-lost-answer-counts-as-no',
    file: batches,
    find: "if (reply === undefined || reply.type === 'claimed' || reply.type === 'later') {",
    replace:
      "if (reply === undefined) reply = { type: 'stranger' }; if (reply.type === 'claimed' || reply.type === 'later') {",
    why: 'a batch that is not answered is asked again',
    tests: ['state/custody', 'state/custody-random'],
  },
  {
    id: 'custody/what-is-frozen-is-not-here',
    file: custody,
    find: 'case phase.frozen: // Whoever is taking it may be gone, as others know already: it is here until that one has said that it has it. held.push(partition);',
    replace: 'case phase.frozen:',
    why: 'what is frozen is held until its taker has said that it has it',
    tests: ['state/custody-random'],
  },
  {
    id: 'custody/a-loss-is-not-told',
    file: custody,
    find: 'const had = lost?.name ?? this.#ground.orphans.get(partition);',
    replace: 'const had = lost?.name;',
    why: 'what a killed process held is told as lost, also where it is back before any table has changed',
    tests: ['state/restart', 'state/custody-random'],
  },
  {
    id: 'custody/a-dropped-seek-forgets-its-holder',
    file: seeker,
    find: 'trails.set(partition, prior);',
    replace: ';',
    why: 'whoever is to have what was sought here is told when its holder is gone',
    tests: ['state/custody.test'],
  },
  {
    id: 'custody/a-dropped-seek-forgets-the-dead',
    file: seeker,
    find: 'else if (prior !== undefined) orphans.set(partition, prior.name);',
    replace: ';',
    why: 'whoever is to have what was sought here is told that its holder is gone',
    tests: ['state/custody.test'],
  },
  {
    id: 'custody/opened-behind-a-member-never-seen',
    file: seeker,
    find: 'life !== undefined && !life.isThere && !life.isGone && !isGone;',
    replace: 'false;',
    why: 'what another node says is with a member that has never been seen here may be with it',
    tests: ['state/custody.test'],
  },
  {
    id: 'custody/nobody-says-who-should-have-it',
    file: custody,
    find: 'if (other !== undefined) places.believed(other, partition);',
    replace: ';',
    why: 'a node whose view lacks the owner hears of it from the others',
    tests: ['state/custody.test'],
  },
  {
    id: 'custody/an-unseen-member-is-waited-for-without-end',
    file: seeker,
    find: 'isUnknown && now - since < limits.holderWaitMs',
    replace: 'isUnknown',
    why: 'a member that nobody else gets to see is waited for no longer than a holder',
    tests: ['state/custody.test'],
  },
  {
    id: 'custody/an-early-claim-is-forgotten',
    file: custody,
    find: 'else peer.hasClaimed = true;',
    replace: '',
    why: 'an owner that has claimed before our table agreed need not wait for an offer',
    tests: ['state/custody'],
  },
  {
    id: 'custody/taken-for-another-life',
    file: taker,
    find: 'if (ask.toBoot !== options.boot) {',
    replace: 'if (false) {',
    why: 'what was meant for a former life of this node is not taken',
    tests: ['state/custody'],
  },
  {
    id: 'custody/taken-though-not-ours',
    file: taker,
    find: 'if (!this.#ground.isOurs(partition)) {',
    replace: 'if (false) {',
    why: 'a partition is taken only by its owner by the table',
    tests: ['state/custody', 'state/custody-random'],
  },
  {
    id: 'custody/large-before-small',
    file: giving,
    find: 'const partition = row.at(-1);',
    replace: 'const partition = row[0];',
    why: 'many small partitions go before few large ones',
    tests: ['state/custody'],
  },
  {
    id: 'custody/a-partition-beyond-the-ring',
    file: messages,
    find: 'if (before >= count) return undefined;',
    replace: '',
    why: 'partitions that the ring does not have make a message nothing',
    tests: ['state/custody'],
  },
]
