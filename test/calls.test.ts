/** What the edge does with calls that are not made. */
import assert from 'node:assert/strict'
import { type Channel, channel } from 'node:diagnostics_channel'
import { test } from 'node:test'
import { Calls } from '../src/calls.ts'
import type { Router } from '../src/shard/router.ts'

test('a call that a subscriber does not let be made is settled, so that its number holds nothing back', () => {
  const start: Channel<unknown, unknown> = channel('tracing:shoal:call:start')
  const refuses = {
    run() {
      throw new Error('not now')
    },
  }
  const router = { ports: { self: 'me' } } as Router
  const calls = new Calls({} as never, {} as never, {} as never, router, {} as never)
  let settled = 0
  start.bindStore(refuses as never, () => undefined)
  try {
    const open = {
      settled: () => {
        settled += 1
      },
    }
    assert.throws(() => calls.request({ method: 'm', key: 'k' }, open), /not now/)
  } finally {
    start.unbindStore(refuses as never)
  }
  assert.equal(settled, 1)
})
