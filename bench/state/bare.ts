/**
 * The yardstick: what a careful programmer writes who moves so many records by hand. One process packs them with
 * msgpackr, 64 KiB at a time, and writes them to a socket; the other unpacks them into a map and answers with their number. No owner,
 * no calls meanwhile, no acknowledgement before the end.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Packr, Unpackr } from 'msgpackr'
import { type ItemState, keyOf, textOf } from './item.ts'

const chunkBytes = 65_536
type Entry = [key: string, state: ItemState]

async function send(socket: Socket, keys: number): Promise<void> {
  const packr = new Packr({ useRecords: false })
  const held = new Map<string, ItemState>()
  for (let index = 0; index < keys; index++) held.set(keyOf(index), { text: textOf(index) })
  process.send?.({ type: 'holding' })
  await once(process, 'message')
  let entries: Entry[] = []
  let bytes = 0
  const flush = async (): Promise<void> => {
    const body = packr.pack(entries)
    const head = Buffer.alloc(4)
    head.writeUInt32BE(body.length)
    entries = []
    bytes = 0
    socket.write(head)
    if (!socket.write(body)) await once(socket, 'drain')
  }
  for (const entry of held) {
    entries.push(entry)
    bytes += entry[0].length + entry[1].text.length
    if (bytes >= chunkBytes) await flush()
  }
  await flush()
  socket.end()
}

function receive(socket: Socket, done: (keys: number) => void): void {
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true })
  const held = new Map<string, ItemState>()
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0)
      for (const [key, state] of unpackr.unpack(rest.subarray(4, end)) as Entry[]) held.set(key, state)
      rest = rest.subarray(end)
    }
  })
  socket.on('end', () => done(held.size))
}

const [role, port, keys] = process.argv.slice(2)
if (role === 'taker') {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    receive(socket, (count) => process.send?.({ type: 'taken', keys: count }))
  }).listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.send?.({ type: 'ready', port: typeof address === 'object' ? address?.port : 0 })
  })
} else {
  const socket = connect(Number(port), '127.0.0.1')
  await once(socket, 'connect')
  await send(socket, Number(keys))
}
process.on('disconnect', () => process.exit(0))
