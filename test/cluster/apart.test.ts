/** Two clusters whose addresses touch stay apart: packets carry the cluster's label. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Processes } from './processes.ts'

const processes = new Processes()
after(() => processes.close())

test('an agent of another cluster is refused, and one at the address of a dead member is not taken for it', async () => {
  const flags = ['--profile', 'local', '--log', 'silent']
  const [one, two] = await processes.cluster(['one', 'two'], ['--cluster', 'red', '--log', 'silent'])
  assert.ok(one && two)
  const refused = await processes.finished([
    ...['agent', '--name', 'stray', '--bind', '127.0.0.1:0', '--json', '--cluster', 'blue', ...flags],
    ...['--join', one.gossip, '--timeout', '1500'],
  ])
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /^shoal agent: no seed took this node in: 127\.0\.0\.1:\d+: .*\n$/)

  two.send('SIGKILL')
  await two.ended
  const blue = ['--cluster', 'blue', ...flags]
  const three = await processes.agent('three', ['--bind', two.gossip, ...blue]).ready()
  const four = await processes
    .agent('four', ['--bind', '127.0.0.1:0', ...blue, '--join', three.gossip])
    .ready()
  await one.sees('two', 'dead')
  await processes.oneRing([three, four])
  // Time for healing to try the dead member's old address.
  await setTimeout(1_000)
  assert.deepEqual([...one.seen.keys()].sort(), ['one', 'two'])
  for (const agent of [three, four]) assert.deepEqual([...agent.seen.keys()].sort(), ['four', 'three'])
})
