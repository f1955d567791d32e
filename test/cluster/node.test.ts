/** Whole nodes in one process, on real sockets and real time. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { after, test } from 'node:test'
import { systemEnv } from '../../src/host/env.ts'
import {
  createNode,
  type Member,
  type Network,
  type NodeOptions,
  type OwnershipChange,
  type ShoalNode,
} from '../../src/index.ts'

const started: ShoalNode[] = []
/** Nodes on which the handler that never ends was called. */
const stuck = new Set<string>()
after(() => Promise.all(started.map((node) => node.close())))

function make(name: string, seeds: readonly ShoalNode[] = [], options: NodeOptions = {}): ShoalNode {
  const join = seeds.map((seed) => seed.addresses.gossip)
  const node = createNode({ name, port: 0, profile: 'local', join, ...options })
  node.handle('where', (body: unknown, context) => ({ node: node.name, key: context.key, body }))
  node.handle('bytes', (body: Uint8Array) => body)
  node.handle('stuck', () => {
    stuck.add(name)
    return new Promise(() => {})
  })
  started.push(node)
  return node
}

async function until(what: string, holds: () => boolean, timeoutMs = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!holds()) {
    if (performance.now() > end) assert.fail(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

function agree(nodes: readonly ShoalNode[]): boolean {
  const [first] = nodes
  return nodes.every(
    (node) => node.ring.members.length === nodes.length && node.ring.digest === first?.ring.digest,
  )
}

async function cluster(names: readonly string[], options: NodeOptions = {}): Promise<ShoalNode[]> {
  const nodes: ShoalNode[] = []
  for (const name of names) {
    const node = make(name, nodes.slice(0, 1), options)
    await node.start()
    nodes.push(node)
  }
  await until('one ring', () => agree(nodes))
  return nodes
}

const keys = Array.from({ length: 60 }, (_, index) => `key-${index}`)

test('five nodes agree on a ring and a call for any key from any node runs on its owner', async () => {
  const nodes = await cluster(['a1', 'a2', 'a3', 'a4', 'a5'])
  const owners = new Set<unknown>()
  for (const node of nodes) {
    for (const key of keys) {
      const reply = await node.request<unknown, { node: string; key: string; body: unknown }>({
        method: 'where',
        key,
        body: { n: 1 },
      })
      assert.deepEqual(reply, { node: node.owner(key), key, body: { n: 1 } })
      owners.add(reply.node)
    }
  }
  assert.equal(owners.size, 5)
  const { router, rpc, membership } = await (nodes[0] as ShoalNode).stats()
  assert.equal(router.routed, keys.length)
  assert.ok(rpc.connections >= 4 && membership.packetsIn > 0)
  await Promise.all(nodes.map((node) => node.leave()))
})

test('a leave and a join under load fail no request', async () => {
  const nodes = await cluster(['b1', 'b2', 'b3'])
  const [first] = nodes as [ShoalNode]
  let running = true
  let answered = 0
  const failed: unknown[] = []
  const load = Array.from({ length: 8 }, async (_, worker) => {
    for (let index = worker; running; index += 8) {
      const key = keys[index % keys.length] as string
      await first.request({ method: 'where', key, timeoutMs: 3_000 }).then(
        () => answered++,
        (error: unknown) => failed.push(error),
      )
    }
  })
  await nodes[2]?.leave()
  await until('two on the ring', () => agree(nodes.slice(0, 2)))
  const again = make('b3', nodes.slice(0, 1))
  await again.start()
  await until('three on the ring', () => agree([...nodes.slice(0, 2), again]))
  running = false
  await Promise.all(load)
  assert.deepEqual(failed, [])
  assert.ok(answered > 100)
  await Promise.all([nodes[0]?.leave(), nodes[1]?.leave(), again.leave()])
})

test('one ownership event per change of view, and gained and lost add up', async () => {
  const first = make('c1')
  const changes: OwnershipChange[] = []
  first.on('ownership', (change) => changes.push(change))
  await first.start()
  await until('all partitions', () => first.ring.members.length === 1)
  assert.equal(changes.length, 1)
  assert.equal(changes[0]?.gained.length, first.ring.partitions)
  const second = make('c2', [first])
  await second.start()
  await until('two on the ring', () => agree([first, second]))
  assert.equal(changes.length, 2)
  const lost = changes[1]?.lost.length ?? 0
  const shares = first.plan({}).loads
  assert.equal(shares.find(({ name }) => name === 'c2')?.before, lost)
  await second.leave()
  await until('alone again', () => first.ring.members.length === 1)
  assert.equal(changes.at(-1)?.gained.length, lost)
  await first.leave()
})

test('binary bodies arrive byte for byte, here and there', async () => {
  const nodes = await cluster(['d1', 'd2'])
  const body = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 7) & 0xff)
  for (const key of keys.slice(0, 10)) {
    const reply = await (nodes[0] as ShoalNode).request<Uint8Array, Uint8Array>({
      method: 'bytes',
      key,
      body,
    })
    assert.ok(reply instanceof Uint8Array)
    assert.deepEqual(new Uint8Array(reply), body)
    assert.notEqual(reply.buffer, body.buffer)
  }
  await Promise.all(nodes.map((node) => node.leave()))
})

