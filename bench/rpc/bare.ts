/**
 * The yardstick: what a careful programmer writes by hand on `net`. A 4-byte length, msgpackr of `{id, method, key,
 * body}` per message, a map of callbacks, all messages of a turn in one write, no-delay.
 */
import { connect, createServer, type Socket } from 'node:net'
import { Packr, Unpackr } from 'msgpackr'
import { closedLoop } from './load.ts'
import type { Echo, Side } from './side.ts'

class Coalesced {
  readonly #socket: Socket
  #chunks: Uint8Array[] = []

  constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
  }

  send(message: Uint8Array): void {
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32BE(message.length, 0)
    if (this.#chunks.push(length, message) > 2) return
    process.nextTick(() => {
      const chunks = this.#chunks
      this.#chunks = []
      this.#socket.write(Buffer.concat(chunks))
    })
  }
}

interface BareMessage {
  readonly id: number
  readonly method: string
  readonly key: string
  readonly body: unknown
}

function readMessages(socket: Socket, visit: (message: BareMessage) => void): void {
  const unpackr = new Unpackr({ useRecords: false })
  let held: Buffer | undefined
  socket.on('data', (chunk: Buffer) => {
    const bytes = held === undefined ? chunk : Buffer.concat([held, chunk])
    let at = 0
    while (bytes.length - at >= 4) {
      const end = at + 4 + bytes.readUInt32BE(at)
      if (end > bytes.length) break
      visit(unpackr.unpack(bytes.subarray(at + 4, end)) as BareMessage)
      at = end
    }
    held = at === bytes.length ? undefined : bytes.subarray(at)
  })
}

/** The port of a server on loopback. */
export function listen(accept: (socket: Socket) => void): Promise<{ readonly port: number }> {
  const server = createServer({ noDelay: true }, accept)
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve({ port: (server.address() as { port: number }).port }))
  })
}

export async function dial(port: unknown): Promise<Socket> {
  const socket = connect({ port: port as number, host: '127.0.0.1', noDelay: true })
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  return socket
}

export const bare: Side = {
  name: 'bare',
  settings: 'the yardstick: `net`, length prefix, msgpackr of {id, method, key, body}, one write a turn',
  packages: [],
  servers: [
    () =>
      listen((socket) => {
        const packr = new Packr({ useRecords: false })
        const out = new Coalesced(socket)
        readMessages(socket, ({ id, method, key, body }) => out.send(packr.pack({ id, method, key, body })))
      }),
  ],
  async connect([server]) {
    const packr = new Packr({ useRecords: false })
    const socket = await dial(server?.['port'])
    const out = new Coalesced(socket)
    const pending = new Map<number, (body: unknown) => void>()
    let lastId = 0
    readMessages(socket, ({ id, body }) => {
      const resolve = pending.get(id)
      pending.delete(id)
      resolve?.(body)
    })
    const echo: Echo = (key, body) =>
      new Promise((resolve) => {
        lastId += 1
        pending.set(lastId, resolve)
        out.send(packr.pack({ id: lastId, method: 'echo', key, body }))
      })
    return closedLoop(echo)
  },
}
