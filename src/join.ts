/**
 * Joining: names become addresses, every seed is tried, again and again until one takes this node in or the
 * time is up. In a cluster that starts all at once the first seeds refuse because they are not up yet; in
 * Kubernetes their names do not resolve yet.
 */
import type { Address, Env, Millis } from './env.ts'
import { ShoalError } from './errors.ts'
import type { SeedFailure } from './membership.ts'
import type { Replies } from './replies.ts'

export interface JoinPorts {
  readonly env: Env
  readonly replies: Replies
  /** This node's own gossip address: a seed that is us is skipped. */
  readonly own: Address
  /** Longest single attempt, so that a name that resolves later is found; long enough for the UDP test. */
  readonly attemptMs: Millis
  /** Tells membership to try these; the outcome settles the id with its failures, none when one took us in. */
  readonly send: (id: number, seeds: readonly Address[], timeoutMs: Millis) => void
}

/** Why one seed did not take the node in. */
export interface JoinFailure {
  readonly seed: Address
  /** As in membership, or `unresolved`: the name has no address. */
  readonly reason: SeedFailure['reason'] | 'unresolved'
  readonly message: string
}

const pauseMs = { first: 100, max: 1_000 }
/** Addresses taken from one name. */
const addressesPerNameMax = 16
/** Reasons that another attempt cannot change. */
const final: ReadonlySet<JoinFailure['reason']> = new Set([
  'nameTaken',
  'versions',
  'udpBlocked',
  'encryption',
  'label',
])

/** Resolves once a seed took the node in; rejects with `ERR_SHOAL_JOIN` and each seed's reason. */
export async function joinCluster(
  ports: JoinPorts,
  seeds: readonly Address[],
  timeoutMs: Millis,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { clock } = ports.env
  const until = clock.now() + timeoutMs
  let pause = pauseMs.first
  for (;;) {
    const lookUpMs = Math.max(1, Math.min(ports.attemptMs, until - clock.now()))
    const found = await resolveSeeds(ports, seeds, lookUpMs, signal)
    const failures: JoinFailure[] = [...found.failures]
    if (found.addresses.length > 0) {
      const waitMs = Math.max(1, Math.min(ports.attemptMs, until - clock.now()))
      const outcome = await ports.replies.wait(waitMs + pauseMs.first, signal, (id) =>
        ports.send(id, found.addresses, waitMs),
      )
      const refused = (outcome as readonly JoinFailure[] | undefined) ?? found.addresses.map(unanswered)
      if (refused.length === 0) return
      failures.push(...refused)
    }
    if (failures.length === 0) return
    const remaining = until - clock.now()
    if (failures.every(({ reason }) => final.has(reason)) || remaining <= pause) {
      if (found.self && !failures.some(({ reason }) => final.has(reason))) return
      throw joinError(failures)
    }
    await ports.replies.pause(pause, signal)
    pause = Math.min(pause * 2, pauseMs.max)
  }
}

interface Found {
  readonly addresses: Address[]
  readonly failures: JoinFailure[]
  /** This node is one of the seeds. */
  readonly self: boolean
}

type LookUp = { readonly ips: readonly string[] } | { readonly error: Error }

/** A resolver may take far longer than the caller wants to wait, and cannot be stopped. */
async function lookUp(
  { env, replies }: JoinPorts,
  host: string,
  timeoutMs: Millis,
  signal: AbortSignal | undefined,
): Promise<LookUp> {
  const answer = await replies.wait(timeoutMs, signal, (id) => {
    env.network.resolve(host).then(
      (ips) => replies.settle(id, { ips }),
      (error: Error) => replies.settle(id, { error }),
    )
  })
  return (answer as LookUp | undefined) ?? { error: new Error(`no answer within ${timeoutMs} ms`) }
}

async function resolveSeeds(
  ports: JoinPorts,
  seeds: readonly Address[],
  timeoutMs: Millis,
  signal: AbortSignal | undefined,
): Promise<Found> {
  const addresses = new Set<Address>()
  const failures: JoinFailure[] = []
  let self = false
  await Promise.all(
    seeds.map(async (seed) => {
      const colon = seed.lastIndexOf(':')
      const host = seed.slice(0, colon).replace(/^\[|\]$/g, '')
      const found = await lookUp(ports, host, timeoutMs, signal)
      if ('error' in found) {
        const message = `"${host}" has no address: ${found.error.message}`
        failures.push({ seed, reason: 'unresolved', message })
        return
      }
      for (const ip of found.ips.slice(0, addressesPerNameMax)) {
        const address = `${ip.includes(':') ? `[${ip}]` : ip}${seed.slice(colon)}`
        if (address === ports.own) self = true
        else addresses.add(address)
      }
    }),
  )
  return { addresses: [...addresses].sort(), failures, self }
}

function unanswered(seed: Address): JoinFailure {
  return { seed, reason: 'timeout', message: 'no answer' }
}

function joinError(failures: readonly JoinFailure[]): ShoalError {
  const each = failures.map(({ seed, reason, message }) => `${seed}: ${reason} (${message})`).join('; ')
  return new ShoalError('ERR_SHOAL_JOIN', `no seed took this node in: ${each}`, {
    cause: failures,
    retryable: !failures.some(({ reason }) => final.has(reason)),
  })
}
