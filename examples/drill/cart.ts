/**
 * A service as `shoal drill` wants it: a module that exports `start`. Each process of the drill calls it once, and so do the
 * clients, whose nodes are observers.
 *
 *     npm run build && npx shoal drill rolling --entry dist/examples/drill/cart.js
 */
import { createNode, entity, type NodeOptions, type ShoalNode } from 'shoal'

const Cart = entity('cart', {
  open: () => ({ items: [] as string[] }),
  calls: {
    add(cart, item: string) {
      cart.items.push(item)
    },
    list: (cart) => cart.items,
  },
  readonly: ['list'],
})

interface Drilled {
  readonly node: ShoalNode
  update(key: string, id: string): Promise<unknown>
  read(key: string): Promise<string[]>
}

export async function start(options: NodeOptions): Promise<Drilled> {
  // Your own options beside those of the drill: a few processes are served well by fewer partitions, and move faster.
  const node = createNode({ ...options, timeoutMs: 10_000, ring: { partitions: 4_096 } })
  const carts = node.host(Cart)
  await node.start()
  return {
    node,
    update: (key, id) => carts.get(key).add(id), // each id is an item of its own
    read: (key) => carts.get(key).list(), // the ids that are there
  }
}
