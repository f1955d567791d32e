/**
 * Every option of a node: meaning, unit, default, range, and how options relate. Checked once, when the node
 * is constructed; a wrong one throws `ERR_SHOAL_OPTION` naming the option, the value and the range.
 */
import { splitAddress } from './address.ts'
import { describe, type SelfDescription, withLag } from './describe.ts'
import type { Address, Env } from './env.ts'
import { ShoalError } from './errors.ts'
import { stuckMs } from './lag.ts'
import { checkHandoff, checkLimits, type HandoffOptions, type NodeLimits } from './limits.ts'
import { integer, noSuchOption, number, wrong } from './range.ts'
import { paramsDigest, type RingParams, ringDefaults, ringWeightMax, ringWeightMin } from './ring/ring.ts'
import { profiles, type SwimTiming } from './swim/config.ts'
import { encodeTags } from './wire/tags.ts'

/** A logger of pino's shape; pass a pino instance or anything with these four methods. */
export interface Logger {
  debug(detail: object, message: string): void
  info(detail: object, message: string): void
  warn(detail: object, message: string): void
  error(detail: object, message: string): void
}

export type Profile = 'local' | 'lan' | 'wan'

export interface NodeOptions {
  /** Unique and stable name of this node: its place on the ring. 1 to 128 characters. Default: `hostname-random`. */
  readonly name?: string
  /** Name of the cluster; nodes of another cluster are refused. 1 to 200 characters. Default `shoal`. */
  readonly cluster?: string
  /**
   * Whether gossip packets carry a label made from the cluster's name, so that two clusters whose addresses
   * touch never merge. Turn it off only to join peers that know no label (Serf before memberlist 0.3). Default true.
   */
  readonly label?: boolean
  /** IP to bind for gossip and RPC. Default `127.0.0.1`: a node is not reachable from outside unless told. */
  readonly host?: string
  /** Gossip port, UDP and TCP. 0 takes any free one. Default 7946. */
  readonly port?: number
  /**
   * Address told to others when it differs from the bound one (containers, NAT): `ip` or `ip:port`.
   * Needed when `host` is `0.0.0.0` or `::`.
   */
  readonly advertise?: string
  /**
   * RPC port, TCP. 0 takes any free one. Default: the first free one from the gossip port + 1000 on, so that
   * gossip ports numbered in a row stay free; any free one when `port` is 0.
   */
  readonly rpcPort?: number
  /** Members to join through, `host:port` of their gossip; own addresses are skipped. Default none: a cluster of one. */
  readonly join?: readonly Address[]
  /** How long `start` and `join` try before they reject with each seed's reason. 1 ms to 1 h. Default 10 s. */
  readonly joinTimeoutMs?: number
  /** Timing of failure detection (memberlist's Local, LAN and WAN settings). Default `lan`. */
  readonly profile?: Profile
  /** Single settings of failure detection that differ from the profile. */
  readonly swim?: Partial<SwimTiming>
  /**
   * Keys of 16, 24 or 32 bytes, or their base64. They encrypt gossip and authenticate RPC connections, but do not
   * encrypt RPC. The first is used, all are accepted. Default none: plain text, and anybody may connect.
   */
  readonly keys?: readonly (string | Uint8Array)[]
  /** Own tags, seen by all members (and by `serf members`). With shoal's own at most 512 bytes. Default none. */
  readonly tags?: Readonly<Record<string, string>>
  /** Share of the ring relative to others. 0.01 to 100, at most 3 decimals. Default 1. */
  readonly weight?: number
  /** Failure zone; copies of a partition go to other zones first. Default none. */
  readonly zone?: string
  /** An observer is a member that owns nothing: a client, a tool. Default false. */
  readonly observer?: boolean
  /** Parameters of the ring; must be equal on all nodes of a cluster. */
  readonly ring?: Partial<RingParams>
  /** How long `request` waits for a reply when it is not told. 1 ms to 1 h. Default 5 s. */
  readonly timeoutMs?: number
  /**
   * How long `leave` goes on serving after it said that it leaves, so that callers hear of it first.
   * 0 to 60 s. Default: 5 gossip intervals of the profile.
   */
  readonly drainMs?: number
  /**
   * Whether membership runs in a thread of its own, so that a blocked main loop neither makes this node look dead nor
   * keeps peers from hearing that it is blocked. False: in the main loop. Default true.
   */
  readonly membershipThread?: boolean
  /**
   * A node whose main loop is blocked for so long gives its partitions up, and takes them back when the loop runs
   * again. 1 s to 1 h; 0 or Infinity: never. Needs `membershipThread`. Default 10 s.
   */
  readonly stalledAfterMs?: number
  /**
   * Whether calls wait for their turn to run here and are refused when too many come. False: every call runs as it
   * comes, and nothing but memory and `callsRunningMax` bounds them. Default true.
   */
  readonly admission?: boolean
  readonly limits?: Partial<NodeLimits>
  /** How state moves from node to node. */
  readonly handoff?: Partial<HandoffOptions>
  /** Where the node logs. Default: nowhere. */
  readonly logger?: Logger
  /** The world the node lives in; a simulator passes its own. Default: real time, sockets and randomness. */
  readonly env?: Env
}

