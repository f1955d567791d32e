/** What a node says of itself: the tags that shoal writes into its Meta. How others read them: roster.ts. */
import type { LagStep } from './lag.ts'

/** Version of shoal's tags, the value of `sh`. */
export const tagsVersion = '1'
export const own = {
  sh: 'sh',
  rpc: 'rpc',
  boot: 'b',
  status: 'st',
  weight: 'w',
  zone: 'z',
  ring: 'ring',
  lag: 'lag',
} as const
export const ownTags: ReadonlySet<string> = new Set(Object.values(own))

/** What a node says of itself. */
export interface SelfDescription {
  readonly rpcPort: number
  readonly boot: string
  readonly status: 'joining' | 'ready' | 'draining'
  readonly weight: number
  readonly zone: string
  readonly ringDigest: string
  readonly tags: Readonly<Record<string, string>>
}

/** The tags a node announces. */
export function describe(self: SelfDescription): Record<string, string> {
  const tags: Record<string, string> = {
    ...self.tags,
    [own.sh]: tagsVersion,
    [own.rpc]: String(self.rpcPort),
    [own.boot]: self.boot,
    [own.status]: self.status,
    [own.ring]: self.ringDigest,
  }
  if (self.weight !== 1) tags[own.weight] = String(self.weight)
  if (self.zone !== '') tags[own.zone] = self.zone
  return tags
}

/** The same with the lag of the main loop, which is nobody's business unless the node is `ready`. */
export function withLag(
  tags: Readonly<Record<string, string>>,
  lag: LagStep,
  stalled: boolean,
): Readonly<Record<string, string>> {
  if (tags[own.status] !== 'ready' || lag === 0) return tags
  const status = stalled ? 'stalled' : 'ready'
  return { ...tags, [own.status]: status, [own.lag]: String(lag) }
}
