/**
 * Two nodes in one file. A call made on either of them runs on the owner of its key.
 *
 *     npm run build && node dist/examples/hello/main.js
 */
import { createNode, type NodeOptions, type ShoalNode } from 'shoal'

async function greeter(name: string, options: NodeOptions): Promise<ShoalNode> {
  const node = createNode({ name, profile: 'local', ...options })
  node.handle('greet', (greeting: string, { key }) => `${greeting} ${key}, says ${name}`)
  await node.start()
  return node
}

const alice = await greeter('alice', { port: 0 })
const bob = await greeter('bob', { port: 0, join: [alice.addresses.gossip] })
for (const key of ['ann', 'ben', 'cleo', 'dan', 'eve', 'fay']) {
  console.log(await bob.request({ method: 'greet', key, body: 'hello' }))
}
await bob.leave()
await alice.leave()
