/**
 * shoal and Debian's `serf` agent in one cluster, on loopback: Go's memberlist is the judge of our bytes and our
 * timing. Where `serf` is not installed these tests skip themselves, except under CI, where they must run.
 */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { portOf } from '../../src/address.ts'
import { createNode } from '../../src/index.ts'
import { Fleet, type NodeProcess } from '../support/processes.ts'
import { until } from '../support/until.ts'
import { SerfAgent, serfVersion } from './serf.ts'

const version = serfVersion()
const skip =
  version === undefined &&
  process.env['CI'] === undefined &&
  'serf is not installed (Debian: apt-get install serf)'
const key = Buffer.alloc(32, 5).toString('base64')
const otherKey = Buffer.alloc(32, 6).toString('base64')

const agents: SerfAgent[] = []
const fleets: Fleet[] = []
after(() => Promise.all([...agents.map((agent) => agent.end()), ...fleets.map((fleet) => fleet.end())]))

async function serf(...[options]: Parameters<typeof SerfAgent.start>): Promise<SerfAgent> {
  const agent = await SerfAgent.start(options)
  agents.push(agent)
  return agent
}

function shoal(defaults: ConstructorParameters<typeof Fleet>[0]): Fleet {
  const fleet = new Fleet({ label: false, ...defaults })
  fleets.push(fleet)
  return fleet
}

/**
 * What Go says of members that are killed or that a busy machine kept from answering, of its own end, and of `serf`
 * commands that hang up (agent.ipc). All else would be a complaint about our bytes.
 */
const expected = [/Failed fallback ping|Was able to connect|Serf shutdown detected|agent\.ipc: /]

async function sees(node: NodeProcess, name: string, holds: (member: unknown) => boolean): Promise<void> {
  let seen: unknown
  await until(
    () => `${node.name} sees ${name}: ${JSON.stringify(seen)}`,
    async () => {
      seen = (await node.members()).find((member) => member.name === name)
      return seen !== undefined && holds(seen)
    },
  )
}

function match(wanted: Record<string, unknown>): (member: unknown) => boolean {
  return (member) =>
    Object.entries(wanted).every(([field, value]) => (member as Record<string, unknown>)[field] === value)
}

/** The whole life of two shoal nodes in a Serf cluster. */
async function life(encrypt: string | undefined): Promise<void> {
  const agent = await serf({ name: 'go', tags: { role: 'web' }, ...(encrypt && { encrypt }) })
  const fleet = shoal({ join: [agent.gossip], keys: encrypt === undefined ? [] : [encrypt] })
  const [first, second] = await Promise.all([
    fleet.start({ name: 'ts-1', tags: { colour: 'blue' } }),
    fleet.start({ name: 'ts-2', tags: { colour: 'red' } }),
  ])
  await agent.shows('go alive, ts-1 alive, ts-2 alive')
  for (const { name, addr, tags, protocol } of await agent.members()) {
    if (name === 'go') continue
    const node = name === 'ts-1' ? first : second
    assert.equal(addr, node.gossip)
    assert.equal(tags['colour'], name === 'ts-1' ? 'blue' : 'red')
    assert.equal(tags['rpc'], node.rpc.split(':')[1])
    assert.equal(protocol.version, 5)
  }
  // A Serf member is a member, but nothing is ever put on it.
  await sees(first, 'go', match({ state: 'alive', status: 'foreign', rpc: undefined }))
  await until('a ring of two', async () => (await first.ring()).members.join() === 'ts-1,ts-2')

  // Serf's own traffic passes through and by us.
  assert.equal((await agent.run('event', 'deploy', 'payload')).code, 0)
  assert.equal((await agent.run('query', '-timeout=500ms', 'uptime')).code, 0)
  const { out } = await agent.run('reachability')
  assert.match(out, /Successful|Failed to reach|Total/i)
  await agent.shows('go alive, ts-1 alive, ts-2 alive')

  await second.kill()
  await agent.shows('go alive, ts-1 alive, ts-2 failed')
  await sees(first, 'ts-2', match({ state: 'dead' }))
  await until('a ring of one', async () => (await first.ring()).members.join() === 'ts-1')

  // The same ports: this agent gives a dead member's name to no other address.
  const again = await fleet.start({ name: 'ts-2', port: portOf(second.gossip), tags: { colour: 'green' } })
  await agent.shows('go alive, ts-1 alive, ts-2 alive')
  assert.equal((await agent.members()).find(({ name }) => name === 'ts-2')?.tags['colour'], 'green')
  await sees(first, 'ts-2', match({ state: 'alive', status: 'ready' }))

  await again.leave()
  await agent.shows('go alive, ts-1 alive, ts-2 left')
  await sees(first, 'ts-2', match({ state: 'left' }))
  assert.equal(agent.over, false)
  assert.deepEqual(agent.complaints(expected), [])
}

suite('with the serf agent', { concurrency: 4, skip, timeout: 120_000 }, () => {
  before(() => assert.ok(version, 'serf is not installed, and under CI that is an error'))

  test('two nodes join, are alive with their tags, are failed when killed, come back, and leave as left', () =>
    life(undefined))

  test('the same holds for an encrypted cluster', () => life(key))

  test('a node with another key, and one without any, is refused, and the agent goes on', async () => {
    const agent = await serf({ name: 'go', encrypt: key })
    for (const keys of [[otherKey], []]) {
      const node = createNode({
        name: 'stranger',
        port: 0,
        profile: 'local',
        label: false,
        keys,
        join: [agent.gossip],
        joinTimeoutMs: 2_000,
      })
      await assert.rejects(node.start(), { code: 'ERR_SHOAL_JOIN' })
    }
    assert.equal(await agent.statuses(), 'go alive')
  })

  test('agents join through a node, see each other, and their leave and death are seen', async () => {
    const fleet = shoal({})
    const first = await fleet.start({ name: 'ts-1' })
    const second = await fleet.start({ name: 'ts-2', join: [first.gossip] })
    const one = await serf({ name: 'go-1', join: first.gossip })
    const two = await serf({ name: 'go-2', join: second.gossip })
    const all = 'go-1 alive, go-2 alive, ts-1 alive, ts-2 alive'
    await Promise.all([one.shows(all), two.shows(all)])
    await sees(first, 'go-1', match({ state: 'alive', status: 'foreign' }))
    await sees(second, 'go-2', match({ state: 'alive', status: 'foreign' }))
    await until('a ring of two', async () => (await second.ring()).members.join() === 'ts-1,ts-2')

    assert.equal((await one.run('leave')).code, 0)
    await two.end()
    await sees(first, 'go-1', match({ state: 'left' }))
    await sees(second, 'go-2', match({ state: 'dead' }))
    assert.deepEqual([...one.complaints(expected), ...two.complaints(expected)], [])
  })
})
