/**
 * One shoal node in a process of its own, as processes.ts starts and drives it over IPC. `argv[2]` holds the
 * node's options as JSON. It ends with its parent.
 */
import { readdirSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { Env, Network, StreamClose } from '../../src/env.ts'
import { systemEnv } from '../../src/host/env.ts'
import { createNode, isShoalError, type Member, type NodeOptions } from '../../src/index.ts'

/** Milliseconds on a scale that all processes of this machine share. */
export type At = number

/** What the process tells, unasked but for `answer`. */
export type Told =
  | { readonly type: 'ready'; readonly name: string; readonly gossip: string; readonly rpc: string }
  | { readonly type: 'failed'; readonly message: string }
  | {
      readonly type: 'member'
      readonly at: At
      readonly name: string
      readonly change: string
      readonly status: Member['status']
      readonly lag: number
      /** Nothing but its lag has changed. */
      readonly lagOnly: boolean
    }
  | { readonly type: 'ownership'; readonly at: At; readonly members: readonly string[] }
  | { readonly type: 'notice'; readonly at: At; readonly code: string; readonly message: string }
  /** A stream ended otherwise than in good order. */
  | { readonly type: 'stream'; readonly at: At; readonly reason: StreamClose; readonly remote: string }
  /** A key of the load was answered by another node than before. */
  | {
      readonly type: 'moved'
      readonly at: At
      readonly key: string
      readonly from: string
      readonly to: string
    }
  | { readonly type: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: string }

export interface Load {
  readonly keys: number
  /** Only keys that this node does not own when the load starts. */
  readonly notOf?: string
  /** Calls under way at once. */
  readonly workers: number
  readonly pauseMs: number
}

export interface LoadReport {
  readonly answered: number
  readonly failed: number
  /** The first failures, and how long each had waited. */
  readonly failures: readonly string[]
  readonly slowestMs: number
  /** How long answered calls took. */
  readonly p50Ms: number
  readonly p99Ms: number
}

/** A handler of this process answered for a key. */
export interface Ran {
  readonly key: string
  readonly at: At
}

/** A call of this process was answered. */
export interface Heard {
  /** Who answered. */
  readonly node: string
  readonly key: string
  readonly at: At
}

export interface SingleCall {
  readonly key: string
  readonly timeoutMs: number
  readonly whenStalled: 'wait' | 'fail'
}

export interface Outcome {
  readonly node: string | undefined
  readonly code: string | undefined
  readonly mayHaveRun: boolean | undefined
  readonly tookMs: number
}

export interface Usage {
  readonly rssBytes: number
  readonly heapBytes: number
  readonly externalBytes: number
  readonly descriptors: number
}

export type Question =
  | 'members'
  | 'ring'
  | 'owners'
  | 'stats'
  | 'usage'
  | 'load'
  | 'report'
  | 'unload'
  | 'block'
  | 'ran'
  | 'heard'
  | 'call'
  | 'leave'

const failuresKept = 20

function now(): At {
  return performance.timeOrigin + performance.now()
}

function tell(told: Told): void {
  if (process.connected) process.send?.(told)
}

/** The real world, telling of streams that broke or were refused. */
function watched(env: Env): Env {
  const { network } = env
  const watch = (stream: ReturnType<Network['dial']>): ReturnType<Network['dial']> => {
    const listen = stream.listen.bind(stream)
    stream.listen = (handlers) => {
      const closed = handlers.closed.bind(handlers)
      handlers.closed = (reason, error) => {
        const { remote } = stream
        if (reason === 'reset' || reason === 'refused') tell({ type: 'stream', at: now(), reason, remote })
        closed(reason, error)
      }
      listen(handlers)
    }
    return stream
  }
  return {
    ...env,
    network: {
      ...network,
      dial: (to) => watch(network.dial(to)),
      listen: (bind, accept) => network.listen(bind, (stream) => accept(watch(stream))),
    },
  }
}

const node = createNode({ ...(JSON.parse(process.argv[2] ?? '{}') as NodeOptions), env: watched(systemEnv) })
const ran: Ran[] = []
const heard: Heard[] = []
const ranMax = 200_000
node.handle(
  'where',
  (body: unknown, { key }) => {
    if (key !== undefined && ran.length < ranMax) ran.push({ key, at: now() })
    return { node: node.name, key, body }
  },
  { idempotent: true },
)
const lastSeen = new Map<string, Member>()
node.on('member', (change, member) => {
  const { name, status, lag } = member
  const before = lastSeen.get(name)
  lastSeen.set(name, member)
  const { incarnation } = member
  const same = before !== undefined && isDeepStrictEqual({ ...before, lag, incarnation }, member)
  const lagOnly = change === 'updated' && same && before.lag !== lag
  tell({ type: 'member', at: now(), name, change, status, lag, lagOnly })
})
node.on('ownership', () => tell({ type: 'ownership', at: now(), members: node.ring.members }))
node.on('notice', ({ code, message }) => tell({ type: 'notice', at: now(), code, message }))

let loading = false
let report = { answered: 0, failed: 0, failures: [] as string[], slowestMs: 0 }
let tookMs: number[] = []
const ownerOf = new Map<string, string>()

function loadKey(index: number): string {
  return `key-${index}`
}

async function work(worker: number, keys: readonly string[], { workers, pauseMs }: Load): Promise<void> {
  for (let index = worker; loading; index = (index + workers) % keys.length) {
    const key = keys[index] as string
    const startedAt = now()
    try {
      const { node: to } = await node.request<null, { node: string }>({ method: 'where', key, body: null })
      report.answered += 1
      if (heard.length < ranMax) heard.push({ node: to, key, at: now() })
      tookMs.push(now() - startedAt)
      const from = ownerOf.get(key)
      if (from !== undefined && from !== to) tell({ type: 'moved', at: now(), key, from, to })
      ownerOf.set(key, to)
    } catch (error) {
      report.failed += 1
      const code = isShoalError(error) ? `${error.code} mayHaveRun=${error.mayHaveRun}` : 'no ShoalError'
      const waitedMs = Math.round(now() - startedAt)
      if (report.failures.length < failuresKept) {
        report.failures.push(`${key} ${code} after ${waitedMs} ms: ${(error as Error).message}`)
      }
    }
    report.slowestMs = Math.max(report.slowestMs, now() - startedAt)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

function withTimes(): LoadReport {
  const sorted = [...tookMs].sort((a, b) => a - b)
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? 0
  return { ...report, p50Ms: at(0.5), p99Ms: at(0.99) }
}

async function single({ key, timeoutMs, whenStalled }: SingleCall): Promise<Outcome> {
  const startedAt = now()
  try {
    const reply = await node.request<null, { node: string }>({
      method: 'where',
      key,
      body: null,
      timeoutMs,
      whenStalled,
    })
    return { node: reply.node, code: undefined, mayHaveRun: undefined, tookMs: now() - startedAt }
  } catch (error) {
    const { code, mayHaveRun } = error as { code?: string; mayHaveRun?: boolean }
    return { node: undefined, code, mayHaveRun, tookMs: now() - startedAt }
  }
}

function usage(): Usage {
  globalThis.gc?.()
  const { rss, heapUsed, external } = process.memoryUsage()
  const descriptors = readdirSync('/proc/self/fd').length
  return { rssBytes: rss, heapBytes: heapUsed, externalBytes: external, descriptors }
}

function startLoad(load: Load): void {
  const all = Array.from({ length: load.keys }, (_, index) => loadKey(index))
  const keys = all.filter((key) => load.notOf === undefined || node.owner(key) !== load.notOf)
  for (let worker = 0; worker < load.workers; worker++) void work(worker, keys, load)
}

async function answer(question: Question, detail: unknown): Promise<unknown> {
  switch (question) {
    case 'members':
      return node.members
    case 'ring':
      return node.ring
    case 'owners':
      return Array.from({ length: detail as number }, (_, index) => node.owner(loadKey(index)))
    case 'stats':
      return node.stats()
    case 'usage':
      return usage()
    case 'load':
      loading = true
      report = { answered: 0, failed: 0, failures: [], slowestMs: 0 }
      tookMs = []
      startLoad(detail as Load)
      return undefined
    case 'report':
      return withTimes()
    case 'unload':
      loading = false
      return withTimes()
    case 'block': {
      const at = now()
      // The answer to this question leaves before.
      setImmediate(() => {
        const end = performance.now() + (detail as number)
        while (performance.now() < end);
      })
      return at
    }
    case 'ran':
      return ran
    case 'heard':
      return heard
    case 'call':
      return single(detail as SingleCall)
    case 'leave':
      return node.leave()
    default:
      return question satisfies never
  }
}

process.on('disconnect', () => process.exit(0))
process.on('message', ({ id, question, detail }: { id: number; question: Question; detail: unknown }) => {
  answer(question, detail).then(
    (value) => tell({ type: 'answer', id, value }),
    (error: unknown) => tell({ type: 'answer', id, error: String(error) }),
  )
})
node.start().then(
  () => tell({ type: 'ready', name: node.name, ...node.addresses }),
  (error: unknown) => tell({ type: 'failed', message: (error as Error).message }),
)
