/**
 * Three HTTP servers with one rate limit: ten requests an hour for each API key, whichever server they reach.
 *
 *     npm run build && node dist/examples/limiter/main.js
 *     for i in 1 2 3 4; do curl -i -H 'x-api-key: ann' http://127.0.0.1:808$((i % 3)); done
 *
 * With `--once` it sends some requests on free ports, restarts all servers in turn, and counts.
 */
import { resolve } from 'node:path'
import { Servers } from '../servers.ts'

const runOnce = process.argv.includes('--once')
const servers = new Servers(
  resolve(import.meta.dirname, 'server.js'),
  runOnce ? [0, 0, 0] : [8080, 8081, 8082],
)
const keys = ['ann', 'bob', 'cleo', 'dan']

interface Passed {
  /** Within the limit. */
  readonly allowed: number
  /** Because there was no verdict in time. */
  readonly unknown: number
}

/** Sends `count` requests of each key, spread over all servers, all at once; how many were let through, and why. */
async function send(count: number): Promise<Passed> {
  const requests = keys.flatMap((key) =>
    Array.from({ length: count }, async (_, index) => {
      const url = servers.urls[index % servers.urls.length] as string
      return fetch(url, { headers: { 'x-api-key': key } })
    }),
  )
  const passed = (await Promise.all(requests)).filter(({ status }) => status === 200)
  const unknown = passed.filter(({ headers }) => headers.has('RateLimit-Unknown')).length
  return { allowed: passed.length - unknown, unknown }
}

function told({ unknown }: Passed): string {
  return unknown === 0 ? '' : `, and ${unknown} without a verdict`
}

await servers.start()
if (runOnce) {
  try {
    const first = await send(20)
    console.log(
      `${first.allowed} of ${20 * keys.length} requests of ${keys.length} keys were let through${told(first)}`,
    )
    for (const index of servers.urls.keys()) await servers.restart(index)
    const again = await send(20)
    console.log(`${again.allowed} more after every server was restarted${told(again)}`)
  } finally {
    servers.end()
  }
}
