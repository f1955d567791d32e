/** `shoal agent`: one node in a process of its own. It answers `echo` and tells what it sees. */
import { pino } from 'pino'
import { createNode, type NodeOptions, type ShoalNode } from '../index.ts'
import type { Command, Flags, Input } from './command.ts'
import { UsageError } from './command.ts'
import { clusterFlags, clusterOptions, given, hostPort, outputFlags } from './flags.ts'
import { describeMember, type MemberLine, memberLine, print, printJson } from './output.ts'

/** What an agent tells, one line each. */
export type AgentLine =
  | { readonly type: 'ready'; readonly name: string; readonly gossip: string; readonly rpc: string }
  | MemberLine
  | {
      readonly type: 'ownership'
      readonly gained: readonly number[]
      readonly lost: readonly number[]
      readonly digest: string
    }

const flags: Flags = {
  name: { value: 'N', help: 'unique and stable name (default: host name and a random part)' },
  bind: { value: 'H:P', help: 'gossip address; port 0 takes any free one (default: 127.0.0.1:7946)' },
  rpc: { value: 'P', help: 'RPC port (default: the first free one from the gossip port + 1000 on)' },
  advertise: { value: 'H[:P]', help: 'address told to others, when it differs from the bound one' },
  join: { value: 'H:P,…', multiple: true, help: 'gossip addresses of members to join through' },
  timeout: { value: 'MS', help: 'how long to try to join (default: 10000)' },
  ...clusterFlags,
  tag: { value: 'k=v', multiple: true, help: 'a tag that all members see' },
  weight: { value: 'W', help: 'share of the ring relative to others, 0.01 to 100 (default: 1)' },
  zone: { value: 'Z', help: 'failure zone' },
  observer: { help: 'own nothing' },
  log: { value: 'LEVEL', help: 'log to stderr: debug, info, warn, error or silent (default: warn)' },
  ...outputFlags,
}

export const agent: Command = {
  name: 'agent',
  summary: 'Runs one node that answers "echo". SIGTERM and SIGINT leave; a second one closes at once.',
  operands: '',
  flags,
  async run(input) {
    const node = createAgent(agentOptions(input))
    const report = input.on('json') ? printJson : (line: AgentLine): void => printLine(line, node.name)
    endWithParent()
    await runAgent(node, report, ['SIGTERM', 'SIGINT'])
    return 0
  },
}

/** A node that answers `echo`. */
export function createAgent(options: NodeOptions): ShoalNode {
  const node = createNode(options)
  node.handle('echo', (body: unknown, { key }) => ({ key, body, node: node.name }), { idempotent: true })
  return node
}

/**
 * Starts the node, reports what it sees of members and partitions, and runs it until a signal: the first one
 * leaves, a second one closes.
 */
export async function runAgent(
  node: ShoalNode,
  report: (line: AgentLine) => void,
  signals: readonly NodeJS.Signals[],
): Promise<void> {
  let told = 0
  let started = false
  node.on('member', (change, member) => {
    // Of itself it tells once it is ready: before that the cluster may still refuse it.
    if (change !== 'forgotten' && (started || member.name !== node.name)) report(memberLine(change, member))
  })
  node.on('ownership', ({ gained, lost, digest }) => report({ type: 'ownership', gained, lost, digest }))
  const asked = new Promise<void>((resolve) => {
    for (const signal of signals) {
      process.on(signal, () => {
        told++
        resolve()
        if (told > 1 || !started) void node.close()
      })
    }
  })
  try {
    await node.start()
    started = true
    report({ type: 'ready', name: node.name, ...node.addresses })
    for (const member of node.members) if (member.name === node.name) report(memberLine('joined', member))
    await asked
    await node.leave()
  } catch (error) {
    // Closing interrupts the start or the leave: that is what was asked for.
    if (told === 0) throw error
  }
}

/** An agent that was forked (it has an IPC channel) lives no longer than its parent. */
function endWithParent(): void {
  if (process.send === undefined) return
  process.on('disconnect', () => process.exit(1))
  // A listener alone would keep a process alive that has nothing left to do.
  process.channel?.unref()
}

function agentOptions(input: Input): NodeOptions {
  const bind = input.text('bind')
  const level = input.text('log') ?? 'warn'
  if (!['debug', 'info', 'warn', 'error', 'silent'].includes(level)) {
    throw new UsageError(`--log: expected debug, info, warn, error or silent, got "${level}"`)
  }
  return {
    ...clusterOptions(input),
    ...(bind === undefined ? {} : hostPort('bind', bind)),
    ...given({
      name: input.text('name'),
      rpcPort: input.integer('rpc', 0, 65_535),
      advertise: input.text('advertise'),
      joinTimeoutMs: input.number('timeout', 1, 3_600_000),
      weight: input.number('weight', 0.01, 100),
      zone: input.text('zone'),
    }),
    join: input.texts('join').flatMap((text) => text.split(',').filter((seed) => seed !== '')),
    tags: Object.fromEntries(input.texts('tag').map(readTag)),
    observer: input.on('observer'),
    logger: pino({ level }, pino.destination({ dest: 2, sync: true })),
  }
}

function readTag(text: string): [name: string, value: string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new UsageError(`--tag: expected name=value, got "${text}"`)
  return [text.slice(0, equals), text.slice(equals + 1)]
}

function printLine(line: AgentLine, self: string): void {
  // `ready` has just told it.
  if (line.type === 'member' && line.name === self && line.change === 'joined') return
  // Others have moved partitions between them.
  if (line.type === 'ownership' && line.gained.length + line.lost.length === 0) return
  print(describe(line))
}

function describe(line: AgentLine): string {
  switch (line.type) {
    case 'ready':
      return `${line.name} is ready: gossip ${line.gossip}, rpc ${line.rpc}`
    case 'member':
      return describeMember(line)
    case 'ownership':
      return `owns ${line.gained.length} more and ${line.lost.length} fewer partitions; ring ${line.digest}`
    default:
      return line satisfies never
  }
}
