/** Retries, breakers and rates between whole nodes: layers that do not multiply, and a peer that is stopped for a while. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNode, isShoalError, type RateOptions, type ShoalNode } from '../../src/index.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { settled } from './nodes.ts'

/** A small table, quick to compute. */
const ring = { partitions: 256, points: 64, bound: 1.25 }

interface Scene extends AsyncDisposable {
  readonly sim: Simulation
  readonly nodes: readonly ShoalNode[]
  readonly processes: readonly SimProcess<ShoalNode>[]
  /** Codes of notices of n1. */
  readonly notices: string[]
}

/** n1, n2 and n3. `relay` calls `leaf` for the key in its body. */
async function start(leaf: RateOptions | undefined, count = 3): Promise<Scene> {
  const sim = new Simulation({ seed: 4 })
  const notices: string[] = []
  const processes = Array.from({ length: count }, (_, index) => `n${index + 1}`).map((name) =>
    sim.spawn(name, async ({ host, env }) => {
      const node = createNode({ name, host, env, ring, join: ['n1:7946'] })
      node.handle('relay', (key: string) => node.request({ method: 'leaf', key }))
      node.handle('leaf', () => name, leaf === undefined ? {} : { rate: leaf })
      if (name === 'n1') node.on('notice', ({ code }) => notices.push(code))
      await node.start()
      return node
    }),
  )
  await sim.settle(Promise.all(processes.map(({ started }) => started)), 30_000)
  await sim.until(() => settled(processes), 10_000)
  const nodes = processes.map(({ value }) => value as ShoalNode)
  return { sim, nodes, processes, notices, [Symbol.asyncDispose]: () => sim.close() }
}

function keyOf(node: ShoalNode, owner: string): string {
  for (let index = 0; ; index++) if (node.owner(`key-${index}`) === owner) return `key-${index}`
}

/** A code, with `ran` if the handler may have. */
function codeOf(error: unknown): string {
  assert.ok(isShoalError(error), String(error))
  return `${error.code.slice('ERR_SHOAL_'.length)}${error.mayHaveRun ? ' ran' : ''}`
}

test('in a chain of calls only the last link repeats what the end refuses, within one budget', async () => {
  await using scene = await start({ perSecond: 2, burst: 1, per: 'method' })
  const [first, second, third] = scene.nodes as [ShoalNode, ShoalNode, ShoalNode]
  const keys = { relay: keyOf(first, 'n2'), leaf: keyOf(first, 'n3') }
  const before = (await scene.sim.settle(third.stats(), 1_000)).router.received
  const outcomes = new Map<string, number>()
  const calls = 600
  for (let i = 0; i < calls; i++) {
    first
      .request({ method: 'relay', key: keys.relay, body: keys.leaf, idempotent: true, timeoutMs: 2_000 })
      .then(
        () => outcomes.set('reply', (outcomes.get('reply') ?? 0) + 1),
        (error: unknown) => outcomes.set(codeOf(error), (outcomes.get(codeOf(error)) ?? 0) + 1),
      )
    await scene.sim.run(25)
  }
  await scene.sim.run(3_000)
  const [edge, relay, end] = await scene.sim.settle(
    Promise.all(scene.nodes.map((node) => node.stats())),
    1_000,
  )
  assert.equal(edge?.router.retried, 0, 'who called the relay hears REMOTE, or its own deadline')
  assert.ok((relay?.router.retried ?? 0) > 50)
  // 1.2 times the calls, and a tenth of the reserve.
  const received = (end?.router.received ?? 0) - before
  assert.ok(received > calls * 1.1 && received <= calls * 1.2 + 50, `${received} for ${calls} calls`)
  assert.ok((outcomes.get('REMOTE ran') ?? 0) > 400, JSON.stringify([...outcomes]))
  assert.ok((outcomes.get('reply') ?? 0) >= 25, JSON.stringify([...outcomes]))
  assert.equal(end?.router.rateLimited, received - (end?.router.ranHere ?? 0))
  assert.equal((await scene.sim.settle(second.stats(), 1_000)).rpc.breakersOpened, 0)
})

test('a stopped peer opens the breaker before membership gives it up, calls by key outlast it, and it closes at once', async () => {
  await using scene = await start(undefined, 2)
  const { sim, notices } = scene
  const [first] = scene.nodes as [ShoalNode]
  const stopped = scene.processes[1] as SimProcess<ShoalNode>
  const key = keyOf(first, 'n2')
  await sim.settle(first.request({ method: 'leaf', key }), 1_000)
  stopped.pause()
  const hurried = new Map<string, number>()
  const patient: string[] = []
  for (let passed = 0; passed < 2_500; passed += 25) {
    first.request({ method: 'leaf', to: 'n2', timeoutMs: 100 }).catch((error: unknown) => {
      const what = `${passed < 1_400 ? 'early' : 'late'} ${codeOf(error)}`
      hurried.set(what, (hurried.get(what) ?? 0) + 1)
    })
    if (passed === 1_500) {
      for (let i = 0; i < 20; i++) {
        first.request({ method: 'leaf', key, timeoutMs: 5_000 }).then(
          (name) => patient.push(String(name)),
          (error: unknown) => patient.push(codeOf(error)),
        )
      }
    }
    await sim.run(25)
  }
  assert.equal(first.members.find(({ name }) => name === 'n2')?.state === 'dead', false)
  assert.deepEqual((await sim.settle(first.stats(), 1_000)).rpc.breakersOpen, ['n2'])
  assert.deepEqual(patient, [])
  stopped.resume()
  // One may come back later: a loop that was late refuses a part of what waits for it.
  await sim.run(3_000)
  assert.deepEqual(patient, new Array<string>(20).fill('n2'), 'each ran once, none was lost')
  const { rpc } = await sim.settle(first.stats(), 1_000)
  assert.deepEqual(rpc.breakersOpen, [])
  assert.deepEqual(
    notices.filter((code) => code.startsWith('breaker')),
    ['breakerOpened', 'breakerClosed'],
  )
  assert.ok((hurried.get('early TIMEOUT ran') ?? 0) > 30, JSON.stringify([...hurried]))
  assert.ok((hurried.get('late DISCONNECTED') ?? 0) > 35, JSON.stringify([...hurried]))
  assert.equal(hurried.get('late TIMEOUT ran') ?? 0, 0, 'at most the ones of before')
})

test('a hedged call through a slow connection is answered by way of the other member; what is not idempotent is refused', async () => {
  await using scene = await start(undefined)
  const { sim } = scene
  const [first] = scene.nodes as [ShoalNode]
  const key = keyOf(first, 'n3')
  const hedge = { maxMs: 50 }
  const call = { method: 'leaf', key, idempotent: true, hedge }
  await sim.settle(first.request({ method: 'leaf', key: keyOf(first, 'n2') }), 1_000)
  await sim.settle(first.request(call), 1_000)
  // From now on nothing comes of that connection; that between n2 and n3 is well.
  sim.cut('n1', 'n3', { oneWay: false })
  const name = await sim.settle(first.request(call), 1_000)
  assert.equal(name, 'n3')
  const { router } = await sim.settle(first.stats(), 1_000)
  assert.deepEqual([router.hedged, router.hedgesWon], [1, 1])
  await assert.rejects(first.request({ method: 'leaf', key, hedge: true }), { code: 'ERR_SHOAL_OPTION' })
  await assert.rejects(first.request({ method: 'leaf', key, idempotent: true, hedge: { maxMs: 0 } }), {
    code: 'ERR_SHOAL_OPTION',
  })
})
