/**
 * Runs the tests again and again to find those that fail now and then: `npm run test:repeat [-- TIMES] [WORD …]`,
 * opt-in, 20 times unless told. Stops at the first failure and prints that run.
 */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const [first = '', ...rest] = process.argv.slice(2)
const isCount = /^\d+$/.test(first)
const times = isCount ? Number(first) : 20
const words = isCount || first === '' ? rest : [first, ...rest]
const outputBytesMax = 64 * 1024 * 1024

for (let round = 1; round <= times; round++) {
  const startedAt = performance.now()
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(import.meta.dirname, 'run.js'), ...words],
    { encoding: 'utf8', maxBuffer: outputBytesMax },
  )
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const passed = /^ℹ pass (\d+)/m.exec(stdout)?.[1] ?? '?'
  if (status !== 0) {
    console.log(stdout, stderr)
    console.log(`run ${round} of ${times} failed after ${seconds} s`)
    process.exit(1)
  }
  console.log(`run ${round} of ${times}: ${passed} tests passed in ${seconds} s`)
}
