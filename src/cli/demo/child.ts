/** One node of the demo, in a process of its own: the agent, with lines that go to the parent as messages. */
import type { NodeOptions } from '../../index.ts'
import { type AgentLine, createAgent, runAgent } from '../agent.ts'
import { failedToStart, liveWithParent, tellParent } from './parent.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as NodeOptions
// What a node sees of the others the parent sees as well.
const report = (line: AgentLine): void => {
  if (line.type === 'ready') tellParent({ type: 'ready', gossip: line.gossip })
}
liveWithParent()
try {
  await runAgent(createAgent(options), report, ['SIGTERM'])
  process.exit(0)
} catch (error) {
  failedToStart(error)
}
