/**
 * How tools see a cluster: they join it as an observer for the moment of the question, so that they answer
 * from the same view, by the same code, as any member. They leave at once; nobody's partitions move.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv6 } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { createNode, type ShoalNode } from '../index.ts'
import { type Flags, type Input, UsageError } from './command.ts'
import { clusterFlags, clusterOptions, given, hostPort, outputFlags } from './flags.ts'

export const toolFlags: Flags = {
  via: { value: 'H:P', help: 'gossip address of any member' },
  ...clusterFlags,
  timeout: { value: 'MS', help: 'how long to wait for the cluster (default: 5000)' },
  ...outputFlags,
}

/** The goodbye leaves in quick succession, so that nobody waits for the tool to end. */
const gossipIntervalMs = 20
const leaveTimeoutMs = 500

/** Joins, asks, leaves. */
export async function asObserver(input: Input, ask: (node: ShoalNode) => Promise<void>): Promise<number> {
  const via = input.needed('via', 'the gossip address (host:port) of any member')
  const timeoutMs = input.number('timeout', 1, 3_600_000) ?? 5_000
  const node = createNode({
    ...clusterOptions(input),
    ...given({ host: await localHost(via) }),
    name: `tool-${process.pid}-${Math.random().toString(36).slice(2, 8)}`,
    port: 0,
    join: [via],
    observer: true,
    timeoutMs,
    drainMs: 0,
    // It lives for a moment, in which nothing blocks it.
    membershipThread: false,
    swim: { gossipIntervalMs },
  })
  await node.start({ timeoutMs })
  try {
    // The view that came with the join is settled into a ring at the end of its turn.
    await setImmediate()
    await ask(node)
  } finally {
    await node.leave({ timeoutMs: leaveTimeoutMs })
  }
  return 0
}

/** The address of this machine that faces `via`: what the members there can answer to. */
async function localHost(via: string): Promise<string> {
  const { host, port } = hostPort('via', via)
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  try {
    // Connecting a datagram socket sends nothing; it asks the system for the route.
    socket.connect(port, host)
    await once(socket, 'connect')
    return socket.address().address
  } catch (cause) {
    throw new UsageError(`--via: "${via}" cannot be reached from here (${(cause as Error).message})`, {
      cause,
    })
  } finally {
    socket.close()
  }
}
