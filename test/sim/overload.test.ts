/** Whole nodes of which one has more to do than it can: its handlers take CPU, in virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNode, isShoalError, type NodeOptions, type ShoalNode } from '../../src/index.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'

const workMs = 0.5
/** What the server can do, a second. */
const capacity = 1_000 / workMs

interface Counts {
  offered: number
  good: number
  refused: number
  late: number
  readonly latencies: number[]
}

class Scene {
  readonly sim: Simulation
  readonly server: SimProcess<ShoalNode>
  readonly clients: SimProcess<ShoalNode>[] = []
  readonly notices: string[] = []
  readonly deaths: string[] = []
  ran = 0

  constructor(options: NodeOptions = {}) {
    this.sim = new Simulation({ seed: 1 })
    const common: NodeOptions = { profile: 'local', ring: { partitions: 64, points: 16, bound: 1.25 } }
    this.server = this.sim.spawn('server', async (self) => {
      const { name, host, env } = self
      const node = createNode({ ...common, name, host, env, ...options })
      node.handle('cpu', () => {
        this.ran += 1
        self.work(workMs)
      })
      node.on('notice', ({ code }) => this.notices.push(code))
      await node.start()
      return node
    })
    for (const name of ['ann', 'bob', 'cid']) {
      this.clients.push(
        this.sim.spawn(name, async ({ host, env }) => {
          const node = createNode({ ...common, name, host, env, observer: true, join: ['server:7946'] })
          node.on('member', (change, member) => {
            if (change === 'died' || change === 'suspected') this.deaths.push(`${name}: ${member.name}`)
          })
          await node.start()
          return node
        }),
      )
    }
  }

  async start(): Promise<void> {
    await this.sim.until(() => [this.server, ...this.clients].every(({ hasStarted }) => hasStarted), 60_000)
    await this.sim.run(1_000)
  }

  /** An open loop from one client: so many calls a second, each tried once. */
  load(client: SimProcess<ShoalNode>, perSecond: number, timeoutMs: number): Counts {
    const counts: Counts = { offered: 0, good: 0, refused: 0, late: 0, latencies: [] }
    const { clock } = client.env
    void client.run((node) => {
      const start = clock.now()
      let made = 0
      const tick = (): void => {
        clock.setTimer(2, tick)
        for (; made < ((clock.now() - start) * perSecond) / 1_000; made += 1) one()
      }
      const one = (): void => {
        counts.offered += 1
        const at = clock.now()
        node.request({ method: 'cpu', to: 'server', timeoutMs }).then(
          () => {
            counts.good += 1
            counts.latencies.push(clock.now() - at)
          },
          (error: unknown) => {
            if (isShoalError(error) && error.code === 'ERR_SHOAL_OVERLOADED') counts.refused += 1
            else counts.late += 1
          },
        )
      }
      tick()
    })
    return counts
  }
}

function quantile(values: number[], q: number): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length * q)] ?? 0
}

async function overloaded(options: NodeOptions, rates: readonly number[]): Promise<[Scene, Counts[]]> {
  const scene = new Scene(options)
  await scene.start()
  const counts = rates.map((rate, i) => scene.load(scene.clients[i]!, rate, 250))
  await scene.sim.run(1_000)
  for (const count of counts)
    Object.assign(count, { offered: 0, good: 0, refused: 0, late: 0, latencies: [] })
  await scene.sim.run(1_500)
  return [scene, counts]
}

test('offered three times what it can do, a node answers what it can in good time and refuses the rest', async () => {
  const [scene, counts] = await overloaded({}, [capacity, capacity, capacity])
  const good = counts.reduce((sum, count) => sum + count.good, 0)
  assert.ok(good > 0.8 * 1.5 * capacity, `${good} of ${1.5 * capacity}`)
  for (const { good: part, late, latencies } of counts) {
    assert.ok(part > 0.2 * 1.5 * capacity, 'each has its share')
    assert.equal(late, 0)
    assert.ok(quantile(latencies, 0.99) < 150, `${quantile(latencies, 0.99)}`)
  }
  assert.deepEqual(scene.notices, ['overloaded'])
  assert.deepEqual(scene.deaths, [])
  await scene.sim.close()
})

test('the same node without admission answers nothing in time', async () => {
  const [scene, counts] = await overloaded({ admission: false }, [capacity, capacity, capacity])
  const good = counts.reduce((sum, count) => sum + count.good, 0)
  assert.ok(good < 0.3 * 1.5 * capacity, `${good}`)
  await scene.sim.close()
})

test('clients that send little are answered, and fast, while another one sends ten times as much', async () => {
  const [scene, counts] = await overloaded({}, [0.25 * capacity, 0.25 * capacity, 2.5 * capacity])
  for (const { offered, good, latencies } of counts.slice(0, 2)) {
    assert.ok(good > 0.98 * offered, `${good} of ${offered}`)
    assert.ok(quantile(latencies, 0.99) < 60, `${quantile(latencies, 0.99)}`)
  }
  assert.ok((counts[2]?.refused ?? 0) > 0.5 * capacity)
  await scene.sim.close()
})

test('cancels do not wait behind the calls that they cancel', async () => {
  const scene = new Scene()
  await scene.start()
  const client = scene.clients[0] as SimProcess<ShoalNode>
  // The connection is open.
  void client.run((node) => node.request({ method: 'cpu', to: 'server' }))
  await scene.sim.run(500)
  const aborts = Array.from({ length: 200 }, () => new AbortController())
  const codes: unknown[] = []
  void client.run((node) => {
    for (const { signal } of aborts) {
      node.request({ method: 'cpu', to: 'server', signal }).catch((error: Error) => codes.push(error.name))
    }
  })
  // Four milliseconds' work of a hundred.
  await scene.sim.run(5)
  void client.run(() => {
    for (const abort of aborts) abort.abort()
  })
  await scene.sim.run(1_000)
  assert.ok(scene.ran > 1 && scene.ran < 60, `${scene.ran} ran`)
  assert.deepEqual(codes.slice(0, 2), ['AbortError', 'AbortError'])
  const stats = scene.server.run((node) => node.stats())
  await scene.sim.run(100)
  const { admission } = await stats
  assert.ok(admission.cancelled > 100)
  assert.deepEqual([admission.waiting, admission.running], [0, 0])
  await scene.sim.close()
})
