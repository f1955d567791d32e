/** Histories of one object, some that an object could have, some that none could; and random ones against all orders there are. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { linearize, type Operation, type SequentialModel } from '../../../src/sim/checkers/linearizable.ts'
import { SeededRandom } from '../../../src/sim/random.ts'

type Input = { readonly put: number } | 'get' | 'add'

/** A register that can also be counted up; `put` and `add` answer what was there before. */
const register: SequentialModel<number, Input, number> = {
  initial: 0,
  step: (state, input, output) => {
    if (output !== undefined && output !== state) return undefined
    if (input === 'get') return state
    return input === 'add' ? state + 1 : input.put
  },
}

function op(
  input: Input,
  startedAt: number,
  endedAt: number,
  output: number | undefined,
): Operation<Input, number> {
  return { input, startedAt, endedAt, output }
}

const never = Number.POSITIVE_INFINITY

test('operations one after the other are explained in their order', () => {
  const history = [op({ put: 5 }, 0, 1, 0), op('get', 2, 3, 5), op('add', 4, 5, 5), op('get', 6, 7, 6)]
  assert.deepEqual(linearize(register, history), {
    result: 'linearizable',
    order: [0, 1, 2, 3],
    stuck: [],
    steps: 4,
  })
})

test('a read that is told what was overwritten before it began is a violation, and is named', () => {
  const history = [op({ put: 5 }, 0, 1, 0), op({ put: 6 }, 2, 3, 5), op('get', 4, 5, 5)]
  const { result, order, stuck } = linearize(register, history)
  assert.deepEqual({ result, order, stuck }, { result: 'violated', order: [0, 1], stuck: [2] })
})

test('operations that overlap take effect in either order, also that which began last first', () => {
  const history = [op({ put: 5 }, 0, 10, 6), op({ put: 6 }, 1, 9, 0), op('get', 11, 12, 5)]
  assert.deepEqual(linearize(register, history).order, [1, 0, 2])
  const touching = [op({ put: 5 }, 0, 5, 0), op('get', 5, 6, 0)]
  assert.equal(
    linearize(register, touching).result,
    'linearizable',
    'an end and a start of one moment overlap',
  )
})

test('one of which nobody knows the end may take effect late, or never, and not before it began', () => {
  const late = [op({ put: 5 }, 0, never, undefined), op('get', 10, 11, 0), op('get', 20, 21, 5)]
  assert.equal(linearize(register, late).result, 'linearizable')
  const unborn = [op('get', 10, 11, 0), op({ put: 5 }, 0, never, undefined)]
  assert.equal(linearize(register, unborn).result, 'linearizable')
  const early = [op('get', 10, 11, 5), op({ put: 5 }, 12, never, undefined)]
  assert.equal(linearize(register, early).result, 'violated')
})

test('an update that took effect twice is a violation', () => {
  const history = [op('add', 0, 1, 0), op('get', 2, 3, 2)]
  assert.equal(linearize(register, history).result, 'violated')
})

test('a search that would take too long ends undecided', () => {
  const history = Array.from({ length: 12 }, (_, n) => op({ put: n }, 0, 1, undefined))
  const { result, steps } = linearize(register, [...history, op('get', 2, 3, 99)], { stepsMax: 50 })
  assert.deepEqual({ result, steps }, { result: 'undecided', steps: 51 })
  assert.throws(() => linearize(register, [], { stepsMax: 0 }), { code: 'ERR_SHOAL_OPTION' })
})

test('many updates without an end, of which few took effect, stay cheap', () => {
  const lost = Array.from({ length: 40 }, (_, n) => op({ put: 100 + n }, n, never, undefined))
  const history = [
    ...lost,
    ...Array.from({ length: 100 }, (_, n) => op('add', 50 + 2 * n, 51 + 2 * n, n)),
    op('get', 1_000, 1_001, 139),
  ]
  const { result, steps } = linearize(register, history)
  assert.equal(result, 'linearizable')
  assert.ok(steps < 10_000, `${steps} steps`)
})

test('random histories: the answer is that of trying all orders', () => {
  const random = new SeededRandom(3)
  const results = { linearizable: 0, violated: 0, undecided: 0 }
  for (let round = 0; round < 3_000; round += 1) {
    const history = Array.from({ length: 1 + random.below(6) }, () => {
      const startedAt = random.below(8)
      const input = random.pick<Input>([{ put: random.below(3) }, 'get', 'add'])
      if (random.chance(0.2)) return op(input, startedAt, never, undefined)
      return op(input, startedAt, startedAt + 1 + random.below(4), random.below(4))
    })
    const { result, order } = linearize(register, history)
    const shown = JSON.stringify(history)
    assert.equal(result === 'linearizable', explained(0, history, new Set()), shown)
    if (result === 'linearizable') holds(order, history)
    results[result] += 1
  }
  assert.ok(results.linearizable > 300 && results.violated > 300, JSON.stringify(results))
})

/** Whether some order of what is left explains the history. */
function explained(
  state: number,
  history: readonly Operation<Input, number>[],
  placed: Set<number>,
): boolean {
  const left = [...history.keys()].filter((one) => !placed.has(one))
  const firstEnd = Math.min(...left.map((one) => history[one]!.endedAt))
  if (firstEnd === never) return true
  return left.some((one) => {
    const { input, output, startedAt } = history[one]!
    const next = startedAt <= firstEnd ? register.step(state, input, output) : undefined
    return next !== undefined && explained(next, history, new Set([...placed, one]))
  })
}

function holds(order: readonly number[], history: readonly Operation<Input, number>[]): void {
  let state = 0
  for (const [place, one] of order.entries()) {
    const { input, output, startedAt } = history[one]!
    assert.ok(order.slice(place).every((later) => history[later]!.endedAt >= startedAt))
    state = register.step(state, input, output) as number
    assert.notEqual(state, undefined)
  }
}
