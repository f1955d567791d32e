/** The load: bodies, keys, and a closed loop that keeps so many calls under way. */
import { performance } from 'node:perf_hooks'
import { Packr } from 'msgpackr'
import type { BodyName, Echo, Load, Round, Sample } from './side.ts'

/** About 100 bytes of JSON. */
const small = {
  user: 'user-4711',
  items: ['net', 'rod', 'bait'],
  total: 129.95,
  paid: false,
  note: 'leave it at the harbour, please',
  at: 1_700_000_000_000,
}

/** The second one as a `Buffer`, which every library takes for bytes. */
export const bodies: Readonly<Record<BodyName, unknown>> = {
  small,
  '10KiB': Buffer.alloc(10_240, 'shoal of herring, '),
}

export const keys: readonly string[] = Array.from(
  { length: 4_096 },
  (_, i) => `user-${String(i).padStart(11, '0')}`,
)

/** Every so many calls one is timed; all are when one is under way at a time. */
const timedEvery = 8
const checkedEvery = 64

const packr = new Packr({ useRecords: false })

/** Bodies for what carries bytes only: objects by msgpackr, bytes as they are. */
export function toBytes(body: unknown): Buffer {
  return body instanceof Uint8Array ? (body as Buffer) : packr.pack(body)
}

function isSame(reply: unknown, sent: Buffer): boolean {
  return Buffer.compare(toBytes(reply), sent) === 0
}

/** `Array.prototype.at` of a share of sorted values. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** Keeps `depth` calls under way: each that is answered is followed by the next. */
export function closedLoop(echo: Echo, routed: readonly string[] = keys): Load {
  return async ({ body: name, depth, seconds }: Round): Promise<Sample> => {
    const body = bodies[name]
    const sent = Buffer.from(toBytes(body))
    const latencies: number[] = []
    let calls = 0
    let errors = 0
    let checked = 0
    const start = performance.now()
    const end = start + seconds * 1_000
    const lane = async (from: number): Promise<void> => {
      for (let i = from; performance.now() < end; i += depth) {
        const count = calls++
        const timed = depth === 1 || count % timedEvery === 0
        const at = timed ? performance.now() : 0
        try {
          const reply = await echo(routed[i % routed.length] as string, body)
          if (timed) latencies.push(performance.now() - at)
          if (count % checkedEvery !== 0) continue
          checked++
          if (!isSame(reply, sent)) errors++
        } catch {
          errors++
        }
      }
    }
    await Promise.all(Array.from({ length: depth }, (_, i) => lane(i)))
    const perSecond = (calls * 1_000) / (performance.now() - start)
    latencies.sort((a, b) => a - b)
    const p50Us = quantile(latencies, 0.5) * 1_000
    return { perSecond, p50Us, p99Us: quantile(latencies, 0.99) * 1_000, calls, errors, checked }
  }
}
