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
const golden = '7438fe4dc6ec54ee 12232 events 323 replies'

const storm = new URL('./storm.js', import.meta.url).pathname

test('the same seed leaves the same trace in two processes, and the recorded one', async () => {
  const run = async (seed: number): Promise<string> => {
    const { stdout } = await promisify(execFile)(process.execPath, [storm, String(seed)])
    return stdout.trim()
  }
  const [first, second, other] = await Promise.all([run(1), run(1), run(2)])
  assert.equal(first, second)
  assert.notEqual(first, other)
  assert.equal(first, golden)
})

test('the same seed leaves the same trace twice in one process', async () => {
  assert.equal((await stormyRun(3)).hash, (await stormyRun(3)).hash)
})
