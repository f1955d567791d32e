/**
 * One node of the demo, in a process of its own: the agent, with lines that go to the parent as messages. It
 * never outlives the parent. A stopped process cannot notice that its parent is gone, so those that run wake
 * their stopped siblings, which then notice as well.
 */
import { kill } from 'node:process'
import type { NodeOptions } from '../../index.ts'
import { type AgentLine, createAgent, runAgent } from '../agent.ts'

/** What a node of the demo tells its parent. */
export type ChildMessage =
  | { readonly type: 'ready'; readonly gossip: string }
  /** The start failed; the process ends. */
  | { readonly type: 'failed'; readonly message: string }

/** What the parent tells a node: the pids of all nodes. */
export type ParentMessage = readonly number[]

/** What the parent passes on the command line, as JSON. */
export type ChildOptions = Pick<NodeOptions, 'name' | 'port' | 'join' | 'cluster' | 'profile'>

let siblings: ParentMessage = []

function endWithParent(): void {
  for (const pid of siblings) {
    try {
      kill(pid, 'SIGCONT')
    } catch {
      // Gone already.
    }
  }
  process.exit(0)
}

function tell(message: ChildMessage): void {
  if (process.connected) process.send?.(message, () => {})
}

process.on('disconnect', endWithParent)
process.on('message', (pids) => {
  siblings = pids as ParentMessage
})
// Ctrl-C reaches the whole foreground group; the parent decides what becomes of its nodes.
process.on('SIGINT', () => {})

const options = JSON.parse(process.argv[2] ?? '{}') as ChildOptions
// What a node sees of the others the parent sees as well.
const report = (line: AgentLine): void => {
  if (line.type === 'ready') tell({ type: 'ready', gossip: line.gossip })
}
const node = createAgent(options)
if (!process.connected) endWithParent()
try {
  await runAgent(node, report, ['SIGTERM'])
  process.exit(0)
} catch (error) {
  tell({ type: 'failed', message: (error as Error).message })
  process.exitCode = 1
  process.disconnect()
}
