/**
 * Whole nodes under keyed load of which one, or several, do not run for a while: stopped, suspended or blocked, with
 * membership in a thread and in the main loop. Over seeds: who answers which key when, who dies, and what callers hear.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createNode, isShoalError, type NodeOptions, type ShoalNode } from '../../src/index.ts'
import { type SimProcess, Simulation } from '../../src/sim/index.ts'
import { settled } from './nodes.ts'

const keys = Array.from({ length: 40 }, (_, index) => `key-${index}`)

/** A small table, quick to compute. */
const ring = { partitions: 256, points: 64, bound: 1.25 }

/** A cluster under load, and all that happens in it. */
class Scene {
  readonly sim: Simulation
  readonly nodes: readonly SimProcess<ShoalNode>[]
  /** Which node answered for which key, and when. */
  readonly ran: { readonly node: string; readonly key: string; readonly at: number }[] = []
  /** Whose answer reached a caller, and when. */
  readonly heard: {
    readonly node: string
    readonly caller: string
    readonly begunAt: number
    readonly at: number
  }[] = []
  /** `observer: member`. */
  readonly deaths: string[] = []
  /** Codes of notices, with their times. */
  readonly notices: { readonly node: string; readonly code: string; readonly at: number }[] = []
  readonly failures: {
    readonly at: number
    readonly key: string
    readonly code: string
    readonly mayHaveRun: boolean
  }[] = []
  calls = 0
  answers = 0
  #next = 0

  constructor(seed: number, count: number, thread: boolean, options: NodeOptions = {}) {
    this.sim = new Simulation({ seed })
    const names = Array.from({ length: count }, (_, index) => `n${index + 1}`)
    const join = names.slice(0, 3).map((name) => `${name}:7946`)
    this.nodes = names.map((name) =>
      this.sim.spawn(name, (self) => this.#start(self, { profile: 'local', join, ring, ...options }), {
        thread,
      }),
    )
  }

  async #start({ name, host, env }: SimProcess, options: NodeOptions): Promise<ShoalNode> {
    const node = createNode({ name, host, env, ...options })
    node.handle('where', async (_: unknown, { key = '' }) => {
      this.ran.push({ node: name, key, at: this.sim.now })
      // Handlers take their time: some are at work when their process is stopped.
      await new Promise<void>((resolve) => env.clock.setTimer(this.ran.length % 60, resolve))
      return name
    })
    node.on('member', (change, member) => {
      if (change === 'died') this.deaths.push(`${name}: ${member.name}`)
    })
    node.on('notice', ({ code }) => this.notices.push({ node: name, code, at: this.sim.now }))
    await node.start()
    return node
  }

  async ready(): Promise<void> {
    await this.sim.settle(Promise.all(this.nodes.map(({ started }) => started)), 30_000)
    await this.sim.until(() => settled(this.nodes), 30_000)
    this.ran.length = 0
  }

  /** What that node did for keys from `from` until it had checked its view: calls begun, and answers that were heard. */
  early(node: string, from: number): { readonly ran: number; readonly heard: number } {
    const to = this.validatedAt(node, from)
    const within = (event: { node: string; at: number }): boolean =>
      event.node === node && event.at >= from && event.at < to
    return { ran: this.ran.filter(within).length, heard: this.heard.filter(within).length }
  }

  /** Time passes under load: a call from every process that runs, each 25 ms. */
  async load(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 25) {
      for (const process of this.nodes) if (process.state === 'running') this.#call(process)
      await this.sim.run(25)
    }
  }

  /** So many calls from each at once, and a moment in which some of them are answered. */
  async burst(calls: number): Promise<void> {
    for (let call = 0; call < calls; call++) for (const process of this.nodes) this.#call(process)
    await this.sim.run(10)
  }

  #call(process: SimProcess<ShoalNode>): void {
    const key = keys[this.#next++ % keys.length] as string
    this.calls++
    const begunAt = this.sim.now
    const done = process.run((node) => node.request({ method: 'where', key, timeoutMs: 4_000 }))
    done.then(
      (node) => {
        this.answers++
        this.heard.push({ node: node as string, caller: process.name, begunAt, at: this.sim.now })
      },
      (error: unknown) => {
        assert.ok(isShoalError(error), String(error))
        const { code, mayHaveRun } = error
        this.failures.push({ at: this.sim.now, key, code, mayHaveRun })
      },
    )
  }

  /** When that node's view was first checked after `from`. */
  validatedAt(node: string, from: number): number {
    return (
      this.notices.find((told) => told.node === node && told.code === 'validated' && told.at >= from)?.at ??
      Infinity
    )
  }

  async end(): Promise<void> {
    await this.sim.run(30_000)
    assert.equal(this.answers + this.failures.length, this.calls, 'every call settles once')
    assert.ok(settled(this.nodes), 'one ring of all')
  }
}

test('a stopped process answers for no key before its view is checked, and nobody else dies', async () => {
  let gated = 0
  for (let seed = 1; seed <= 6; seed++) {
    const scene = new Scene(seed, 5, seed % 2 === 0)
    await using sim = scene.sim
    await scene.ready()
    await scene.load(500)
    const slept = scene.nodes[2]!
    slept.pause()
    await scene.load(9_000 + 500 * seed)
    const wokenAt = sim.now
    slept.resume()
    await scene.load(4_000)
    const validatedAt = scene.validatedAt('n3', wokenAt)
    assert.ok(validatedAt - wokenAt < 1_000, `seed ${seed}: ${validatedAt - wokenAt} ms`)
    assert.deepEqual(scene.early('n3', wokenAt), { ran: 0, heard: 0 }, `seed ${seed}`)
    assert.ok(scene.ran.some(({ node, at }) => node === 'n3' && at >= validatedAt))
    assert.deepEqual(new Set(scene.deaths), new Set(['n1: n3', 'n2: n3', 'n4: n3', 'n5: n3']))
    gated += (
      await sim.settle(
        slept.run((node) => node.stats()),
        1_000,
      )
    ).router.gated
    await scene.end()
  }
  assert.ok(gated > 6, `${gated} calls met a shut gate`)
})

