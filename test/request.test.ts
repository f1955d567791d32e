import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestOptions } from '../src/api.ts'
import { checkRequest } from '../src/request.ts'

const wrong: readonly [options: unknown, message: RegExp][] = [
  [{ key: 'k' }, /method: expected a name of 1 to 128 characters/],
  [{ method: 5, key: 'k' }, /method: /],
  [{ method: '', key: 'k' }, /method: /],
  [{ method: '€'.repeat(100), key: 'k' }, /method: .*255 bytes/],
  [{ method: 'm' }, /exactly one of key and to/],
  [{ method: 'm', key: 'k', to: 'n' }, /exactly one of key and to/],
  [{ method: 'm', key: 42 }, /key: expected text, got number/],
  [{ method: 'm', key: ['k'] }, /key: expected text, got object/],
  [{ method: 'm', key: null }, /key: expected text/],
  [{ method: 'm', to: 5 }, /to: expected the name of a member, got number/],
  [{ method: 'm', key: 'k', traceparent: 5 }, /traceparent: expected text/],
  [{ method: 'm', key: 'k', tracestate: {} }, /tracestate: expected text, got object/],
]

test('a wrong request is refused before anything is sent, naming what is wrong', () => {
  for (const [options, message] of wrong) {
    assert.throws(() => checkRequest(options as RequestOptions<unknown, unknown>, 100), {
      code: 'ERR_SHOAL_OPTION',
      message,
    })
  }
})

test('a key is measured in bytes', () => {
  assert.equal(checkRequest({ method: 'm', key: 'ö'.repeat(50) }, 100), 'm')
  assert.throws(() => checkRequest({ method: 'm', key: 'ö'.repeat(51) }, 100), {
    code: 'ERR_SHOAL_TOO_LARGE',
    message: /at most 100 bytes, got 102/,
  })
})
