/**
 * A service that ends by signals, for test/host/signals.test.ts: `argv[2]` has the options as JSON. It says `ready` on stdout and
 * what it is told to do on the way. The node is a stand-in, so that each way to end can be had.
 */
import { setTimeout } from 'node:timers/promises'
import { leaveOnSignals } from '../../src/index.ts'

export interface Leaving {
  readonly timeoutMs?: number
  /** How long `leave` takes; -1: for ever. */
  readonly leaveMs?: number
  readonly leaveFails?: boolean
  readonly leftBehind?: unknown[]
  readonly afterHangs?: boolean
  readonly beforeFails?: boolean
}

const {
  timeoutMs,
  leaveMs = 0,
  leaveFails,
  leftBehind = [],
  afterHangs,
  beforeFails,
} = JSON.parse(process.argv[2] ?? '{}') as Leaving
const say = (text: string): void => void process.stdout.write(`${text}\n`)
let close = (): void => {}
const closed = new Promise<void>((resolve) => {
  close = resolve
})
const forever = new Promise<never>(() => {})

const node = {
  name: 'solo',
  async leave(options: { timeoutMs: number }): Promise<{ leftBehind: unknown[] }> {
    say(`leave ${options.timeoutMs <= (timeoutMs ?? 25_000) && options.timeoutMs > 0}`)
    // As a node does: what waits is told that it was closed.
    if (leaveMs < 0) return closed.then(() => Promise.reject(new Error('the node was closed')))
    await setTimeout(leaveMs)
    if (leaveFails) throw new Error('no way out')
    return { leftBehind }
  },
  async close(): Promise<void> {
    say('close')
    close()
  },
}

leaveOnSignals(node, {
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
  before: (signal) => {
    say(`before ${signal}`)
    if (beforeFails) throw new Error('server was closed')
  },
  after: () => {
    say('after')
    return afterHangs ? forever : undefined
  },
})
// What a service has open beside its node; the process must end all the same.
setInterval(() => {}, 1_000)
say('ready')
