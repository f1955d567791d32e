/**
 * A rolling restart under keyed load: five processes, one after the other, are told to leave, waited for, and
 * started again under the same name at another address.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createNode, isShoalError } from '../../src/index.ts'
import { Processes } from './processes.ts'

const processes = new Processes()
const names = ['ant', 'bee', 'cat', 'dog', 'eel']
const flags = ['--cluster', 'rolling', '--bind', '127.0.0.1:0', '--profile', 'local']

test('no idempotent request fails in a rolling restart; others fail only where they may have run', async () => {
  const agents = await processes.cluster(names, ['--cluster', 'rolling'])
  const node = createNode({
    name: 'load',
    cluster: 'rolling',
    port: 0,
    profile: 'local',
    observer: true,
    join: agents.map(({ gossip }) => gossip),
  })
  after(async () => {
    await node.close()
    await processes.close()
  })
  await node.start()
  while (node.ring.members.length < names.length) await new Promise((next) => node.once('ownership', next))

  let running = true
  const counts = { idempotent: 0, others: 0 }
  const broken: string[] = []
  const answeredBy = new Set<string>()
  const work = async (worker: number, idempotent: boolean): Promise<void> => {
    for (let turn = worker; running; turn += 8) {
      try {
        const key = `user-${turn % 500}`
        const reply = await node.request<null, { node: string }>({ method: 'echo', key, idempotent })
        answeredBy.add(reply.node)
        counts[idempotent ? 'idempotent' : 'others']++
      } catch (error) {
        const told = isShoalError(error)
          ? `${error.code}, mayHaveRun ${error.mayHaveRun}: ${error.message}`
          : error
        if (idempotent || !isShoalError(error) || !error.mayHaveRun) broken.push(`${idempotent} ${told}`)
      }
      await new Promise((next) => setTimeout(next, 5))
    }
  }
  const load = Array.from({ length: 8 }, (_, worker) => work(worker, worker % 2 === 0))

  for (const [index, old] of agents.entries()) {
    old.send('SIGTERM')
    assert.deepEqual(await old.ended, { code: 0, signal: null })
    const seeds = agents.filter((agent) => agent !== old).map(({ gossip }) => gossip)
    const fresh = await processes.agent(old.name, [...flags, '--join', seeds.join(',')]).ready()
    agents[index] = fresh
    await processes.oneRing(agents)
  }
  running = false
  await Promise.all(load)
  assert.deepEqual(broken, [])
  assert.deepEqual([...answeredBy].sort(), names)
  assert.ok(counts.idempotent > 500 && counts.others > 500, JSON.stringify(counts))
})
