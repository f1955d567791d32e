/**
 * A client of the overload benchmark: an observer that makes calls at a steady rate, whatever becomes of them. The rate is
 * kept by ticks of a few milliseconds, each of which makes the calls that are due by then; calls are counted, and nothing
 * else. They are made once: what a refused caller does next is another question.
 */
import { performance } from 'node:perf_hooks'
import { createNode, isShoalError, type ShoalNode } from '../../src/index.ts'
import { bucketMs, type LoadOrder, type LoadReport, type Ready } from './protocol.ts'

const tickMs = 5
const keys = Array.from({ length: 1_024 }, (_, i) => `user-${i}`)

export async function call(name: string, join: string): Promise<void> {
  const node = createNode({ name, port: 0, profile: 'local', observer: true, join: [join] })
  await node.start()
  process.on('message', (order: LoadOrder) => {
    void load(node, order).then((report) => process.send?.(report))
  })
  process.send?.({ type: 'ready', address: node.addresses.gossip } satisfies Ready)
}

function load(node: ShoalNode, order: LoadOrder): Promise<LoadReport> {
  const { method, perSecond, seconds, timeoutMs } = order
  const counts = { offered: 0, good: 0, refused: 0, timedOut: 0, failed: 0 }
  const latency: number[] = []
  const start = performance.now()
  const end = start + seconds * 1_000
  let made = 0
  const one = (): void => {
    const at = performance.now()
    counts.offered += 1
    // To the node by its name: a call to a key would be repeated by its router as long as nothing ran.
    node.request({ method, to: 'server', body: keys[made & 1_023] ?? '', timeoutMs }).then(
      () => {
        const ms = performance.now() - at
        if (ms <= timeoutMs) counts.good += 1
        else counts.timedOut += 1
        const bucket = Math.floor(ms / bucketMs)
        latency[bucket] = (latency[bucket] ?? 0) + 1
      },
      (error: unknown) => {
        if (isShoalError(error) && error.code === 'ERR_SHOAL_OVERLOADED') counts.refused += 1
        else if (isShoalError(error) && error.code === 'ERR_SHOAL_TIMEOUT') counts.timedOut += 1
        else counts.failed += 1
      },
    )
  }
  return new Promise((resolve) => {
    const tick = (): void => {
      const now = performance.now()
      const due = ((Math.min(now, end) - start) * perSecond) / 1_000
      for (; made < due; made += 1) one()
      if (now < end) return
      clearInterval(timer)
      setTimeout(() => {
        for (let i = 0; i < latency.length; i += 1) latency[i] ??= 0
        resolve({ type: 'report', ...counts, latency })
      }, timeoutMs + 500)
    }
    const timer = setInterval(tick, tickMs)
  })
}
