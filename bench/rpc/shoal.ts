/**
 * Ours: whole nodes and `node.request`, with the hash of the key, the owner, a deadline, a trace context, the
 * ownership check at the receiver, and a handler.
 */
import type { Env, Thread, ThreadHandlers } from '../../src/env.ts'
import { systemEnv } from '../../src/host/env.ts'
import { createNode, type NodeOptions, type ShoalNode } from '../../src/index.ts'
import { closedLoop, keys } from './load.ts'
import type { Echo, Load, Side, Told } from './side.ts'

function make(options: NodeOptions): ShoalNode {
  const node = createNode({ port: 0, profile: 'local', ...options })
  node.handle('echo', (body: unknown) => body)
  return node
}

async function serve(options: NodeOptions): Promise<ShoalNode> {
  const node = make(options)
  await node.start()
  return node
}

/** An observer, so that every call crosses the connection. */
async function callFrom(options: NodeOptions, routed: readonly string[]): Promise<Load> {
  const node = await serve({ name: 'client', observer: true, ...options })
  const echo: Echo = (key, body) => node.request({ method: 'echo', key, body })
  return closedLoop(echo, routed)
}

export const shoal: Side = {
  name: 'shoal',
  settings:
    'two whole nodes, keyed calls with deadline, ownership check and a W3C trace context in every request',
  packages: [],
  servers: [async () => ({ gossip: (await serve({ name: 'server' })).addresses.gossip })],
  connect: ([server]) => callFrom({ join: [server?.['gossip'] as string] }, keys),
}

// ---- a call that enters at a wrong node

/**
 * An environment whose membership never tells of one member, as if its gossip were late. The thread's news are plain
 * values (border.ts).
 */
function deafTo(name: string): Env {
  const startThread = (handlers: ThreadHandlers): Thread =>
    (systemEnv.startThread as (handlers: ThreadHandlers) => Thread)({
      ...handlers,
      message(value) {
        const news = value as { changes?: readonly { readonly member: { readonly name: string } }[] }
        if (news.changes === undefined) handlers.message(value)
        else handlers.message({ ...news, changes: news.changes.filter(({ member }) => member.name !== name) })
      },
    })
  return { ...systemEnv, startThread }
}

/** A node beside the owner; serves the keys that are not its own, once it knows. */
async function serveWrong([owner]: readonly Told[]): Promise<Told> {
  const node = await serve({ name: 'wrong', join: [owner?.['gossip'] as string] })
  const foreign = Array.from({ length: 4 * keys.length }, (_, i) => `user-${String(i).padStart(11, '0')}`)
  return {
    gossip: node.addresses.gossip,
    keys: foreign.filter((key) => node.owner(key) === 'owner').slice(0, keys.length),
  }
}

export const forwarded: Side = {
  name: 'shoal-forwarded',
  settings:
    'three nodes; the caller has not heard of the owner, sends to another node, and that one forwards (shard/forward.ts)',
  packages: [],
  servers: [async () => ({ gossip: (await serve({ name: 'owner' })).addresses.gossip }), serveWrong],
  connect: ([, wrong]) =>
    callFrom(
      { join: [wrong?.['gossip'] as string], env: deafTo('owner') },
      wrong?.['keys'] as readonly string[],
    ),
}
