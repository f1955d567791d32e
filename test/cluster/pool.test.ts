import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { runAll } from '../sim/pool.ts'
import type { Task } from '../sim/worker.ts'

test('a seed that hangs or ends its process is a violation with its replay command, and the next ones run', async () => {
  const tasks: Task[] = [1, 2, 4, 6].map((seed) => ({ profile: 'route', seed, nodes: undefined }))
  const heard: [number, string | undefined][] = []
  const program = join(import.meta.dirname, 'hanging.js')
  await runAll(tasks.values(), { cores: 1, silentMs: 3_000, program }, ({ seed, violation }) => {
    heard.push([seed, violation])
  })
  const told = (seed: number, why: string): string =>
    `violation: profile route, seed ${seed}\n  ${why}\n  replay: npm run sim -- --profile route --seed ${seed}`
  assert.deepEqual(heard, [
    [1, told(1, 'its process said nothing for 3 s, and was killed')],
    [2, undefined],
    [4, told(4, 'its process ended by code 3')],
    [6, undefined],
  ])
})
