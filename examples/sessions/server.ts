/** One process: an HTTP server whose sessions live in all of them together. */
import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createNode, entity } from 'shoal'
import { serve, serverArguments } from '../servers.ts'

interface State {
  /** Nobody is logged in without. */
  user?: string
  visits: number
}

const idleMs = Number(process.env['IDLE_MS'] ?? 30 * 60_000)

const Session = entity('session', {
  open: (): State => ({ visits: 0 }),
  calls: {
    login(session, user: string) {
      session.user = user
    },
    visit(session) {
      if (session.user === undefined) return undefined
      session.visits++
      return { user: session.user, visits: session.visits }
    },
    logout(session) {
      delete session.user
    },
  },
  level: 'replicated', // whatever a client was told is in two processes, so that a crash logs nobody out
  idleMs, // then the session is over
})

const { name, httpPort, join } = serverArguments()
const ring = { partitions: 4_096 } // plenty for a few servers, and what moves is quicker there
// What a call has answered is kept for its repeats, a minute as a rule, and the session as long at least.
const limits = { windowMs: Math.min(idleMs, 60_000) }
const node = createNode({ name, port: 0, join, cluster: 'sessions', profile: 'local', ring, limits })
const sessions = node.host(Session)

/** The session's name is a secret: whoever has it is logged in. */
function cookieOf({ headers }: IncomingMessage): string | undefined {
  return /(?:^|; )sid=([\w-]{36})(?:;|$)/.exec(headers.cookie ?? '')?.[1]
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  const id = cookieOf(request)
  if (url.pathname === '/login') {
    const fresh = randomUUID()
    await sessions.get(fresh).login(url.searchParams.get('user') ?? 'somebody')
    response.setHeader('Set-Cookie', `sid=${fresh}; HttpOnly; SameSite=Lax; Path=/`)
    response.end('welcome\n')
  } else if (url.pathname === '/logout') {
    if (id !== undefined) await sessions.get(id).logout()
    response.end('goodbye\n')
  } else {
    const seen = id === undefined ? undefined : await sessions.get(id).visit()
    if (seen === undefined) response.writeHead(401).end('log in first\n')
    else response.end(`${JSON.stringify({ ...seen, server: name })}\n`)
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => response.writeHead(503).end(`${String(error)}\n`))
})
await serve(node, httpPort, server)
