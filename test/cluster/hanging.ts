/** A worker of the pool that runs no seed: an odd one never ends, 4 ends its process, any other is done at once. */
import type { Task } from '../sim/worker.ts'

process.on('message', ({ profile, seed }: Task) => {
  while (seed % 2 === 1) {}
  if (seed === 4) process.exit(3)
  process.send?.({ profile, seed, result: undefined, violation: undefined, traceHash: '', sometimes: {} })
})
process.send?.('ready')
