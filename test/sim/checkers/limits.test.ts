/** The rule of limits on its own: what is held against what. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLimits } from '../../../src/sim/checkers/limits.ts'

test('as much as a limit allows may be held, and no more', () => {
  checkLimits('n1', { callsMax: 3 }, { callsMax: 3, othersMax: 1 }, 5)
  assert.throws(() => checkLimits('n1', { callsMax: 4 }, { callsMax: 3 }, 5), {
    name: 'Violation',
    message: 'limits: n1 holds 4 of what callsMax allows 3 of, at 5.000 ms',
  })
})

test('what is held without a limit of that name is a mistake of the rule, not a pass', () => {
  assert.throws(() => checkLimits('n1', { callMax: 4 }, { callsMax: 3 }, 5), /there is no limit callMax/)
})
