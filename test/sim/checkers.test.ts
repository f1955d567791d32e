/** Every checker can fail: a fault is planted in the product, and the run says what, where, and how to see it again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster } from '../../src/cluster.ts'
import { Gate } from '../../src/gate.ts'
import { OwnerTable } from '../../src/ring/table.ts'
import { Methods } from '../../src/shard/methods.ts'
import { PendingReply } from '../../src/shard/reply.ts'
import { RingView } from '../../src/shard/view.ts'
import { Facts } from '../../src/swim/facts.ts'
import { Members } from '../../src/swim/members.ts'
import { Swim } from '../../src/swim/swim.ts'
import { Outbox } from '../../src/wire/outbox.ts'
import { loadProfiles, runOnce } from './runs.ts'

const profiles = await loadProfiles()

/** Runs with a method of the product replaced; what was violated. */
async function violationWith<T extends object, K extends keyof T>(
  where: { readonly profile: string; readonly seed: number; readonly nodes: number },
  target: T,
  name: K,
  make: (real: T[K]) => T[K],
): Promise<string> {
  const { profile, seed, nodes } = where
  const before = Object.getOwnPropertyDescriptor(target, name) as PropertyDescriptor
  Object.defineProperty(target, name, { ...before, value: make(target[name]) })
  try {
    const run = await runOnce(profile, profiles.get(profile)!, seed, { min: nodes, max: nodes })
    const { violation = 'none' } = run
    assert.match(violation, new RegExp(`^violation: profile ${profile}, seed ${seed}\\n`))
    assert.match(violation, /, at \d+\.\d+ ms\n/)
    const command = `npm run sim -- --profile ${profile} --seed ${seed} --nodes ${nodes}-${nodes}`
    assert.ok(violation.endsWith(`replay: ${command}`), violation)
    return violation
  } finally {
    Object.defineProperty(target, name, before)
  }
}

const machines = { profile: 'swim', seed: 1, nodes: 4 }
const whole = { profile: 'route', seed: 1, nodes: 3 }

test('a machine that lowers an incarnation is found', async () => {
  let calls = 0
  const violation = await violationWith(
    machines,
    Members.prototype,
    'setIncarnation',
    (real) =>
      function (this: Members, peer, incarnation) {
        calls += 1
        real.call(this, peer, calls === 100 ? 1 : incarnation)
      },
  )
  assert.match(violation, /incarnations: to n\d+, that of n\d+ fell from \d+ to 1,/)
})

test('a machine that holds more than its limit is found', async () => {
  const { get } = Object.getOwnPropertyDescriptor(Swim.prototype, 'gauges') as { get: () => Swim['gauges'] }
  const violation = await (async () => {
    Object.defineProperty(Swim.prototype, 'gauges', {
      configurable: true,
      get(this: Swim) {
        return { ...get.call(this), relaysMax: 5_000 }
      },
    })
    try {
      return (await runOnce('swim', profiles.get('swim')!, 1, { min: 3, max: 3 })).violation
    } finally {
      Object.defineProperty(Swim.prototype, 'gauges', { configurable: true, get })
    }
  })()
  assert.match(violation ?? '', /limits: n1 holds 5000 of what relaysMax allows \d+ of/)
})

test('a member that does not refute stays dead to others, and is found', async () => {
  const started = new WeakSet<Facts>()
  const violation = await violationWith(
    { ...machines, seed: 4 },
    Facts.prototype,
    'announce',
    (real) =>
      function (this: Facts, atLeast) {
        if (atLeast > 0 && started.has(this)) return new Uint8Array(0)
        started.add(this)
        return real.call(this, atLeast)
      },
  )
  assert.match(violation, /agreement: after \d+ ms without faults to n\d+, n\d+ is (?:dead|suspect|unknown)/)
})

test('a node whose table is not that of its members is found', async () => {
  const violation = await violationWith(
    whole,
    RingView.prototype,
    'update',
    (real) =>
      function (this: RingView, members) {
        const list = [...members]
        return real.call(this, list.length === 3 && planted(this) ? list.slice(1) : list)
      },
  )
  assert.match(
    violation,
    /tables: with the members n1\*1@ n2\*1@ n3\*1@, n\d has table \w{8} and n\d had \w{8}/,
  )
})

/** The second of these objects, ever. */
const seen: object[] = []
function planted(one: object): boolean {
  if (!seen.includes(one)) seen.push(one)
  return seen[1] === one
}

test('a call that never settles is found', async () => {
  const violation = await violationWith(whole, PendingReply.prototype, 'failed', () => () => {})
  assert.match(
    violation,
    /calls: call \d+ of n\d \(\w+ for key "key-\d+"\) has not settled within its \d+ ms/,
  )
})

test('a call that must not run twice and does is found', async () => {
  const violation = await violationWith(
    whole,
    Methods.prototype,
    'run',
    (real) =>
      function (this: Methods, request, caller, sink) {
        if (request.key !== undefined) real.call(this, request, caller, { replied() {}, failed() {} })
        return real.call(this, request, caller, sink)
      },
  )
  assert.match(violation, /calls: call \d+ of n\d .* is not idempotent and ran again on n\d/)
})

test('a failure that denies that the call ran is found', async () => {
  const violation = await violationWith(
    whole,
    Methods.prototype,
    'run',
    (real) =>
      function (this: Methods, request, caller, sink) {
        const deny = (): void =>
          sink.failed({
            code: 'ERR_SHOAL_TIMEOUT',
            message: 'planted',
            mayHaveRun: false,
            retryable: false,
            retryAfterMs: 0,
            owner: undefined,
            digest: 0,
          })
        return real.call(this, request, caller, { replied: deny, failed: deny })
      },
  )
  assert.match(violation, /calls: call \d+ of n\d .* ran 1 times and failed with mayHaveRun: false/)
})

test('a call that runs on a node which does not own its key is found', async () => {
  const violation = await violationWith(
    whole,
    OwnerTable.prototype,
    'ownerOf',
    () =>
      function (this: OwnerTable) {
        return this.members[0]?.name
      },
  )
  assert.match(violation, /calls: n\d ran \w+ for key "key-\d+", which to itself n\d owns/)
})

test('nodes that agree and do not answer are found', async () => {
  const violation = await violationWith(
    { ...whole, seed: 2 },
    Cluster.prototype,
    'announce',
    (real) =>
      function (this: Cluster, status) {
        // Never ready: nobody owns anything.
        if (status !== 'ready') real.call(this, status)
      },
  )
  assert.match(violation, /agreement: after \d+ ms without faults to n\d, n\d is joining/)
})

test('a call that is forwarded once too often is found on the wire', async () => {
  const violation = await violationWith(
    whole,
    Outbox.prototype,
    'request',
    (real) =>
      function (this: Outbox, id, remainingMs, request) {
        const further = {
          get: (target: typeof request, name: keyof typeof request) =>
            name === 'hops' ? target.hops + 2 : target[name],
        } as ProxyHandler<typeof request>
        return real.call(this, id, remainingMs, new Proxy(request, further))
      },
  )
  assert.match(violation, /hops: n\d sent n\d a call for key "key-\d+" that had been forwarded 2 times/)
})

test('a node that runs keyed calls while it is not sure of its view is found', async () => {
  const violation = await violationWith(
    { ...whole, seed: 3 },
    Gate.prototype,
    'pass',
    (real) =>
      function (this: Gate) {
        real.call(this)
        return true
      },
  )
  assert.match(violation, /gate: n\d ran \w+ for key "key-\d+"; it said at \d+\.\d+ ms that it had paused/)
})
