/**
 * Question: how near is a keyed call to the least a Node process can do for a request and its reply?
 *
 * Two processes on loopback, one connection. The yardstick, in the same run: bare `net`, a 4-byte length,
 * msgpackr of `{id, method, key, body}` per message, a map of promises, all messages of a turn in one write,
 * no-delay. Ours is two whole nodes and `node.request`: hash of the key, owner, deadline, ownership check at
 * the receiver, handler. Rounds are interleaved and their order rotates; medians with min and max.
 *
 *   node dist/bench/rpc.bench.js [--json] [--seconds 1] [--rounds 5] [--depth 64] [--body small] [--only shoal]
 */
import { type ChildProcess, fork } from 'node:child_process'
import { connect, createServer, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { Packr, Unpackr } from 'msgpackr'
import { createNode } from '../src/index.ts'

type Request = (key: string, body: unknown) => Promise<unknown>
type Side = 'bare' | 'shoal'

const small = {
  user: 'user-4711',
  items: ['net', 'rod', 'bait'],
  total: 129.95,
  paid: false,
  note: 'leave it at the harbour, please',
  at: 1_700_000_000_000,
}
const bodies: Record<string, unknown> = { small, '10KiB': new Uint8Array(10_240).fill(7) }

// ---- the yardstick

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

function bareServer(): Promise<number> {
  const packr = new Packr({ useRecords: false })
  const server = createServer({ noDelay: true }, (socket) => {
    const out = new Coalesced(socket)
    readMessages(socket, ({ id, method, key, body }) => out.send(packr.pack({ id, method, key, body })))
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port))
  })
}

async function bareClient(port: number): Promise<Request> {
  const packr = new Packr({ useRecords: false })
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
  const out = new Coalesced(socket)
  const pending = new Map<number, (body: unknown) => void>()
  let lastId = 0
  readMessages(socket, ({ id, body }) => {
    const resolve = pending.get(id)
    pending.delete(id)
    resolve?.(body)
  })
  return (key, body) =>
    new Promise((resolve) => {
      lastId += 1
      pending.set(lastId, resolve)
      out.send(packr.pack({ id: lastId, method: 'echo', key, body }))
    })
}

// ---- ours

/** A node that owns every key. Serves its gossip address. */
async function shoalServer(): Promise<number> {
  const node = createNode({ name: 'server', port: 0, profile: 'local' })
  node.handle('echo', (body: unknown) => body)
  await node.start()
  return Number(node.addresses.gossip.split(':')[1])
}

/** An observer, so that every call crosses the connection. */
async function shoalClient(port: number): Promise<Request> {
  const join = [`127.0.0.1:${port}`]
  const node = createNode({ name: 'client', port: 0, profile: 'local', observer: true, join })
  await node.start()
  return (key, body) => node.request({ method: 'echo', key, body })
}

// ---- the measurement

interface Round {
  readonly perSecond: number
  readonly p50Us: number
}

async function measure(request: Request, body: unknown, depth: number, seconds: number): Promise<Round> {
  const keys = Array.from({ length: 4_096 }, (_, i) => `user-${String(i).padStart(11, '0')}`)
  const latencies: number[] = []
  let calls = 0
  const start = performance.now()
  const end = start + seconds * 1_000
  const lane = async (from: number) => {
    for (let i = from; performance.now() < end; i += depth) {
      const sample = calls++ % 16 === 0 || depth === 1
      const at = sample ? performance.now() : 0
      await request(keys[i & 4_095] as string, body)
      if (sample) latencies.push(performance.now() - at)
    }
  }
  await Promise.all(Array.from({ length: depth }, (_, i) => lane(i)))
  const perSecond = (calls * 1_000) / (performance.now() - start)
  latencies.sort((a, b) => a - b)
  return { perSecond, p50Us: (latencies[latencies.length >> 1] ?? 0) * 1_000 }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
}

interface Row {
  readonly body: string
  readonly depth: number
  readonly ratio: number
  readonly latencyRatio: number
  readonly sides: Record<string, { perSecond: number; min: number; max: number; p50Us: number }>
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '5' },
      depth: { type: 'string', multiple: true, default: ['1', '64', '256'] },
      body: { type: 'string', multiple: true, default: ['small', '10KiB'] },
      only: { type: 'string' },
    },
  })
  const children: ChildProcess[] = []
  const serve = async (side: Side): Promise<number> => {
    const child = fork(import.meta.filename, ['--serve', side], { execArgv: process.execArgv })
    children.push(child)
    return new Promise((resolve) => child.once('message', (port) => resolve(port as number)))
  }
  const requests: Partial<Record<Side, Request>> = {}
  if (values.only !== 'shoal') requests.bare = await bareClient(await serve('bare'))
  if (values.only !== 'bare') requests.shoal = await shoalClient(await serve('shoal'))
  const sides = Object.keys(requests) as Side[]
  for (const side of sides) await measure(requests[side]!, small, 64, 0.5)

  const rows: Row[] = []
  for (const body of values.body) {
    for (const depth of values.depth.map(Number)) {
      const rounds: Record<string, Round[]> = { bare: [], shoal: [] }
      for (let round = 0; round < Number(values.rounds); round++) {
        for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
          await measure(requests[side]!, bodies[body], depth, 0.1)
          rounds[side]!.push(await measure(requests[side]!, bodies[body], depth, Number(values.seconds)))
        }
      }
      const summary = (side: Side) => {
        const rates = rounds[side]!.map((round) => round.perSecond)
        const p50Us = median(rounds[side]!.map((round) => round.p50Us))
        return { perSecond: median(rates), min: Math.min(...rates), max: Math.max(...rates), p50Us }
      }
      const all = Object.fromEntries(sides.map((side) => [side, summary(side)]))
      const ratio = (all['shoal']?.perSecond ?? 0) / (all['bare']?.perSecond ?? 1)
      const latencyRatio = (all['shoal']?.p50Us ?? 0) / (all['bare']?.p50Us ?? 1)
      rows.push({ body, depth, ratio, latencyRatio, sides: all })
    }
  }
  for (const child of children) child.disconnect()
  if (values.json) console.log(JSON.stringify({ type: 'rpc', node: process.version, rows }))
  else print(rows, sides)
  process.exit(0)
}

function print(rows: readonly Row[], sides: readonly Side[]): void {
  const cell = (row: Row, side: Side) => {
    const { perSecond, min, max, p50Us } = row.sides[side]!
    const k = (n: number) => (n / 1_000).toFixed(1)
    return `${k(perSecond)} k (${k(min)} to ${k(max)}), ${p50Us.toFixed(0)} µs`
  }
  console.log(`| body | depth | ${sides.join(' | ')} | calls/s ratio | p50 ratio |`)
  console.log(`|---|---:|${sides.map(() => '---|').join('')}---:|---:|`)
  for (const row of rows) {
    const cells = sides.map((side) => cell(row, side)).join(' | ')
    console.log(
      `| ${row.body} | ${row.depth} | ${cells} | ${row.ratio.toFixed(2)} | ${row.latencyRatio.toFixed(2)} |`,
    )
  }
}

if (process.argv[2] === '--serve') {
  const port = await (process.argv[3] === 'bare' ? bareServer() : shoalServer())
  process.send?.(port)
  process.on('disconnect', () => process.exit(0))
} else await main()
