/** `node dist/test/state/replica-seeds.js [COUNT] [FROM]`: seeds of the model of replication, by hand. */
import { runSeed } from './replica-run.ts'

const count = Number(process.argv[2] ?? 1_000)
const from = Number(process.argv[3] ?? 1)
const seen = new Map<string, number>()
const startedAt = performance.now()
let failed = 0
for (let seed = from; seed < from + count; seed++) {
  const outcome = runSeed(seed)
  for (const [what, times] of outcome.seen) seen.set(what, (seen.get(what) ?? 0) + times)
  if (outcome.violation === undefined) continue
  failed++
  if (failed <= 5) console.log(`seed ${seed}: ${outcome.violation}`)
}
const seconds = (performance.now() - startedAt) / 1000
console.log(
  `${count} seeds, ${failed} failed, ${seconds.toFixed(1)} s, ${Math.round(count / seconds)} a second`,
)
console.log(Object.fromEntries([...seen].sort()))
