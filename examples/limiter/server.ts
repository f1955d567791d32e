/** One process: its own HTTP server, behind the limiter that all share. */
import { createServer } from 'node:http'
import { createNode } from 'shoal'
import { serve, serverArguments } from '../servers.ts'
import { limiter } from './limiter.ts'

const { name, httpPort, join } = serverArguments()
const ring = { partitions: 4_096 } // plenty for a few servers, and what moves is quicker there
const node = createNode({ name, port: 0, join, cluster: 'limiter', profile: 'local', ring })
const limit = limiter(node, {
  perSecond: 10 / 3_600,
  burst: 10,
  timeoutMs: 10_000,
  keyOf: ({ headers }) => String(headers['x-api-key'] ?? 'nobody'),
})
const server = createServer((request, response) => {
  limit(request, response, () => response.end(`hello from ${name}\n`))
})
await serve(node, httpPort, server)
