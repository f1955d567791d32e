/**
 * One process of the chat: browsers connect to any of them, and each room lives on one. A room knows which servers have
 * somebody in it and pokes them when there is news; they fetch what they lack. So nothing is lost or said twice, whatever
 * becomes of a poke: messages are numbered by the room.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createNode, entity } from 'shoal'
import { type WebSocket, WebSocketServer } from 'ws'
import { serve, serverArguments } from '../servers.ts'

interface Message {
  /** Grows from message to message of a room. */
  readonly number: number
  readonly from: string
  readonly text: string
}

/** Messages that a room keeps for those who come later. */
const historyMax = 200
const textMax = 1_000
const nameMax = 64

const { name, httpPort, join } = serverArguments()
const ring = { partitions: 4_096 } // plenty for a few servers, and what moves is quicker there
const node = createNode({ name, port: 0, join, cluster: 'rooms', profile: 'local', ring })

const Room = entity('room', {
  open: () => ({ last: 0, history: [] as Message[], servers: [] as string[] }),
  calls: {
    /** This server has somebody in the room from now on. */
    join(room, server: string) {
      if (!room.servers.includes(server)) room.servers.push(server)
    },
    leave(room, server: string) {
      room.servers = room.servers.filter((other) => other !== server)
    },
    say(room, { from, text }: { from: string; text: string }, { key }) {
      // The time, so that numbers go on growing after a crash that took the history with it.
      room.last = Math.max(room.last + 1, Date.now())
      room.history.push({ number: room.last, from, text })
      if (room.history.length > historyMax) room.history.shift()
      room.servers = room.servers.filter(isThere)
      for (const server of room.servers) poke(server, key)
    },
    since: (room, number: number) => room.history.filter((message) => message.number > number),
  },
  readonly: ['since'],
})
const rooms = node.host(Room)

function isThere(server: string): boolean {
  return node.members.some(({ name, state }) => name === server && (state === 'alive' || state === 'suspect'))
}

/** Tells a server that there is news; one that is gone has nobody to tell it to. */
function poke(server: string, room: string): void {
  node.request({ method: 'poke', to: server, body: room, detached: true }).catch(() => {})
}

/** The people in one room who are connected here. */
class Audience {
  readonly #room: string
  readonly #sockets = new Map<WebSocket, number>()
  #isFetching = false
  #isStale = false

  constructor(room: string) {
    this.#room = room
  }

  get isEmpty(): boolean {
    return this.#sockets.size === 0
  }

  /** `number` is the last message that this person has. */
  enter(socket: WebSocket, number: number): void {
    this.#sockets.set(socket, number)
  }

  leave(socket: WebSocket): void {
    this.#sockets.delete(socket)
  }

  /** Fetches what somebody here lacks, one time after the other. */
  async refresh(): Promise<void> {
    this.#isStale = true
    if (this.#isFetching) return
    this.#isFetching = true
    try {
      while (this.#isStale && !this.isEmpty) {
        this.#isStale = false
        const messages = await rooms.get(this.#room).since(Math.min(...this.#sockets.values()))
        for (const [socket, number] of this.#sockets) this.#send(socket, number, messages)
      }
    } finally {
      this.#isFetching = false
    }
  }

  #send(socket: WebSocket, number: number, messages: readonly Message[]): void {
    const fresh = messages.filter((message) => message.number > number)
    for (const message of fresh) socket.send(JSON.stringify(message))
    this.#sockets.set(socket, fresh.at(-1)?.number ?? number)
  }
}

const audiences = new Map<string, Audience>()
node.handle(
  'poke',
  (room: string) =>
    void audiences
      .get(room)
      ?.refresh()
      .catch(() => {}),
)

/** Somebody comes in: `?room=R&name=N&since=NUMBER`. */
async function enter(socket: WebSocket, url: URL): Promise<void> {
  const room = url.searchParams.get('room')?.slice(0, nameMax) || 'lobby'
  const from = url.searchParams.get('name')?.slice(0, nameMax) || 'somebody'
  const audience = audiences.get(room) ?? new Audience(room)
  audiences.set(room, audience)
  audience.enter(socket, Number(url.searchParams.get('since')) || 0)
  socket.on('message', (text) => {
    rooms
      .get(room)
      .say({ from, text: String(text).slice(0, textMax) })
      .catch(() => socket.close(1013, 'try again'))
  })
  socket.on('close', () => {
    audience.leave(socket)
    if (!audience.isEmpty) return
    audiences.delete(room)
    rooms
      .get(room)
      .leave(name)
      .catch(() => {})
  })
  await rooms.get(room).join(name)
  await audience.refresh()
}

/** A room that has moved, or was lost in a crash, is told again who listens. */
function joinAgain(): void {
  for (const [room, audience] of audiences) {
    const joined = rooms.get(room).join(name)
    joined.then(() => audience.refresh()).catch(() => {})
  }
}
node.on('ownership', joinAgain)
// Should a poke have been lost.
setInterval(joinAgain, 5_000).unref()

const page = readFileSync(new URL('../../../examples/rooms/page.html', import.meta.url))
const server = createServer((_, response) => {
  response.setHeader('Content-Type', 'text/html; charset=utf-8').end(page)
})
const sockets = new WebSocketServer({ server, maxPayload: 16_384 })
sockets.on('connection', (socket, request) => {
  const url = new URL(request.url ?? '/', 'http://localhost')
  enter(socket, url).catch(() => socket.close(1013, 'try again'))
})
await serve(node, httpPort, server, () => {
  for (const socket of sockets.clients) socket.close(1012, 'this server restarts')
})
