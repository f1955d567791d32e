/** Retries of what was refused, hedged calls, breakers and rates. */
import type { Mutant } from '../mutant.ts'

const routed = 'src/shard/routed.ts'
const budget = 'src/shard/budget.ts'
const policy = 'src/shard/policy.ts'
const hedge = 'src/shard/hedge.ts'
const rate = 'src/shard/rate.ts'
const breaker = 'src/rpc/breaker.ts'
const peer = 'src/rpc/peer.ts'

export const retryFaults: readonly Mutant[] = [
  {
    id: 'retry/refused-call-repeated-without-budget',
    file: routed,
    find: "repeat === 'refused' ? budget.spendRefused() :",
    replace: "repeat === 'refused' ? true :",
    why: 'callers never multiply an overload',
    tests: ['shard/retries'],
  },
  {
    id: 'retry/refused-calls-use-the-whole-reserve',
    file: budget,
    find: 'return this.#take(this.#refusedMin);',
    replace: 'return this.#take(0);',
    why: 'nine tenths of the reserve are for calls that lost their connection',
    tests: ['shard/retries'],
  },
  {
    id: 'retry/one-budget-for-all-peers',
    file: budget,
    find: 'this.#budgets.get(peer) ?? this.#add(peer)',
    replace: 'this.#shared',
    why: 'one peer in trouble does not spend the retries of all, nor do calls to others pay for its',
    tests: ['shard/retries'],
  },
  {
    id: 'retry/budgets-unbounded',
    file: budget,
    find: 'this.#budgets.size >= budgetsMax && !this.#makeRoom()',
    replace: 'false',
    why: 'budgets are bounded',
    tests: ['shard/retries'],
  },
  {
    id: 'retry/earlier-than-asked',
    file: policy,
    find: 'Math.max(1, retryAfterMs + ',
    replace: 'Math.max(1, ',
    why: 'a refused call comes back no earlier than it was told',
    tests: ['shard/retries'],
  },
  {
    id: 'retry/new-view-brings-refused-calls-back-early',
    file: routed,
    find: 'ports.clock.now() < this.#notBefore &&',
    replace: 'false &&',
    why: 'a refused call comes back no earlier than it was told, unless its key has a new owner',
    tests: ['shard/retries'],
  },
  {
    id: 'retry/refused-for-ever',
    file: routed,
    find: 'notBefore >= this.deadline || this.#refusals >= refusalsMax',
    replace: 'notBefore >= this.deadline',
    why: 'a call that is refused again and again is left to its caller',
    tests: ['shard/retries'],
  },
  {
    id: 'retry/hedge-goes-nowhere-new',
    file: hedge,
    find: 'this.#detour(owner) ?? owner',
    replace: 'owner',
    why: 'the second attempt takes another path where there is one',
    tests: ['shard/hedge'],
  },
  {
    id: 'retry/hedge-for-free',
    file: hedge,
    find: '!router.budgets.of(owner).spendRefused()',
    replace: 'false',
    why: 'second attempts are paid for by the budget of the owner',
    tests: ['shard/hedge'],
  },
  {
    id: 'retry/loser-runs-on',
    file: hedge,
    find: 'this.#first?.cancel();',
    replace: '',
    why: 'the attempt that lost is cancelled',
    tests: ['shard/hedge'],
  },
  {
    id: 'retry/hedged-call-forgets-that-the-other-attempt-may-have-run',
    file: hedge,
    find: 'this.#mayHaveRun ||= error.mayHaveRun;',
    replace: '',
    why: 'a hedged call may have run if either attempt may',
    tests: ['shard/hedge'],
  },
  {
    id: 'retry/rate-escaped-by-new-names',
    file: rate,
    find: 'fullAt === undefined && !this.#hasRoom(now)',
    replace: 'false',
    why: 'names without end are no way round a rate, nor fill the memory',
    tests: ['shard/rate'],
  },
  {
    id: 'retry/rate-not-asked-for-own-calls',
    file: routed,
    find: 'admitted ? undefined : ports.refuses(this.method, ports.self)',
    replace: 'undefined',
    why: 'own calls count too',
    tests: ['shard/rate'],
  },
  {
    id: 'retry/breaker-does-not-ask-before-it-opens',
    file: breaker,
    find: 'if (now - this.#since < this.#limits.breakerSilenceMs)',
    replace: 'if (false)',
    why: 'a slow method alone never opens the breaker',
    tests: ['rpc/breaker'],
  },
  {
    id: 'retry/breaker-never-half-open',
    file: breaker,
    find: "this.#state === 'trying' || now < this.#pauseUntil",
    replace: 'true',
    why: 'after a pause the peer is tried again',
    tests: ['rpc/breaker'],
  },
  {
    id: 'retry/bytes-of-the-peer-unnoticed',
    file: peer,
    find: 'link.watched = !breaker.isClosed',
    replace: 'link.watched = false',
    why: 'whatever is heard of the peer closes the breaker',
    tests: ['rpc/breaker'],
  },
  {
    id: 'retry/silent-connection-kept',
    file: peer,
    find: '< silentLinkMs',
    replace: '< Infinity',
    why: 'a connection on which pings stay unanswered is closed, and the next may find another path',
    tests: ['rpc/breaker'],
  },
  {
    id: 'retry/each-ping-answered',
    file: 'src/rpc/callee.ts',
    find: '|| this.hasAnsweredPing',
    replace: '',
    why: 'one sign of life a turn, however many pings came',
    tests: ['rpc/breaker'],
  },
]
