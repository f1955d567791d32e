/**
 * Failure detection between real processes, without calls between them: membership alone. The bounds are
 * those of the local profile; what they bound is shown, not measured tightly.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { type Agent, Processes } from './processes.ts'

const processes = new Processes()
const names = ['ant', 'bee', 'cat', 'dog', 'eel']
const flags = ['--cluster', 'failure']
let agents: Agent[] = []

before(async () => {
  agents = await processes.cluster(names, flags)
})
after(() => processes.close())

const get = (name: string): Agent => agents.find((agent) => agent.name === name) as Agent
const others = (name: string): Agent[] => agents.filter((agent) => agent.name !== name)

test('SIGSTOP for a second kills nobody', async () => {
  const [bee] = [get('bee')]
  bee.send('SIGSTOP')
  await setTimeout(1_000)
  bee.send('SIGCONT')
  // Longer than the longest suspicion that nobody else confirms may take to end as a death.
  await setTimeout(4_000)
  await processes.oneRing(agents)
  for (const agent of agents) assert.deepEqual([...agent.deaths], [], `${agent.name} saw a death`)
})

test('SIGKILL of one process is its death everywhere within 6 s, and nobody else dies', async () => {
  const killedAt = performance.now()
  get('cat').send('SIGKILL')
  await Promise.all(others('cat').map((agent) => agent.sees('cat', 'dead', 6_000)))
  for (const agent of others('cat')) {
    const ms = (agent.seen.get('cat')?.at ?? Number.POSITIVE_INFINITY) - killedAt
    assert.ok(ms < 6_000, `${agent.name} needed ${Math.round(ms)} ms`)
    assert.deepEqual([...agent.deaths], ['cat'])
  }
})

test('a killed process comes back under its name at another address', async () => {
  const again = processes.agent('cat', [
    ...['--bind', '127.0.0.1:0', '--profile', 'local', '--join', get('ant').gossip],
    ...flags,
  ])
  agents = [...others('cat'), again]
  await again.ready()
  await processes.oneRing(agents)
})

test('a name that a live member holds is refused with that reason, on one line', async () => {
  const { code, stderr } = await processes.finished([
    ...['agent', '--name', 'bee', '--bind', '127.0.0.1:0', '--json', '--profile', 'local', '--log', 'silent'],
    ...['--join', get('ant').gossip, ...flags],
  ])
  assert.equal(code, 1)
  assert.match(stderr, /^shoal agent: .*nameTaken.*\n$/)
  await processes.oneRing(agents)
})

test('SIGTERM leaves: the others see it left, never dead, and the process ends with 0', async () => {
  const eel = get('eel')
  eel.send('SIGTERM')
  assert.deepEqual(await eel.ended, { code: 0, signal: null })
  await Promise.all(others('eel').map((agent) => agent.sees('eel', 'left', 6_000)))
  for (const agent of others('eel')) assert.equal(agent.deaths.has('eel'), false)
})
