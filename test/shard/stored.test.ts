import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallFailure } from '../../src/rpc/call.ts'
import { failure } from '../../src/shard/methods.ts'
import { Refused } from '../../src/shard/own.ts'
import { type Outcome, Routers, tableOf } from './routers.ts'

const abc = tableOf('a', 'b', 'c')

function keyOf(owner: string): string {
  for (let index = 0; ; index++) if (abc.lookup(`key-${index}`) === owner) return `key-${index}`
}

/** By the table `b` owns the key; it believes that `c` still holds its state, until a call comes back from there. */
interface Move {
  readonly routers: Routers
  readonly key: string
  readonly outcomes: Outcome[]
  /** The state has come to `b`. */
  arrive(): void
}

function move(says: CallFailure, idempotent: boolean): Move {
  const routers = new Routers(['a', 'b', 'c'], abc)
  const key = keyOf('b')
  const moved = abc.partitionOf(key)
  let place = 'c'
  const where = (_method: string, partition: number): string | undefined =>
    partition === moved ? place : undefined
  routers.router('b').store({
    where,
    refusal: () => undefined,
    cameBack: () => {
      place = ''
    },
  })
  routers.broken.set('c', says)
  const { outcomes } = routers.call('a', key, { idempotent, timeoutMs: 1_000 })
  const arrive = (): void => {
    place = 'b'
    routers.router('b').served([moved])
    routers.clock.settle()
  }
  return { routers, key, outcomes, arrive }
}

function from(routers: Routers): string[] {
  return routers.sent.map(({ from, to }) => `${from}${to}`)
}

const neverRan = failure('ERR_SHOAL_NOT_OWNER', 'given away', false)
const ran = failure('ERR_SHOAL_NOT_OWNER', 'deposed after it ran', true)

test('a call that came back from the holder without having run waits where it was passed on', () => {
  const { routers, outcomes, arrive } = move(neverRan, false)
  assert.deepEqual(outcomes, [])
  arrive()
  assert.deepEqual(outcomes, [{ reply: 'b' }])
  assert.deepEqual(from(routers), ['ab', 'bc'])
})

test('one whose partition does not arrive by the deadline never ran', () => {
  const { routers, outcomes } = move(neverRan, true)
  routers.clock.advance(1_100)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_HANDOFF', mayHaveRun: false }])
})

test('a call that may have run at the holder goes back to its caller, not after its partition', () => {
  const { routers, outcomes, arrive } = move(ran, false)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_NOT_OWNER', mayHaveRun: true }])
  arrive()
  assert.deepEqual(routers.ran, [])
})

test('its caller repeats it if it is idempotent', () => {
  const { routers, outcomes, arrive } = move(ran, true)
  routers.broken.set('c', neverRan)
  routers.clock.advance(300)
  assert.deepEqual(outcomes, [])
  arrive()
  assert.deepEqual(outcomes, [{ reply: 'b' }])
  assert.deepEqual(from(routers), ['ab', 'bc', 'ab', 'bc'])
})

test('repeated in vain, because its partition does not arrive by the deadline, it may still have run', () => {
  const { routers, outcomes } = move(ran, true)
  routers.broken.set('c', neverRan)
  routers.clock.advance(1_100)
  assert.deepEqual(outcomes, [{ code: 'ERR_SHOAL_HANDOFF', mayHaveRun: true }])
})

for (const { says, knows } of [
  { says: neverRan, knows: 'ERR_SHOAL_HANDOFF' },
  { says: ran, knows: 'ERR_SHOAL_NOT_OWNER' },
]) {
  test(`a holder that loses the partition under a call (${says.message}) says whether that may have run`, () => {
    const { routers, key, arrive } = move(neverRan, false)
    arrive()
    routers.whileItRuns = () => {
      routers.router('b').stored?.places.cameBack('where', abc.partitionOf(key), 'b')
      throw new Refused(says)
    }
    const { outcomes } = routers.call('a', key, { timeoutMs: 1_000 })
    routers.clock.advance(1_100)
    assert.deepEqual(outcomes, [{ code: knows, mayHaveRun: says.mayHaveRun }])
    assert.deepEqual(routers.ran, ['b', 'b'])
  })
}