test('a call goes to a named node whatever it owns, and an unknown method or node fails clearly', async () => {
  const nodes = await cluster(['e1', 'e2'])
  const [first] = nodes as [ShoalNode]
  const reply = await first.request<unknown, { node: string }>({ method: 'where', to: 'e2' })
  assert.equal(reply.node, 'e2')
  await assert.rejects(first.request({ method: 'nope', key: 'x' }), {
    code: 'ERR_SHOAL_NO_METHOD',
    mayHaveRun: false,
  })
  await assert.rejects(first.request({ method: 'where', to: 'nobody' }), { mayHaveRun: false })
  await Promise.all(nodes.map((node) => node.leave()))
})

test('a request without an answer ends at its deadline; a signal ends it earlier, with its reason', async () => {
  const nodes = [make('f1'), make('f2')]
  const aborted: string[] = []
  for (const node of nodes) {
    node.handle('hang', (_body: unknown, { signal }) => {
      signal.addEventListener('abort', () => aborted.push(node.name))
      return new Promise<never>(() => {})
    })
  }
  const [first, second] = nodes as [ShoalNode, ShoalNode]
  await first.start()
  const join = [first.addresses.gossip]
  await second.start().catch(assert.fail)
  await second.join(join)
  await until('one ring', () => agree(nodes))
  for (const to of ['f1', 'f2']) {
    await assert.rejects(first.request({ method: 'hang', to, timeoutMs: 100 }), {
      code: 'ERR_SHOAL_TIMEOUT',
      mayHaveRun: true,
    })
  }
  await until('both handlers aborted', () => aborted.length === 2)
  const controller = new AbortController()
  const call = first.request({ method: 'hang', to: 'f2', signal: controller.signal })
  controller.abort(new Error('enough'))
  await assert.rejects(call, /enough/)
  await Promise.all(nodes.map((node) => node.leave({ timeoutMs: 500 })))
})

test('a name held by a live member, and a seed that is not there, fail the join with the reason', async () => {
  const first = make('g1')
  await first.start()
  const twin = make('g1', [first], { joinTimeoutMs: 2_000 })
  await assert.rejects(twin.start(), { code: 'ERR_SHOAL_JOIN', message: /nameTaken/ })
  const lost = createNode({
    name: 'g2',
    port: 0,
    profile: 'local',
    join: ['127.0.0.1:1'],
    joinTimeoutMs: 300,
  })
  await assert.rejects(lost.start(), { code: 'ERR_SHOAL_JOIN', message: /127\.0\.0\.1:1: refused/ })
  await assert.rejects(lost.request({ method: 'x', key: 'y' }), { code: 'ERR_SHOAL_STATE' })
  await first.leave()
})

test('nodes of other ring parameters, of another cluster or without the key stay off the ring', async () => {
  const key = Buffer.alloc(32, 7).toString('base64')
  const first = make('h1', [], { keys: [key] })
  const notices: string[] = []
  first.on('notice', ({ code }) => notices.push(code))
  await first.start()
  const stranger = make('h2', [first], { cluster: 'other', keys: [key], joinTimeoutMs: 500 })
  await assert.rejects(stranger.start(), { code: 'ERR_SHOAL_JOIN' })
  const keyless = make('h3', [first], { joinTimeoutMs: 500 })
  await assert.rejects(keyless.start(), { code: 'ERR_SHOAL_JOIN' })
  const other = make('h4', [first], { keys: [key], ring: { points: 7 } })
  const heard: string[] = []
  other.on('notice', ({ code }) => heard.push(code))
  await other.start()
  await until('both noticed', () => notices.includes('ringMismatch') && heard.includes('ringMismatch'))
  assert.deepEqual(first.ring.members, ['h1'])
  assert.deepEqual(other.ring.members, ['h4'])
  await Promise.all([first.leave(), other.leave()])
})

test('an observer owns nothing and calls everything', async () => {
  const nodes = await cluster(['i1', 'i2'])
  const observer = make('i3', nodes.slice(0, 1), { observer: true })
  await observer.start()
  await until('the observer sees the ring', () => observer.ring.members.length === 2)
  const reply = await observer.request<unknown, { node: string }>({ method: 'where', key: 'x' })
  assert.equal(reply.node, nodes[0]?.owner('x'))
  const seen = (): Member | undefined => nodes[0]?.members.find(({ name }) => name === 'i3')
  assert.equal(seen()?.status, 'observer')
  await observer.leave()
  await until('it is seen to have left', () => seen()?.state === 'left')
  await Promise.all(nodes.map((node) => node.leave()))
})

