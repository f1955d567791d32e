/**
 * What the users of the libraries before this one complained of, each complaint as a test on real sockets. The
 * comments say whose complaint it was.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { portOf } from '../../src/address.ts'
import { createNode, type Member, type NodeOptions, type ShoalNode } from '../../src/index.ts'
import { Fleet } from '../support/processes.ts'
import { Switchboard } from '../support/switchboard.ts'
import { pause, until } from '../support/until.ts'

const started: ShoalNode[] = []
const fleets: Fleet[] = []
after(() => Promise.all([...started.map((node) => node.close()), ...fleets.map((fleet) => fleet.end())]))

/** Finds failures in about a second, so that these tests need not wait longer. */
const quick = { probeIntervalMs: 250, probeTimeoutMs: 100, suspicionMult: 2 }

/** A node of a cluster of its own per test: ports that one test frees may be another's next. */
function make(cluster: string, name: string, options: NodeOptions = {}): ShoalNode {
  const node = createNode({ name, cluster, port: 0, profile: 'local', swim: quick, ...options })
  node.handle('where', (body: unknown, { key }) => ({ node: node.name, key, body }), { idempotent: true })
  node.handle('bytes', (body: Uint8Array) => body)
  started.push(node)
  return node
}

async function start(cluster: string, name: string, options: NodeOptions = {}): Promise<ShoalNode> {
  const node = make(cluster, name, options)
  await node.start()
  return node
}

const gossipOf = (...nodes: readonly ShoalNode[]): string[] => nodes.map((node) => node.addresses.gossip)
const portsOf = (node: ShoalNode): { port: number; rpcPort: number } => ({
  port: portOf(node.addresses.gossip),
  rpcPort: portOf(node.addresses.rpc),
})

function seen(by: ShoalNode, name: string): Member | undefined {
  return by.members.find((member) => member.name === name)
}

/** Waits until these nodes, and no others, are on the ring of each. */
async function agree(...nodes: readonly ShoalNode[]): Promise<void> {
  const names = nodes.map(({ name }) => name).sort()
  await until(
    () => `a ring of ${names.join()}; seen: ${nodes.map(({ ring }) => ring.members.join()).join(' | ')}`,
    () =>
      nodes.every(
        ({ ring }) =>
          ring.digest === nodes[0]?.ring.digest && [...ring.members].sort().join() === names.join(),
      ),
    30_000,
  )
}

/** Every node answers for every key, wherever it is asked. */
async function serves(...nodes: readonly ShoalNode[]): Promise<void> {
  for (const node of nodes) {
    for (let index = 0; index < 20; index++) {
      const key = `key-${index}`
      const reply = await node.request<null, { node: string }>({ method: 'where', key })
      assert.equal(reply.node, node.owner(key))
    }
  }
}

