/**
 * Question: what does a bulk stream do to the calls beside it, and how fast is it?
 *
 * Two processes on loopback, two whole nodes, one connection. Calls of 100 bytes at depth 1 and 16, alone and beside a
 * transfer over the same connection; the transfer reads what the other node yields in chunks of 64 KiB, or sends it as
 * `input`. The same bytes through a plain `net` socket, in the same processes, say what the machine can do. The promise:
 * p99 of the calls at most doubles.
 *
 *   node dist/bench/streams.bench.js [--json] [--mb 1024] [--rounds 5] [--depth 1] [--seconds 2] [--flight 131072]
 */
import { type ChildProcess, fork } from 'node:child_process'
import { connect, createServer, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { type CallContext, createNode, type ShoalNode } from '../src/index.ts'

const pieceBytes = 65_536
const piece = new Uint8Array(pieceBytes).fill(7)
const small = new Uint8Array(100).fill(1)

interface Sample {
  readonly p50Us: number
  readonly p99Us: number
  readonly perSecond: number
}

interface Transfer {
  /** Resolves with the bytes that arrived. */
  run(bytes: number): Promise<number>
}

// ---- the other process

function* pieces(bytes: number): Generator<Uint8Array> {
  for (let left = bytes; left > 0; left -= pieceBytes)
    yield left < pieceBytes ? piece.subarray(0, left) : piece
}

function limits(flight: string | undefined): { streamFlightBytes?: number; streamChunkBytes?: number } {
  const [bytes, chunk] = (flight ?? '').split('/').map(Number)
  return flight === undefined ? {} : { streamFlightBytes: bytes as number, streamChunkBytes: chunk as number }
}

async function serve(flight: string | undefined): Promise<void> {
  const node = createNode({ name: 'server', port: 0, profile: 'local', limits: limits(flight) })
  node.handle('echo', (body: unknown) => body)
  node.handle('download', async function* (bytes: number) {
    yield* pieces(bytes)
  })
  node.handle('upload', async (_: undefined, { input }: CallContext<Uint8Array>) => {
    let bytes = 0
    for await (const chunk of input) bytes += chunk.length
    return bytes
  })
  await node.start()
  const plain = createServer((socket) => pipe(socket))
  plain.listen(0, '127.0.0.1', () => {
    const gossip = Number(node.addresses.gossip.split(':')[1])
    process.send?.({ gossip, plain: (plain.address() as { port: number }).port })
  })
}

/** Answers eight bytes that say how many are wanted with so many. */
function pipe(socket: Socket): void {
  socket.on('error', () => {})
  socket.once('data', (head: Buffer) => {
    const source = pieces(Number(head.readBigUInt64BE(0)))
    const more = () => {
      for (;;) {
        const next = source.next()
        if (next.done === true) socket.end()
        else if (socket.write(next.value)) continue
        return
      }
    }
    socket.on('drain', more)
    more()
  })
}

// ---- this one

function plainTransfer(port: number): Transfer {
  return {
    run: (bytes) =>
      new Promise((resolve, reject) => {
        const socket = connect({ port, host: '127.0.0.1' })
        const head = Buffer.alloc(8)
        head.writeBigUInt64BE(BigInt(bytes))
        socket.write(head)
        let arrived = 0
        socket.on('data', (chunk) => {
          arrived += chunk.length
        })
        socket.on('end', () => resolve(arrived))
        socket.on('error', reject)
      }),
  }
}

function transfers(node: ShoalNode, port: number): Record<string, Transfer> {
  return {
    net: plainTransfer(port),
    download: {
      async run(body) {
        let arrived = 0
        for await (const chunk of node.stream({ method: 'download', to: 'server', body })) {
          arrived += (chunk as Uint8Array).length
        }
        return arrived
      },
    },
    upload: {
      run: (bytes) =>
        node.request<undefined, number>({ method: 'upload', to: 'server', input: pieces(bytes) }),
    },
  }
}

/** Calls until `stop` says so. */
async function calls(node: ShoalNode, depth: number, stop: () => boolean): Promise<Sample> {
  const times: number[] = []
  const start = performance.now()
  const lane = async () => {
    while (!stop()) {
      const at = performance.now()
      await node.request({ method: 'echo', to: 'server', body: small })
      times.push(performance.now() - at)
    }
  }
  await Promise.all(Array.from({ length: depth }, lane))
  const perSecond = (times.length * 1_000) / (performance.now() - start)
  times.sort((a, b) => a - b)
  const at = (share: number) => (times[Math.floor(times.length * share)] ?? 0) * 1_000
  return { p50Us: at(0.5), p99Us: at(0.99), perSecond }
}

interface Round {
  readonly alone: Sample
  readonly beside: Sample
  readonly mbPerSecond: number
}

async function round(node: ShoalNode, transfer: Transfer, depth: number, run: Run): Promise<Round> {
  const end = performance.now() + run.seconds * 1_000
  const alone = await calls(node, depth, () => performance.now() >= end)
  let isOver = false
  const start = performance.now()
  const moved = transfer.run(run.bytes).then((bytes) => {
    isOver = true
    if (bytes !== run.bytes) throw new Error(`${bytes} bytes arrived, not ${run.bytes}`)
    return bytes / 1e6 / ((performance.now() - start) / 1_000)
  })
  const beside = await calls(node, depth, () => isOver)
  return { alone, beside, mbPerSecond: await moved }
}

interface Run {
  readonly bytes: number
  readonly seconds: number
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0
}

function spread(values: readonly number[]): string {
  return `${median(values).toFixed(0)} (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      mb: { type: 'string', default: '1024' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      depth: { type: 'string', multiple: true, default: ['1', '16'] },
      flight: { type: 'string' },
    },
  })
  const child: ChildProcess = fork(
    import.meta.filename,
    ['--serve', ...(values.flight === undefined ? [] : [values.flight])],
    { execArgv: process.execArgv },
  )
  const ports = await new Promise<{ gossip: number; plain: number }>((resolve) => {
    child.once('message', (message) => resolve(message as { gossip: number; plain: number }))
  })
  const join = [`127.0.0.1:${ports.gossip}`]
  const options = { port: 0, profile: 'local', observer: true, join, limits: limits(values.flight) } as const
  const node = createNode({ name: 'client', ...options })
  await node.start()
  const run = { bytes: Number(values.mb) * 1_048_576, seconds: Number(values.seconds) }
  const all = transfers(node, ports.plain)
  await calls(node, 16, after(1_000))
  const speeds: Record<string, number[]> = {}
  const rows: object[] = []
  for (const depth of [0, ...values.depth.map(Number)]) {
    const rounds: Record<string, Round[]> = {}
    for (let i = 0; i < Number(values.rounds); i++) {
      for (const [name, transfer] of Object.entries(all)) {
        const one = await round(node, transfer, depth, { ...run, seconds: depth === 0 ? 0 : run.seconds })
        rounds[name] = [...(rounds[name] ?? []), one]
        if (depth === 0) speeds[name] = [...(speeds[name] ?? []), one.mbPerSecond]
      }
    }
    for (const [name, list] of Object.entries(rounds)) {
      const pick = (of: (one: Round) => number) => list.map(of)
      rows.push({
        transfer: name,
        depth,
        mbPerSecond: spread(pick((one) => one.mbPerSecond)),
        aloneP50Us: spread(pick((one) => one.alone.p50Us)),
        aloneP99Us: spread(pick((one) => one.alone.p99Us)),
        besideP50Us: spread(pick((one) => one.beside.p50Us)),
        besideP99Us: spread(pick((one) => one.beside.p99Us)),
        p99Ratio: (
          median(pick((one) => one.beside.p99Us)) / Math.max(1, median(pick((one) => one.alone.p99Us)))
        ).toFixed(2),
      })
    }
  }
  if (values.json) console.log(JSON.stringify({ type: 'streams', node: process.version, rows }))
  else console.table(rows)
  child.disconnect()
  await node.close()
  process.exit(0)
}

function after(ms: number): () => boolean {
  const end = performance.now() + ms
  return () => performance.now() >= end
}

if (process.argv[2] === '--serve') {
  process.on('disconnect', () => process.exit(0))
  await serve(process.argv[3])
} else await main()