test('whether a key or a body is allowed does not depend on who owns the key', async () => {
  const nodes = await cluster(['l1', 'l2'])
  for (const key of keys.slice(0, 4)) {
    const long = `${key}${'é'.repeat(2_048)}`
    const call = nodes[0]?.request({ method: 'where', key: long })
    await assert.rejects(call ?? Promise.resolve(), { code: 'ERR_SHOAL_TOO_LARGE', mayHaveRun: false })
    const large = nodes[0]?.request({ method: 'where', key, body: new Uint8Array(2 ** 24) })
    await assert.rejects(large ?? Promise.resolve(), { code: 'ERR_SHOAL_TOO_LARGE', mayHaveRun: false })
    const odd = nodes[0]?.request({ method: 'where', key, body: Symbol('none') })
    await assert.rejects(odd ?? Promise.resolve(), { code: 'ERR_SHOAL_OPTION' })
  }
  await Promise.all(nodes.map((node) => node.leave()))
})

test('a signal that outlives its calls keeps no listener of them', async () => {
  const node = make('m1')
  await node.start()
  const controller = new AbortController()
  for (const key of keys) await node.request({ method: 'where', key, signal: controller.signal })
  assert.equal(getEventListeners(controller.signal, 'abort').length, 0)
  await node.leave()
  await assert.rejects(node.stats(), { code: 'ERR_SHOAL_STATE' })
})

test('the lifecycle is strict: register, start once, leave twice, then nothing works', async () => {
  const node = make('j1')
  assert.throws(() => node.addresses, { code: 'ERR_SHOAL_STATE' })
  await assert.rejects(node.request({ method: 'where', key: 'x' }), { code: 'ERR_SHOAL_STATE' })
  await node.start()
  await assert.rejects(node.start(), { code: 'ERR_SHOAL_STATE' })
  assert.throws(() => node.handle('late', () => 1), { code: 'ERR_SHOAL_STATE' })
  await assert.rejects(node.request({ method: 'where' }), { code: 'ERR_SHOAL_OPTION' })
  await Promise.all([node.leave(), node.leave()])
  await node.close()
  await assert.rejects(node.request({ method: 'where', key: 'x' }), { code: 'ERR_SHOAL_STATE' })
})

test('a node that is closed while it starts leaves nothing open, whatever it was binding', async () => {
  for (let closeAt = 1; closeAt <= 4; closeAt++) {
    let opened = 0
    let closed = 0
    let asked = 0
    const step = async <T>(work: Promise<T>): Promise<T> => {
      if (++asked === closeAt) void node.close()
      return await work
    }
    const track = <T extends { close(): Promise<void> }>(found: T): T => {
      opened++
      const { close } = found
      let told = false
      found.close = () => {
        if (!told) closed++
        told = true
        return close.call(found)
      }
      return found
    }
    const network: Network = {
      dial: (to) => systemEnv.network.dial(to),
      resolve: (host) => step(systemEnv.network.resolve(host)),
      listen: async (bind, accept) => track(await step(systemEnv.network.listen(bind, accept))),
      datagrams: async (bind, handlers) => track(await step(systemEnv.network.datagrams(bind, handlers))),
    }
    const { clock, random } = systemEnv
    const node = createNode({ name: 'n1', port: 0, profile: 'local', env: { clock, random, network } })
    await assert.rejects(node.start(), { code: 'ERR_SHOAL_STATE' })
    assert.ok(asked >= closeAt)
    assert.equal(closed, opened, `closed at step ${closeAt}`)
  }
})

test('calls under way when their node is closed fail at once', async () => {
  const [first, second] = (await cluster(['o1', 'o2'])) as [ShoalNode, ShoalNode]
  const key = keys.find((each) => first.owner(each) === 'o2') as string
  const begun = performance.now()
  const call = first.request({ method: 'stuck', key, idempotent: true, timeoutMs: 60_000 })
  await until('it runs', () => stuck.has('o2'))
  await Promise.all([
    assert.rejects(call, { code: 'ERR_SHOAL_DISCONNECTED', mayHaveRun: true }),
    first.close(),
    second.close(),
  ])
  assert.ok(performance.now() - begun < 30_000)
})

test('a bound port that is taken fails the start, naming option and address', async () => {
  const first = make('k1')
  await first.start()
  const port = Number(first.addresses.gossip.split(':')[1])
  const second = make('k2', [], { port })
  await assert.rejects(second.start(), {
    code: 'ERR_SHOAL_OPTION',
    message: /^port: 127\.0\.0\.1:\d+ is taken/,
  })
  await first.leave()
})
