/** A service for test/cli/drill.test.ts that applies each update twice. */
import { createNode, type NodeOptions } from '../../src/index.ts'

export async function start(options: NodeOptions): Promise<object> {
  // Half as long to start.
  const node = createNode({ ...options, membershipThread: false })
  node.handle('echo', (id: string) => id, { idempotent: true })
  await node.start()
  const ids = new Map<string, string[]>()
  return {
    node,
    async update(key: string, id: string) {
      await node.request({ method: 'echo', key, body: id })
      ids.set(key, [...(ids.get(key) ?? []), id, id])
    },
    read: (key: string) => ids.get(key) ?? [],
  }
}
