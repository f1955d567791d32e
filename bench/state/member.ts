/** One process of the benchmark: a member that holds items, or an observer that calls them. Its parent gives the orders. */
import { createNode, type ShoalNode } from '../../src/index.ts'
import { Item, type Items, keyOf, textOf } from './item.ts'
import { Probe } from './probe.ts'
import type { Answer, Order } from './protocol.ts'

/** How often a joining member tells what it has. */
const tellEveryMs = 50

function say(answer: Answer): void {
  process.send?.(answer)
}

async function fill(node: ShoalNode, items: Items, keys: number): Promise<number> {
  let filled = 0
  let batch: Promise<unknown>[] = []
  for (let index = 0; index < keys; index++) {
    const key = keyOf(index)
    if (!node.owns(key)) continue
    filled++
    batch.push(items.get(key).put(textOf(index)))
    if (batch.length < 64) continue
    await Promise.all(batch)
    batch = []
  }
  await Promise.all(batch)
  return filled
}

function memory(): Answer {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return { type: 'memory', heap: heapUsed, external }
}

/** Tells how much has come, until all has. */
function follow(node: ShoalNode): void {
  let keys = 0
  let bytes = 0
  node.on('handoff', (event) => {
    if (event.type !== 'received') return
    keys += event.keys
    bytes += event.bytes
  })
  const timer = setInterval(() => {
    const settled = node.rebalance.length === 0
    say({ type: 'received', keys, bytes, settled })
    if (settled && keys > 0) clearInterval(timer)
  }, tellEveryMs)
}

async function main([name = '', role = '', join = '']: readonly string[]): Promise<void> {
  const node = createNode({
    name,
    port: 0,
    profile: 'local',
    join: join === '' ? [] : [join],
    ...(role === 'observer' ? { observer: true } : {}),
  })
  const items = node.host(Item)
  if (role === 'joiner') follow(node)
  await node.start()
  const probe = new Probe(items)
  const take = async (order: Order): Promise<void> => {
    if (order.type === 'fill') say({ type: 'filled', keys: await fill(node, items, order.keys) })
    else if (order.type === 'memory') say(memory())
    else if (order.type === 'probe') say({ type: 'probed', ...(await probe.run(order.keys, order.depth)) })
    else probe.stop()
  }
  process.on('message', (order: Order) => {
    take(order).catch((error: unknown) => say({ type: 'failed', message: String(error) }))
  })
  process.on('disconnect', () => process.exit(0))
  say({ type: 'ready', gossip: node.addresses.gossip })
}

main(process.argv.slice(2)).catch((error: unknown) => {
  say({ type: 'failed', message: error instanceof Error ? (error.stack ?? '') : String(error) })
  process.exit(1)
})
