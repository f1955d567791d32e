/** Copies: who may write, what counts, what a takeover believes (state/copies, tenure, takeover, replicas, quorum). */
import type { Mutant } from '../mutant.ts'

const copies = 'src/state/copies.ts'
const tenure = 'src/state/tenure.ts'
const takeover = 'src/state/takeover.ts'
const copy = 'src/state/copy.ts'

export const replicationFaults: readonly Mutant[] = [
  {
    id: 'replication/older-owners-are-not-refused',
    file: copies,
    find: 'if (promised !== undefined && order < 0) {',
    replace: 'if (false) {',
    why: 'a copy takes nothing from an owner that was deposed',
    tests: ['state/replication', 'state/replica-model'],
  },
  {
    id: 'replication/a-higher-epoch-is-enough',
    file: copies,
    find: 'if (promised !== undefined && !this.#isHeirOf(row, config, promised)) {',
    replace: 'if (false) {',
    why: 'an owner that has not heard of what a copy has promised does not bury it',
    tests: ['state/replication', 'state/replica-model'],
  },
  {
    id: 'replication/a-list-that-was-only-asked-for-leads',
    file: copies,
    find: '|| (copy.isFence && order === 0)',
    replace: '',
    why: 'a copy that is not in the list it was asked to follow must not answer ok for the one that leads, and keep nothing',
    tests: ['state/replication'],
  },
  {
    id: 'replication/anybody-speaks-for-a-tenure',
    file: copies,
    find: 'const isOwners = config.seats[0] !== undefined && sameSeat(config.seats[0], from);',
    replace: 'const isOwners = true;',
    why: 'only its owner ships under a configuration',
    tests: ['state/replication'],
  },
  {
    id: 'replication/late-batches-are-taken',
    file: 'src/state/senders.ts',
    find: 'if (seq <= last)',
    replace: 'if (seq < 0)',
    why: 'a batch that comes behind a newer one of its sender changes nothing',
    tests: ['state/replication'],
  },
  {
    id: 'replication/one-ack-less',
    file: tenure,
    find: 'matched[this.config.acks - 1]',
    replace: 'matched[Math.max(0, this.config.acks - 2)]',
    why: 'a call is done once acks nodes have its effect, not one less',
    tests: ['state/replication', 'state/replica-model'],
  },
  {
    id: 'replication/nothing-is-fenced-first',
    file: tenure,
    find: 'if (!isOpen || !this.chain.every((one) => this.#follows(one, view)))',
    replace: 'if (!isOpen)',
    why: 'nothing counts under a new list before enough of the old one have promised it',
    tests: ['state/replica-model'],
  },
  {
    id: 'replication/what-was-read-is-not-made-durable',
    file: tenure,
    find: 'const isDurable = !changed && this.#isDurable();',
    replace: 'const isDurable = true;',
    why: 'after a takeover what a reader saw goes to enough copies before it hears',
    tests: ['state/replication', 'state/replica-model'],
  },
  {
    id: 'replication/fewer-copies-are-heard',
    file: takeover,
    find: 'if (heard >= readQuorum(config))',
    replace: 'if (heard >= 1)',
    why: 'a takeover hears seats - acks + 1 of each list that counts',
    tests: ['state/takeover'],
  },
  {
    id: 'replication/restarted-members-count-as-heard',
    file: 'src/state/config.ts',
    find: 'return a.name === b.name && a.boot === b.boot;',
    replace: 'return a.name === b.name;',
    why: 'a node that restarted has none of what its name had',
    tests: ['state/takeover', 'state/replica-model'],
  },
  {
    id: 'replication/out-of-date-copies-count',
    file: copy,
    find: 'return (compareConfigs(a.under, b.under) || a.version - b.version) > 0;',
    replace: 'return a.version - b.version > 0;',
    why: 'of two records of a key the one that the newer list vouches for is right, not the one with the higher version',
    tests: ['state/merge', 'state/replica-model'],
  },
  {
    id: 'replication/repair-ships-everything',
    file: 'src/state/reconcile.ts',
    find: 'if (!theirs.has(both))',
    replace: 'if (true)',
    why: 'of a copy that differs only what differs travels',
    tests: ['state/replication', 'state/record-log'],
  },
  {
    id: 'replication/half-of-the-voters-are-a-majority',
    file: 'src/state/quorum.ts',
    find: 'let voices = 1;',
    replace: 'let voices = 2;',
    why: 'of two halves of a cluster none has a lease',
    tests: ['state/quorum'],
  },
]
