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

/** Sends `count` requests of each key, spread over all servers, all at once; how many were let through. */
async function send(count: number): Promise<number> {
  const requests = keys.flatMap((key) =>
    Array.from({ length: count }, async (_, index) => {
      const url = servers.urls[index % servers.urls.length] as string
      const { status } = await fetch(url, { headers: { 'x-api-key': key } })
      return status
    }),
  )
  return (await Promise.all(requests)).filter((status) => status === 200).length
}

await servers.start()
if (runOnce) {
  try {
    console.log(`${await send(20)} of ${20 * keys.length} requests of ${keys.length} keys were let through`)
    for (const index of servers.urls.keys()) await servers.restart(index)
    console.log(`${await send(20)} more after every server was restarted`)
  } finally {
    servers.end()
  }
}
