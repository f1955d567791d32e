/**
 * The ceiling: as many bytes as a message of the yardstick has, sent back as they come. Nothing is parsed, no promise
 * is made; what comes back is counted by its length. No RPC gets here.
 */
import { performance } from 'node:perf_hooks'
import { Packr } from 'msgpackr'
import { dial, listen } from './bare.ts'
import { bodies, keys, quantile } from './load.ts'
import type { BodyName, Round, Sample, Side } from './side.ts'

const timedEvery = 8

function frameOf(name: BodyName): Buffer {
  const message = new Packr({ useRecords: false }).pack({
    id: 100_000,
    method: 'echo',
    key: keys[0],
    body: bodies[name],
  })
  return Buffer.concat([Buffer.alloc(4), message])
}

export const raw: Side = {
  name: 'raw-bytes',
  settings: 'the ceiling: `net`, as many bytes echoed, nothing parsed on either side',
  packages: [],
  servers: [
    () =>
      listen((socket) => {
        socket.on('data', (bytes) => socket.write(bytes))
      }),
  ],
  async connect([server]) {
    const socket = await dial(server?.['port'])
    return ({ body, depth, seconds }: Round) =>
      new Promise<Sample>((resolve) => {
        const frame = frameOf(body)
        const frames = Buffer.concat(Array.from({ length: depth }, () => frame))
        const sentAt: number[] = []
        const latencies: number[] = []
        let sent = 0
        let received = 0
        let bytes = 0
        const start = performance.now()
        const end = start + seconds * 1_000
        const send = (count: number, now: number): void => {
          for (let i = 0; i < count; i++) if (sent++ % timedEvery === 0 || depth === 1) sentAt.push(now)
          socket.write(frames.subarray(0, count * frame.length))
        }
        const hear = (chunk: Buffer): void => {
          bytes += chunk.length
          const whole = Math.floor(bytes / frame.length)
          if (whole === 0) return
          bytes -= whole * frame.length
          const now = performance.now()
          for (let i = 0; i < whole; i++) {
            if (received++ % timedEvery === 0 || depth === 1) latencies.push(now - (sentAt.shift() as number))
          }
          if (now < end) send(whole, now)
          else if (received === sent) {
            socket.off('data', hear)
            latencies.sort((a, b) => a - b)
            resolve({
              perSecond: (received * 1_000) / (now - start),
              p50Us: quantile(latencies, 0.5) * 1_000,
              p99Us: quantile(latencies, 0.99) * 1_000,
              calls: received,
              errors: 0,
              checked: 0,
            })
          }
        }
        socket.on('data', hear)
        send(depth, start)
      })
  },
}
