/** One process of a drill: the service as it is, a client of it if it is an observer, and what the parent asks over IPC. */
import { leaveOnSignals, type NodeOptions, systemEnv } from '../../index.ts'
import { failedToStart, liveWithParent, tellParent } from '../demo/parent.ts'
import { Client } from './client.ts'
import {
  type Answer,
  type Answers,
  type Ask,
  checkService,
  type Loss,
  loadService,
  type MemberOptions,
  type Questions,
  type Service,
} from './contract.ts'
import { CutNetwork } from './cut.ts'

type Handlers = {
  [Q in keyof Questions]: (detail: Questions[Q]) => Answers[Q] | Promise<Answers[Q]>
}

const member = JSON.parse(process.argv[2] ?? '{}') as MemberOptions
const network = new CutNetwork(systemEnv.network)
let handlers: Handlers | undefined

/** Membership in a thread would have a network of its own, which nobody can cut. */
function nodeOptions(): NodeOptions {
  const { name, port, join, cluster, observer = false, cuttable } = member
  const { clock, random } = systemEnv
  return {
    ...{ name, port, join, cluster, observer, profile: 'local' },
    ...(cuttable ? { env: { clock, random, network } } : {}),
  }
}

function handlersOf(service: Service): Handlers {
  const { node } = service
  const client = new Client(service)
  return {
    view: async () => ({
      digest: node.ring.digest,
      members: node.ring.members,
      settled: node.rebalance.length === 0 && (await isCopied(service)),
    }),
    rpc: () => node.addresses.rpc,
    cut: (beyond) => network.cut(beyond) as undefined,
    load: (load) => client.start(load) as undefined,
    lap: () => client.lap(),
    stop: async () => (await client.stop()) as undefined,
    books: () => client.books(),
    read: (read) => client.read(read),
  }
}

/** All copies are made again: the next disturbance is one more than the promise is for otherwise. */
async function isCopied({ node }: Service): Promise<boolean> {
  const { level, copies = 2 } = member.setting
  if (level !== 'replicated' || node.ring.members.length < copies) return true
  const { state } = await node.stats()
  return state.replication.underReplicated + state.replication.taking === 0
}

/** What a node says of state that is gone. */
function tellLosses({ node }: Service): void {
  node.on('handoff', ({ type, store, peer, partitions }) => {
    if (type === 'lost') tellParent<Loss>({ type: 'loss', store, peer, partitions: partitions.length })
  })
  node.on('conflict', ({ entity, key }) => {
    tellParent<Loss>({ type: 'loss', store: entity, key, partitions: 0 })
  })
}

async function answer({ id, question, detail }: Ask): Promise<void> {
  try {
    if (handlers === undefined) throw new Error('the service has not started yet')
    const handler = handlers[question] as (detail: unknown) => unknown
    tellParent<Answer>({ type: 'answer', id, value: await handler(detail) })
  } catch (error) {
    tellParent<Answer>({ type: 'answer', id, error: (error as Error).message })
  }
}

liveWithParent((message) => void answer(message as Ask))
try {
  const start = await loadService(member.entry)
  const service = checkService(member.entry, await start(nodeOptions(), member.setting))
  handlers = handlersOf(service)
  tellLosses(service)
  // A service that has its own way to leave is drilled with that.
  if (process.listenerCount('SIGTERM') === 0) {
    leaveOnSignals(service.node, { signals: ['SIGTERM'], timeoutMs: member.leaveMs })
  }
  tellParent({ type: 'ready', gossip: service.node.addresses.gossip })
} catch (error) {
  failedToStart(error)
}