/** Options after the check: complete, frozen, relations hold. */
export interface NodeConfig {
  readonly name: string | undefined
  readonly cluster: string
  readonly label: string
  readonly host: string
  readonly port: number
  readonly advertise: { readonly host: string; readonly port: number | undefined }
  readonly rpcPort: number | undefined
  readonly join: readonly Address[]
  readonly joinTimeoutMs: number
  readonly swim: SwimTiming
  readonly keys: readonly Uint8Array[]
  readonly tags: Readonly<Record<string, string>>
  readonly weight: number
  readonly zone: string
  readonly ring: RingParams
  readonly timeoutMs: number
  readonly drainMs: number
  readonly membershipThread: boolean
  readonly stalledAfterMs: number
  readonly admission: boolean
  readonly limits: NodeLimits
  readonly handoff: HandoffOptions
  readonly logger: Logger
}

const known: ReadonlySet<string> = new Set<keyof NodeOptions>([
  'name',
  'cluster',
  'label',
  'host',
  'port',
  'advertise',
  'rpcPort',
  'join',
  'joinTimeoutMs',
  'profile',
  'swim',
  'keys',
  'tags',
  'weight',
  'zone',
  'observer',
  'ring',
  'timeoutMs',
  'drainMs',
  'membershipThread',
  'stalledAfterMs',
  'admission',
  'limits',
  'handoff',
  'logger',
  'env',
])

/** Tags that shoal writes itself; see docs/protocol.md. */
export const reservedTags: readonly string[] = ['sh', 'rpc', 'b', 'st', 'w', 'z', 'ring', 'lag']

const hourMs = 3_600_000
/** Longest name of a node or a cluster in UTF-8: both gossip and RPC count it in one byte. */
const textBytesMax = 255
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** Checks options and fills in defaults. Throws `ERR_SHOAL_OPTION`. */
export function checkOptions(options: NodeOptions): NodeConfig {
  for (const name of Object.keys(options)) {
    if (!known.has(name)) throw noSuchOption(name, (options as Record<string, unknown>)[name])
  }
  const host = checkHost(options.host ?? '127.0.0.1')
  const port = integer('port', options.port ?? 7946, 0, 65_535)
  const cluster = text('cluster', options.cluster ?? 'shoal', 1, 200)
  const swim = checkTiming(options)
  const observer = flag('observer', options.observer ?? false)
  const weight = observer ? 0 : checkWeight(options.weight ?? 1)
  const zone = text('zone', options.zone ?? '', 0, 64)
  const ring = checkRing({ ...ringDefaults, ...options.ring })
  return Object.freeze<NodeConfig>({
    name: options.name === undefined ? undefined : text('name', options.name, 1, 128),
    cluster,
    label: flag('label', options.label ?? true) ? cluster : '',
    host,
    port,
    advertise: checkAdvertise(options.advertise, host),
    rpcPort: checkRpcPort(options.rpcPort, port),
    join: checkSeeds('join', options.join ?? []),
    joinTimeoutMs: number('joinTimeoutMs', options.joinTimeoutMs ?? 10_000, 1, hourMs),
    swim,
    keys: (options.keys ?? []).map(checkKey),
    tags: checkTags(options.tags ?? {}, { weight, zone, ringDigest: paramsDigest(ring) }),
    weight,
    zone,
    ring,
    timeoutMs: number('timeoutMs', options.timeoutMs ?? 5_000, 1, hourMs),
    drainMs: number('drainMs', options.drainMs ?? swim.gossipIntervalMs * 5, 0, 60_000),
    membershipThread: flag('membershipThread', options.membershipThread ?? true),
    stalledAfterMs: checkStalledAfter(options.stalledAfterMs ?? 10_000),
    admission: flag('admission', options.admission ?? true),
    limits: checkLimits(options.limits ?? {}),
    handoff: checkHandoff(options.handoff ?? {}),
    logger: checkLogger(options.logger ?? silent),
  })
}

/** Checks `host:port` addresses; used for options and for `join()`. */
export function checkSeeds(option: string, seeds: readonly Address[]): readonly Address[] {
  if (!Array.isArray(seeds)) throw wrong(option, seeds, 'a list of host:port')
  for (const seed of seeds) {
    const port = typeof seed === 'string' ? (splitAddress(seed)?.port ?? 0) : 0
    if (port === 0) throw wrong(option, seed, 'host:port with a port of 1 to 65535')
  }
  return seeds
}

/** Checks a waiting time given to a method. */
export function checkTimeout(option: string, timeoutMs: number): number {
  return number(option, timeoutMs, 1, hourMs)
}