suite('the complaints of ten years', { concurrency: 6, timeout: 120_000 }, () => {
  // swim-js #4, temporal #83, cadence #6288
  test('a node bound to all addresses is reached at the one it advertises, for gossip and calls', async () => {
    const first = await start('advertise', 'a1', { host: '0.0.0.0', advertise: '127.0.0.2' })
    const second = await start('advertise', 'a2', { join: gossipOf(first) })
    assert.match(first.addresses.gossip, /^127\.0\.0\.2:/)
    assert.match(first.addresses.rpc, /^127\.0\.0\.2:/)
    await agree(first, second)
    assert.equal(seen(second, 'a1')?.address, first.addresses.gossip)
    assert.equal(seen(second, 'a1')?.rpc, first.addresses.rpc)
    await serves(first, second)
    await first.leave()
    await agree(second)
  })

  // swim-js #10: a restarted node must remember its incarnation or nobody hears it; #14: its old meta wins
  test('a process killed and started again at once on the same ports is back with its new tags', async () => {
    const fleet = new Fleet({ cluster: 'restart' })
    fleets.push(fleet)
    const [first, second, third] = await fleet.cluster(['r1', 'r2', 'r3'])
    const ports = { port: portOf(third!.gossip), rpcPort: portOf(third!.rpc) }
    await third!.kill()
    const killedAt = performance.now()
    const again = await fleet.start({ name: 'r3', join: [first!.gossip], tags: { life: '2' }, ...ports })
    const nodes = [first!, second!, again]
    await until('r3 is alive with its new tags for all', async () => {
      const views = await Promise.all(nodes.map((node) => node.members()))
      return views.every((members) =>
        members.some(
          (member) => member.name === 'r3' && member.tags['life'] === '2' && member.state === 'alive',
        ),
      )
    })
    await until('one ring of three', async () => {
      const rings = await Promise.all(nodes.map((node) => node.ring()))
      return rings.every(({ members, digest }) => members.length === 3 && digest === rings[0]!.digest)
    })
    assert.ok(performance.now() - killedAt < 10_000)
    const owners = await first!.owners(60)
    assert.ok(owners.includes('r3'))
  })

  // consul #2113, #4806, #6897; ringpop-go #188: a redeploy keeps its place on the ring
  test('a node closed without a word comes back under its name on other ports', async () => {
    const first = await start('moved', 'm1')
    const second = await start('moved', 'm2', { join: gossipOf(first) })
    await agree(first, second)
    const owned = first.share('m2')
    const before = second.addresses.gossip
    await second.close()
    const again = await start('moved', 'm2', { join: gossipOf(first), joinTimeoutMs: 30_000 })
    assert.notEqual(again.addresses.gossip, before)
    await agree(first, again)
    assert.equal(seen(first, 'm2')?.address, again.addresses.gossip)
    assert.equal(first.share('m2'), owned)
    await serves(first, again)
  })

  // ringpop-node #167: in a cluster of two the survivor never marks the other faulty
  test('of two nodes one dies, and the other takes everything', async () => {
    const first = await start('two', 't1')
    const second = await start('two', 't2', { join: gossipOf(first) })
    await agree(first, second)
    await second.close()
    await agree(first)
    assert.equal(seen(first, 't2')?.state, 'dead')
    assert.equal(first.share('t1'), first.ring.partitions)
    await serves(first)
  })

  // ringpop-go #175, temporal #493: seeds with addresses of pods that are gone
  test('dead seeds among the seeds do not keep a node from joining', async () => {
    const gone = await start('seeds', 's0')
    const dead = gossipOf(gone)
    await gone.close()
    const first = await start('seeds', 's1')
    const second = await start('seeds', 's2', { join: ['127.0.0.1:1', ...dead, ...gossipOf(first)] })
    await agree(first, second)
  })

  // upring #2, seneca-mesh #92, #98: base killed, nobody rejoins
  test('all seeds die and come back empty, and are found by the others without being told', async () => {
    const seed = await start('back', 'b0')
    const others = await Promise.all(
      ['b1', 'b2'].map((name) => start('back', name, { join: gossipOf(seed) })),
    )
    await agree(seed, ...others)
    const ports = portsOf(seed)
    await seed.close()
    await agree(...others)
    const again = await start('back', 'b0', ports)
    await agree(again, ...others)
    await serves(again, ...others)
  })

  // memberlist #222, serf #605, ringpop-node #42: a partition never heals
  test('a split of two and two becomes two rings, and heals to one by itself', async () => {
    const board = new Switchboard()
    const first = await start('split', 'left-1', { env: board.env('left') })
    const rest = await Promise.all(
      ['left-2', 'right-1', 'right-2'].map((name) =>
        start('split', name, { env: board.env(name.split('-')[0]!), join: gossipOf(first) }),
      ),
    )
    const [left2, right1, right2] = rest as [ShoalNode, ShoalNode, ShoalNode]
    await agree(first, ...rest)
    board.rule((from, to) => from === to)
    await Promise.all([agree(first, left2), agree(right1, right2)])
    await Promise.all([serves(first, left2), serves(right1, right2)])
    board.heal()
    await agree(first, ...rest)
    await serves(first, ...rest)
  })

  // loki #10172, mimir #6187, tempo #2766, temporal #3415: clusters merge because an address was used again
  test('two clusters whose addresses touch stay two', async () => {
    const blue = await start('blue', 'n1')
    const blue2 = await start('blue', 'n2', { join: gossipOf(blue) })
    await agree(blue, blue2)
    const ports = portsOf(blue2)
    await blue2.close()
    const red = await start('red', 'n2', ports)
    await assert.rejects(red.join(gossipOf(blue), { timeoutMs: 1_000 }), { code: 'ERR_SHOAL_JOIN' })
    await until('blue holds its own n2 dead', () => seen(blue, 'n2')?.state === 'dead')
    // Blue's attempts to heal go on, to an address that is red's now.
    await pause(2_000)
    assert.deepEqual(blue.ring.members, ['n1'])
    assert.deepEqual(red.ring.members, ['n2'])
    assert.deepEqual(
      red.members.map(({ name }) => name),
      ['n2'],
    )
    await assert.rejects(blue.request({ method: 'where', to: 'n2', timeoutMs: 1_000 }), { mayHaveRun: false })
  })

  // ringpop-node #241: 1.2.3.4:5 + 55 was 1.2.3.4:55 + 5
  test('names of which one begins with the other share the ring evenly', async () => {
    const first = await start('names', 'n1')
    const rest = await Promise.all(
      ['n12', 'n123', 'n1-1', 'n1-11'].map((name) => start('names', name, { join: gossipOf(first) })),
    )
    await agree(first, ...rest)
    const mean = first.ring.partitions / 5
    for (const name of first.ring.members) {
      assert.ok(
        Math.abs(first.share(name) - mean) <= mean * 0.05,
        `${name} owns ${first.share(name)} of ${mean}`,
      )
    }
    await serves(first, ...rest)
  })

  // ringpop-node PR #31, #55: proxied bodies; a caller whose view is old
  test('a binary body sent to a node that lost the key is forwarded byte for byte', async () => {
    const board = new Switchboard()
    const first = await start('bytes', 'b1', { env: board.env('members') })
    const stale = await start('bytes', 'b2', {
      env: board.env('stale'),
      join: gossipOf(first),
      observer: true,
    })
    await until('the observer sees the ring', () => stale.ring.members.length === 1)
    // Its connection is up before its view is old: a call that waits for one could meet a newer view.
    await stale.request({ method: 'bytes', key: 'any', body: new Uint8Array(1) })
    board.rule((from, to, kind) => kind === 'stream' || from === to)
    const next = await start('bytes', 'b3', { env: board.env('members'), join: gossipOf(first) })
    await agree(first, next)
    const body = Uint8Array.from({ length: 50_000 }, (_, index) => (index * 31) & 0xff)
    const key = Array.from({ length: 99 }, (_, index) => `key-${index}`).find((name) => next.owns(name))!
    assert.equal(stale.owner(key), 'b1')
    const reply = await stale.request<Uint8Array, Uint8Array>({ method: 'bytes', key, body })
    assert.deepEqual(new Uint8Array(reply), body)
    const { router } = await first.stats()
    assert.equal(router.forwarded + router.notOwner, 1)
    assert.equal((await next.stats()).router.ranHere, 1)
  })

  // tchannel-node #141: requests without an answer were kept for ever
  test('a call without a timeout ends all the same', async () => {
    const first = make('patience', 'p1')
    const second = make('patience', 'p2')
    for (const node of [first, second]) node.handle('hang', () => new Promise<never>(() => {}))
    await first.start()
    await second.start()
    await second.join(gossipOf(first))
    await agree(first, second)
    const startedAt = performance.now()
    await Promise.all(
      ['p1', 'p2'].map((to) =>
        assert.rejects(first.request({ method: 'hang', to }), {
          code: 'ERR_SHOAL_TIMEOUT',
          mayHaveRun: true,
        }),
      ),
    )
    const tookMs = performance.now() - startedAt
    assert.ok(tookMs > 4_500 && tookMs < 15_000, `${tookMs} ms`)
    assert.equal((await first.stats()).rpc.callsInFlight, 0)
  })

  // upring: Nagle's algorithm against delayed acknowledgements, 11 calls a second
  test('the calls of one turn leave in one write, and no call waits for an acknowledgement', async () => {
    const first = await start('nagle', 'n1')
    const second = await start('nagle', 'n2', { join: gossipOf(first) })
    await agree(first, second)
    await first.request({ method: 'where', to: 'n2' })
    const before = (await first.stats()).rpc
    const from = { writes: before.writes, callsSent: before.callsSent }
    await Promise.all(Array.from({ length: 100 }, () => first.request({ method: 'where', to: 'n2' })))
    const counters = (await first.stats()).rpc
    assert.equal(counters.callsSent - from.callsSent, 100)
    assert.equal(counters.writes - from.writes, 1)
    const startedAt = performance.now()
    for (let index = 0; index < 100; index++) await first.request({ method: 'where', to: 'n2' })
    // With a delayed acknowledgement in each it would be 4 s and more.
    assert.ok(performance.now() - startedAt < 3_000)
  })

  // memberlist #295: a firewall that passes TCP only makes members flap
  test('a node whose datagrams are lost says so at the start', async () => {
    const board = new Switchboard()
    board.rule((from, to, kind) => kind === 'stream' || (from !== 'walled' && to !== 'walled'))
    const first = await start('udp', 'u1', { env: board.env('open') })
    const walled = make('udp', 'u2', {
      env: board.env('walled'),
      join: gossipOf(first),
      joinTimeoutMs: 5_000,
    })
    await assert.rejects(walled.start(), { code: 'ERR_SHOAL_JOIN', message: /udpBlocked.*open UDP/ })
    assert.deepEqual(first.ring.members, ['u1'])
  })

  // farmhash #12 to #48, seneca-mesh #80, node-msgpack #63: the native build fails
  test('nothing that an install needs runs a script or a compiler', () => {
    const root = join(import.meta.dirname, '../../..')
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
      packages: Record<
        string,
        { dev?: boolean; optional?: boolean; hasInstallScript?: boolean; gypfile?: boolean }
      >
    }
    const needed = Object.entries(packages).filter(
      ([path, { dev, optional }]) => path !== '' && !dev && !optional,
    )
    assert.ok(needed.length > 2)
    const builds = needed.filter(([, { hasInstallScript, gypfile }]) => hasInstallScript || gypfile)
    assert.deepEqual(builds, [])
  })
})
