/**
 * Node's own failure mode, in real processes of the local profile, the tightest: an event loop that is blocked for ten
 * seconds, and a process that is stopped for ten seconds. The first is seen and waited for, the second dies for the
 * others, comes back by itself, and answers for no key before it knows what became of the cluster.
 */
import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { type At, agree, Fleet, type Heard, type NodeProcess, type Told } from '../support/processes.ts'
import { pause, until } from '../support/until.ts'

const fleets: Fleet[] = []
after(() => Promise.all(fleets.map((fleet) => fleet.end())))

const names = ['ant', 'bee', 'cat', 'dog', 'eel']
const keyCount = 400
const sleepMs = 10_000

interface Scene {
  readonly nodes: readonly NodeProcess[]
  readonly owners: readonly (string | undefined)[]
}

async function scene(cluster: string): Promise<Scene> {
  const fleet = new Fleet({ cluster, profile: 'local', joinTimeoutMs: 20_000, stalledAfterMs: 2 * sleepMs })
  fleets.push(fleet)
  const nodes = await fleet.cluster(names)
  return { nodes, owners: await nodes[0]!.owners(keyCount) }
}

function now(): At {
  return performance.timeOrigin + performance.now()
}

function changes({ told }: NodeProcess): (Told & { type: 'member' })[] {
  return told.filter((message) => message.type === 'member')
}

function notices({ told }: NodeProcess): (Told & { type: 'notice' })[] {
  return told.filter((message) => message.type === 'notice')
}

/** Whether all of them see all of them well. */
async function allWell(nodes: readonly NodeProcess[]): Promise<boolean> {
  const views = await Promise.all(nodes.map((node) => node.members()))
  return views.every((view) => view.every(({ lag, status }) => lag === 0 && status === 'ready'))
}

/** Who saw whom die. */
function deaths(nodes: readonly NodeProcess[]): string[] {
  return nodes.flatMap((node) =>
    changes(node)
      .filter(({ change }) => change === 'died')
      .map(({ name }) => `${name} to ${node.name}`),
  )
}

/** The keys of a node, as the load names them. */
function keysOf(owners: Scene['owners'], name: string): string[] {
  return owners.flatMap((owner, index) => (owner === name ? [`key-${index}`] : []))
}

async function sameOwners(nodes: readonly NodeProcess[], owners: Scene['owners']): Promise<void> {
  await agree(nodes)
  for (const node of nodes) assert.deepEqual(await node.owners(keyCount), owners, node.name)
}