function checkTiming(options: NodeOptions): SwimTiming {
  const profile = options.profile ?? 'lan'
  const base = Object.hasOwn(profiles, profile) ? profiles[profile] : undefined
  if (base === undefined) throw wrong('profile', profile, 'local, lan or wan')
  const timing = { ...base, ...options.swim }
  for (const [name, value] of Object.entries(timing)) {
    if (!Object.hasOwn(base, name)) throw noSuchOption(`swim.${name}`, value)
    if (typeof base[name as keyof SwimTiming] === 'boolean') flag(`swim.${name}`, value)
    else number(`swim.${name}`, value, 0, Number.MAX_SAFE_INTEGER)
  }
  if (timing.probeTimeoutMs >= timing.probeIntervalMs) {
    throw wrong(
      'swim.probeTimeoutMs',
      timing.probeTimeoutMs,
      `below swim.probeIntervalMs (${timing.probeIntervalMs})`,
    )
  }
  return timing
}

function checkHost(host: string): string {
  if (!/^(\d{1,3}\.){3}\d{1,3}$|^[\da-f:.]*:[\da-f:.]*(%\w+)?$/i.test(text('host', host, 1, 255))) {
    throw wrong('host', host, 'an IP address')
  }
  return host
}

function checkRpcPort(rpcPort: number | undefined, port: number): number | undefined {
  if (rpcPort === undefined || rpcPort === 0) return rpcPort
  if (rpcPort === port)
    throw wrong('rpcPort', rpcPort, 'another port than that of gossip, which takes TCP as well')
  return integer('rpcPort', rpcPort, 0, 65_535)
}

function checkAdvertise(advertise: string | undefined, host: string): NodeConfig['advertise'] {
  if (advertise === undefined) {
    if (host === '0.0.0.0' || host === '::') {
      throw wrong('advertise', undefined, `an address that others can reach, because host is ${host}`)
    }
    return { host, port: undefined }
  }
  const told = splitAddress(text('advertise', advertise, 1, 255))
  if (told !== undefined) return { host: told.host, port: integer('advertise', told.port, 1, 65_535) }
  const host6 = advertise.replace(/^\[|\]$/g, '')
  if (/[^\w.:-]/.test(host6)) throw wrong('advertise', advertise, 'ip or ip:port')
  return { host: host6, port: undefined }
}

function checkKey(key: string | Uint8Array, index: number): Uint8Array {
  const bytes =
    typeof key === 'string' ? Uint8Array.from(atobChecked(key, index), (c) => c.charCodeAt(0)) : key
  if (!(bytes instanceof Uint8Array) || ![16, 24, 32].includes(bytes.length)) {
    throw wrong(`keys[${index}]`, '(hidden)', '16, 24 or 32 bytes, or their base64')
  }
  return bytes
}

function atobChecked(key: string, index: number): string {
  try {
    return atob(key)
  } catch {
    throw wrong(`keys[${index}]`, '(hidden)', '16, 24 or 32 bytes, or their base64')
  }
}

function checkTags(
  tags: Readonly<Record<string, string>>,
  described: Pick<SelfDescription, 'weight' | 'zone' | 'ringDigest'>,
): Readonly<Record<string, string>> {
  for (const [name, value] of Object.entries(tags)) {
    if (reservedTags.includes(name))
      throw wrong(`tags.${name}`, value, `a name other than ${reservedTags.join(', ')}`)
    if (typeof value !== 'string') throw wrong(`tags.${name}`, value, 'text')
  }
  // In their longest form, so that a node that could start can also say that it leaves.
  const self = { ...described, tags, rpcPort: 65_535, boot: 'f'.repeat(16) }
  const longest = { ...withLag(describe({ ...self, status: 'ready' }), stuckMs, true), st: 'draining' }
  try {
    encodeTags(longest)
  } catch (cause) {
    throw new ShoalError('ERR_SHOAL_OPTION', `tags: ${(cause as Error).message}, shoal's own included`, {
      cause,
    })
  }
  return { ...tags }
}

function checkStalledAfter(stalledAfterMs: number): number {
  if (stalledAfterMs === 0 || stalledAfterMs === Infinity) return Infinity
  if (typeof stalledAfterMs !== 'number' || !(stalledAfterMs >= stuckMs && stalledAfterMs <= hourMs)) {
    throw wrong('stalledAfterMs', stalledAfterMs, `a number from ${stuckMs} to ${hourMs}, 0 or Infinity`)
  }
  return stalledAfterMs
}

function checkWeight(weight: number): number {
  return Math.round(number('weight', weight, ringWeightMin, ringWeightMax) * 1000) / 1000
}

function checkRing(ring: RingParams): RingParams {
  for (const name of Object.keys(ring)) {
    if (!Object.hasOwn(ringDefaults, name)) throw noSuchOption(`ring.${name}`, ring[name as keyof RingParams])
  }
  paramsDigest(ring)
  return ring
}

function text(option: string, value: unknown, min: number, max: number): string {
  if (typeof value !== 'string' || value.length < min || value.length > max) {
    throw wrong(option, value, `text of ${min} to ${max} characters`)
  }
  if (value.length * 3 > textBytesMax && new TextEncoder().encode(value).length > textBytesMax) {
    throw wrong(option, value, `text of at most ${textBytesMax} bytes`)
  }
  return value
}

function checkLogger(logger: Logger): Logger {
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof logger[level] !== 'function') throw wrong(`logger.${level}`, logger[level], 'a function')
  }
  return logger
}

function flag(option: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw wrong(option, value, 'true or false')
  return value
}
