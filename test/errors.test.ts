import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isShoalError, ShoalError } from '../src/errors.ts'

test('an error says by its code whether another attempt can help, and that nothing ran unless told', () => {
  const error = new ShoalError('ERR_SHOAL_OVERLOADED', 'too many calls')
  assert.equal(error.retryable, true)
  assert.equal(error.mayHaveRun, false)
  assert.equal(new ShoalError('ERR_SHOAL_OPTION', 'bad').retryable, false)
})

test('isShoalError recognises errors by brand, not by class', () => {
  assert.equal(isShoalError(new ShoalError('ERR_SHOAL_JOIN', 'x')), true)
  assert.equal(isShoalError(new Error('x')), false)
  assert.equal(isShoalError(null), false)
})
