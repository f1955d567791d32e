/**
 * Three processes, each with an HTTP server of its own. Any of them answers for any counter, because each
 * counter lives on one of them and the request finds it there.
 *
 *     npm run build && node dist/examples/http-counter/main.js
 *     curl -X POST http://127.0.0.1:8080/visits; curl -X POST http://127.0.0.1:8081/visits
 *
 * With `--once` it counts a little on free ports, checks the sums and ends.
 *
 * The counters are plain values in memory: when their owner goes, they begin again from zero.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createNode } from 'shoal'

const processes = 3
const [role, ...args] = process.argv.slice(2)

if (role === 'serve') await serve(args[0] as string, Number(args[1]), args.slice(2))
else await main(role === '--once')

/** One process: a node, and an HTTP server in front of it. */
async function serve(name: string, httpPort: number, join: string[]): Promise<void> {
  const counters = new Map<string, number>()
  const node = createNode({ name, port: 0, profile: 'local', cluster: 'http-counter', join })
  const add = node.handle('add', (by: number, { key = '' }) => {
    const count = (counters.get(key) ?? 0) + by
    counters.set(key, count)
    return { count, node: name }
  })
  node.on('ownership', () => tell({ members: node.ring.members.length }))
  await node.start()

  const server = createServer(async (request, response) => {
    const by = request.method === 'POST' ? 1 : 0
    try {
      const key = decodeURIComponent(request.url?.slice(1) ?? '')
      const reply = await node.request({ method: add, key, body: by })
      response.end(`${JSON.stringify({ key, ...reply, askedOf: name })}\n`)
    } catch (error) {
      response.writeHead(503).end(`${String(error)}\n`)
    }
  })
  server.listen(httpPort, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  tell({ gossip: node.addresses.gossip, http: `http://127.0.0.1:${port}` })

  const end = async (): Promise<void> => {
    server.close()
    server.closeAllConnections()
    await node.leave()
    process.exit(0)
  }
  process.once('SIGTERM', end)
  // Without its parent there is no one to stop it.
  process.once('disconnect', end)
}

/** What a process tells its parent: where it is, and how many members it sees on the ring. */
interface News {
  readonly gossip?: string
  readonly http?: string
  readonly members?: number
}

/** Its parent may be gone already, and hears nothing then: 'disconnect' ends the process in good order. */
function tell(news: News): void {
  if (process.connected) process.send?.(news, undefined, undefined, () => {})
}

async function main(runOnce: boolean): Promise<void> {
  const children: ChildProcess[] = []
  const known: News[] = []
  for (let index = 0; index < processes; index++) {
    const port = String(runOnce ? 0 : 8080 + index)
    const seeds = known.flatMap(({ gossip }) => gossip ?? [])
    const child = fork(import.meta.filename, ['serve', `server-${index + 1}`, port, ...seeds])
    children.push(child)
    child.on('message', (news: News) => {
      known[index] = { ...known[index], ...news }
    })
    while (known[index]?.http === undefined) await once(child, 'message')
    console.log(`server-${index + 1} listens at ${known[index]?.http}`)
  }
  if (!runOnce) return
  try {
    // Views agree a moment after a start. Until then two servers may each begin the same counter.
    for (const [index, child] of children.entries()) {
      while (known[index]?.members !== processes) await once(child, 'message')
    }
    await count(known.flatMap(({ http }) => http ?? []))
  } finally {
    for (const child of children) child.kill('SIGTERM')
  }
}

/** Adds to ten counters through every server in turn; each must come to the same sum. */
async function count(urls: readonly string[]): Promise<void> {
  const owners = new Set<string>()
  for (let counter = 1; counter <= 10; counter++) {
    for (const [index, url] of urls.entries()) {
      const response = await fetch(`${url}/counter-${counter}`, { method: 'POST' })
      const reply = (await response.json()) as { count: number; node: string; askedOf: string }
      if (reply.count !== index + 1) throw new Error(`counter-${counter} is ${reply.count}, not ${index + 1}`)
      if (index === 0) console.log(`counter-${counter} lives on ${reply.node}`)
      owners.add(reply.node)
    }
  }
  console.log(`${owners.size} of ${urls.length} servers own counters; every sum is right`)
}
