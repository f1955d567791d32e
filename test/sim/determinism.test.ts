/** One seed, one run: in one process and in two, and on every version of Node (`npm run test:matrix -- sim`). */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { stormyRun } from './storm.ts'

/**
 * What the run of seed 1 leaves behind, on every version of Node. It changes with every change of behaviour, of the
 * product's or the simulator's: then take over what the test says, if the other tests pass.
 */
const golden = 'bf1a58be2b9705c6 12219 events 340 replies'

const storm = new URL('./storm.js', import.meta.url).pathname

test('the same seed leaves the same trace in two processes, and the recorded one', async () => {
  const run = async (): Promise<string> => {
    const { stdout } = await promisify(execFile)(process.execPath, [storm, '1'])
    return stdout.trim()
  }
  const [first, second] = await Promise.all([run(), run()])
  assert.equal(first, second)
  assert.equal(first, golden, 'behaviour has changed; if it was meant to, this is the new golden trace')
})

test('the same seed leaves the same trace twice in one process, another seed another one', async () => {
  const [first, second, other] = [await stormyRun(3), await stormyRun(3), await stormyRun(4)]
  assert.deepEqual(first, second)
  assert.notEqual(first.hash, other.hash)
  assert.ok(first.replies > 200, `${first.replies}`)
})
