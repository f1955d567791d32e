/** `npm run sim:rolling [-- --requests N --rate N --nodes N --keys N --seed N]`: the rolling restart of rolling.ts at full size. */
import { parseArgs } from 'node:util'
import { rollingRestart } from './rolling.ts'

const text = { type: 'string' } as const
const { values } = parseArgs({ options: { requests: text, rate: text, nodes: text, keys: text, seed: text } })
const nodes = Number(values.nodes ?? 60)
const startedAt = performance.now()
const report = await rollingRestart({
  nodes,
  atOnce: Math.max(1, Math.round(nodes / 10)),
  keys: Number(values.keys ?? 20_000),
  requests: Number(values.requests ?? 10_000_000),
  clients: 6,
  // Per second.
  requestsPerSecond: Number(values.rate ?? 200_000),
  partitions: 1_024,
  seed: Number(values.seed ?? 1),
})
const wallSeconds = Math.round((performance.now() - startedAt) / 100) / 10
console.log(JSON.stringify({ type: 'summary', ...report, wallSeconds }))
if (report.failed + report.lost + report.doubled > 0) process.exitCode = 1