// Both mostly wait.
describe('an event loop that does not run', { concurrency: true }, () => {
  test('ten blocked seconds: no peer holds the node dead, all see it lag, and other keys are answered as ever', async (t) => {
    const { nodes, owners } = await scene('blocked')
    const [ant, bee, cat, dog, eel] = nodes as [
      NodeProcess,
      NodeProcess,
      NodeProcess,
      NodeProcess,
      NodeProcess,
    ]
    const others = [ant, cat, dog, eel]
    const load = { keys: keyCount, workers: 4, pauseMs: 5, notOf: 'bee' }
    await Promise.all(others.map((node) => node.load(load)))
    await pause(1_500)
    const before = await Promise.all(others.map((node) => node.unload()))
    await Promise.all(others.map((node) => node.load(load)))

    await until('nobody lags', () => allWell(nodes))
    const blockedAt = await bee.block(sleepMs)
    const seen = (node: NodeProcess, lag: number): At | undefined =>
      changes(node).find((told) => told.name === 'bee' && told.at >= blockedAt && told.lag >= lag)?.at
    await until('all see that bee is stuck', () => others.every((node) => seen(node, 1_000) !== undefined))
    const slowMs = others.map((node) => (seen(node, 250) as At) - blockedAt)
    const stuckMs = others.map((node) => (seen(node, 1_000) as At) - blockedAt)
    const [key = ''] = keysOf(owners, 'bee')
    // On a machine without CPU all of this comes late, and the block may end before the calls do.
    const isInTime = now() - blockedAt < sleepMs / 2
    const [fails, gives, waits] = await Promise.all([
      ant.call({ key, timeoutMs: 15_000, whenStalled: 'fail' }),
      ant.call({ key, timeoutMs: 1_000, whenStalled: 'wait' }),
      ant.call({ key, timeoutMs: 25_000, whenStalled: 'wait' }),
    ])
    const during = await Promise.all(others.map((node) => node.unload()))

    for (const { code, mayHaveRun } of isInTime ? [fails, gives] : []) {
      assert.deepEqual([code, mayHaveRun], ['ERR_SHOAL_OVERLOADED', false])
    }
    assert.ok(waits.node !== undefined, `a call that waits is answered: ${waits.code}`)
    await until('bee is well again', () => allWell(nodes))
    await sameOwners(nodes, owners)
    assert.deepEqual(deaths(nodes), [])
    for (const [at, report] of during.entries()) {
      assert.equal(report.failed, 0, report.failures.join('\n'))
      assert.ok(report.answered > 100, `${others[at]!.name} answered ${report.answered}`)
    }
    const most = (values: readonly number[]): number => Math.round(Math.max(...values))
    t.diagnostic(`lag seen by all after ${most(slowMs)} ms, stuck after ${most(stuckMs)} ms`)
    const times = (reports: typeof before): string =>
      reports.map(({ p50Ms, p99Ms }) => `${p50Ms.toFixed(1)}/${p99Ms.toFixed(1)}`).join(' ')
    t.diagnostic(`p50/p99 of calls for other keys, ms: before ${times(before)}, during ${times(during)}`)
    t.diagnostic(`failing fast took ${Math.round(fails.tookMs)} ms, waiting ${Math.round(waits.tookMs)} ms`)
  })

  test('ten stopped seconds: dead meanwhile, back by itself, accusing nobody, and silent until its view is checked', async (t) => {
    const { nodes, owners } = await scene('stopped')
    const cat = nodes[2] as NodeProcess
    const others = nodes.filter((node) => node !== cat)
    const load = { keys: keyCount, workers: 4, pauseMs: 5 }
    await Promise.all(nodes.map((node) => node.load(load)))
    await pause(1_000)

    const stoppedAt = now()
    cat.signal('SIGSTOP')
    await pause(sleepMs)
    const wokenAt = now()
    cat.signal('SIGCONT')
    const noticed = (code: string): At | undefined =>
      notices(cat).find((told) => told.code === code && told.at >= wokenAt)?.at
    await until('cat has checked its view', () => noticed('validated') !== undefined)
    const pausedAt = noticed('paused') as At
    const validatedAt = noticed('validated') as At
    await agree(nodes)
    const heardOfCat = async (): Promise<Heard[]> => {
      const heard = await Promise.all(nodes.map((node) => node.heard()))
      return heard.flat().filter(({ node }) => node === 'cat')
    }
    await until('cat answers again', async () => (await heardOfCat()).some(({ at }) => at > validatedAt))
    await Promise.all(nodes.map((node) => node.unload()))

    assert.deepEqual(deaths(others).sort(), others.map(({ name }) => `cat to ${name}`).sort())
    assert.deepEqual(deaths([cat]), [])
    for (const node of others) {
      const died = changes(node).find(({ change }) => change === 'died') as Told & { type: 'member' }
      assert.ok(died.at < wokenAt, `${node.name} saw the death after cat had woken`)
    }
    const early = (await heardOfCat()).filter(({ at }) => at >= wokenAt && at < validatedAt)
    assert.deepEqual(early, [], `answers of cat between ${wokenAt} and ${validatedAt}`)
    // No call ran either but one that had passed the gate when the signal came: its answer waited.
    const ran = (await cat.ran()).filter(({ at }) => at >= wokenAt && at < validatedAt)
    assert.deepEqual(
      ran.filter(({ at }) => at > pausedAt),
      [],
      `ran between ${pausedAt} and ${validatedAt}`,
    )
    const mine = new Set(keysOf(owners, 'cat'))
    const elsewhere = (await Promise.all(others.map((node) => node.ran())))
      .flat()
      .filter(({ key, at }) => mine.has(key) && at > stoppedAt && at < validatedAt)
    assert.ok(elsewhere.length > 0, 'the new owners answered meanwhile')
    const { router, gate } = await cat.stats()
    assert.ok(router.gated > 0, 'calls waited at the gate of cat')
    assert.equal(gate.open, true)
    await sameOwners(nodes, owners)
    t.diagnostic(
      `pause noticed ${Math.round(pausedAt - wokenAt)} ms and view checked ${Math.round(validatedAt - wokenAt)} ms after ` +
        `SIGCONT, ${ran.length} calls went on in between; ${router.gated} calls met a shut gate; ` +
        `new owners answered ${elsewhere.length} times for the keys of cat`,
    )
  })
})
