/** Flags that several commands share, and the node options they stand for. */
import type { NodeOptions, Profile } from '../index.ts'
import { type Flags, type Input, UsageError } from './command.ts'

export const outputFlags: Flags = {
  json: { help: 'print one JSON object a line' },
  help: { help: 'print this' },
}

/** What must be right to talk to a cluster at all. */
export const clusterFlags: Flags = {
  cluster: { value: 'L', help: 'name of the cluster (default: shoal)' },
  'no-label': { help: 'no label on gossip packets: for peers that know none' },
  key: { value: 'BASE64', multiple: true, help: 'gossip key of 16, 24 or 32 bytes; the first encrypts' },
  profile: { value: 'local|lan|wan', help: 'timing of failure detection (default: lan)' },
}

export type ClusterOptions = Pick<NodeOptions, 'cluster' | 'label' | 'keys' | 'profile'>

export function clusterOptions(input: Input): ClusterOptions {
  return given({
    cluster: input.text('cluster'),
    label: !input.on('no-label'),
    keys: input.texts('key'),
    profile: input.text('profile') as Profile | undefined,
  })
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Leaves out what was not given, so that the node's own default holds. */
export function given<T extends object>(options: T): Given<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Given<T>
}

/** The parts of `host:port`; IPv6 hosts stand in brackets. */
export function hostPort(flag: string, text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  if (host === undefined || Number(match?.[3]) > 65_535) {
    throw new UsageError(`--${flag}: expected host:port, got "${text}"`)
  }
  return { host, port: Number(match?.[3]) }
}