test('what was at work when a nap began is told after the view is checked, to peers and to callers at home', async () => {
  const told = new Set<string>()
  for (let seed = 1; seed <= 6; seed++) {
    const scene = new Scene(seed, 4, seed % 2 === 0)
    await using sim = scene.sim
    await scene.ready()
    await scene.load(500)
    const napped = scene.nodes[1]!
    await scene.burst(40)
    if (seed % 3 === 0) napped.stall(1_200)
    else napped.pause()
    // Without further calls nothing but the gate lets go of what waits.
    const pass = (ms: number): Promise<unknown> => (seed <= 3 ? sim.run(ms) : scene.load(ms))
    await pass(1_200)
    const wokenAt = sim.now
    if (seed % 3 !== 0) napped.resume()
    await pass(2_000)
    assert.deepEqual(scene.early('n2', wokenAt), { ran: 0, heard: 0 }, `seed ${seed}`)
    const validatedAt = scene.validatedAt('n2', wokenAt)
    for (const { node, caller, begunAt, at } of scene.heard) {
      if (node === 'n2' && begunAt < wokenAt && at >= validatedAt)
        told.add(caller === 'n2' ? 'home' : 'peers')
    }
    assert.deepEqual(scene.deaths, [])
    await scene.end()
    assert.deepEqual(scene.failures, [], `seed ${seed}`)
  }
  assert.deepEqual([...told].sort(), ['home', 'peers'])
})

test('three of five that were stopped together hear of it from those who were awake', async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const scene = new Scene(seed, 5, seed % 2 === 0)
    await using sim = scene.sim
    await scene.ready()
    const asleep = scene.nodes.slice(0, 3)
    for (const process of asleep) process.pause()
    await scene.load(25_000)
    const wokenAt = sim.now
    for (const process of asleep) process.resume()
    await scene.load(5_000)
    for (const { name } of asleep) {
      const validatedAt = scene.validatedAt(name, wokenAt)
      assert.ok(validatedAt - wokenAt < 3_500, `seed ${seed}, ${name}: ${validatedAt - wokenAt} ms`)
      assert.deepEqual(scene.early(name, wokenAt), { ran: 0, heard: 0 }, `seed ${seed}`)
    }
    const wrong = scene.deaths.filter((death) => /: n[45]$/.test(death))
    assert.deepEqual(wrong, [], `seed ${seed}: those who slept accuse nobody`)
    await scene.end()
  }
})

test('a cluster that was stopped as a whole goes on as it was', async () => {
  const scene = new Scene(5, 4, true)
  await using sim = scene.sim
  await scene.ready()
  const digest = scene.nodes[0]!.value!.ring.digest
  for (const process of scene.nodes) process.pause()
  await sim.run(3_600_000)
  for (const process of scene.nodes) process.resume()
  await scene.load(5_000)
  assert.deepEqual(scene.deaths, [])
  assert.equal(scene.nodes[3]!.value!.ring.digest, digest)
  await scene.end()
})

test('a suspended machine, of which only the wall clock tells, checks its view before the next key', async () => {
  for (const thread of [true, false]) {
    const scene = new Scene(6, 4, thread)
    await using sim = scene.sim
    await scene.ready()
    scene.nodes[1]!.jumpClock(3_600_000)
    const at = sim.now
    await scene.load(2_000)
    const validatedAt = scene.validatedAt('n2', at)
    assert.ok(validatedAt < at + 500, `${validatedAt - at} ms`)
    assert.deepEqual(scene.early('n2', at), { ran: 0, heard: 0 })
    // An hour back hides nothing and costs nothing.
    scene.nodes[2]!.jumpClock(-3_600_000)
    await scene.load(1_000)
    assert.equal(scene.validatedAt('n3', at), Infinity)
    assert.deepEqual(scene.deaths, [])
    await scene.end()
  }
})

test('a blocked loop: callers hold back, nobody dies; past the limit its keys move, and come back', async () => {
  for (let seed = 1; seed <= 3; seed++) {
    const scene = new Scene(seed, 5, true, { stalledAfterMs: 5_000 })
    await using sim = scene.sim
    await scene.ready()
    await scene.load(500)
    const [first] = scene.nodes as [SimProcess<ShoalNode>]
    const owner = first.value!.owners('key-0', 1)[0] as string
    const blocked = scene.nodes.find(({ name }) => name === owner) as SimProcess<ShoalNode>
    const watcher = scene.nodes.find((process) => process !== blocked) as SimProcess<ShoalNode>
    const at = sim.now
    blocked.stall(12_000)
    await scene.load(3_000)
    const lag = (): number | undefined => watcher.value!.members.find(({ name }) => name === owner)?.lag
    assert.equal(lag(), 1_000)
    await scene.load(4_000)
    assert.notEqual(watcher.value!.owner('key-0'), owner, 'it has given its partitions up')
    await scene.load(12_000)
    assert.deepEqual(scene.deaths, [])
    assert.equal(watcher.value!.owner('key-0'), owner, 'and has them back')
    assert.equal(lag(), 0)
    // What was in flight when it began may have run; of what was made later, nothing that failed has.
    const late = scene.failures.filter((failed) => failed.mayHaveRun && failed.at > at + 6_000)
    assert.deepEqual(late, [], `seed ${seed}`)
    await scene.end()
  }
})
