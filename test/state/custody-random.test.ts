/** Thousands of random interleavings of joins, leaves, deaths, lost messages and views that disagree. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { World, type WorldOptions } from './custody-world.ts'

const names = ['a', 'b', 'c', 'd', 'e']

/** Changes and calls at random, then quiet; the world as it is then. */
function play(options: WorldOptions, { kills = false, cuts = 0, changes = 8 } = {}): World {
  const world = new World(options)
  const { random } = world
  if (process.env['SHOAL_LOG'] !== undefined) world.log = console.log
  for (const name of names.slice(0, 1 + random.below(4))) world.start(name)
  const mark = (): void => {
    for (let i = 0; i < 3; i += 1) world.mark(random.below(options.partitions))
    if (world.now < 1_500) world.at(1 + random.fraction() * 4, mark)
  }
  mark()
  for (let i = 0; i < changes; i += 1) {
    world.at(random.fraction() * 1_500, () => {
      const name = random.pick(names)
      const member = world.members.find((other) => other.name === name)
      if (member === undefined) {
        // Who is killed while another one joins is known to that one, as it would be from its first exchange of views.
        world.start(name, !kills && random.chance(0.5) ? 'ready' : 'joining')
      } else if (member.status === 'joining') world.become(name, 'ready')
      else if (kills && random.chance(0.5)) {
        if (random.chance(0.5) && world.members.length > 1) world.restart(name)
        else world.kill(name)
      } else if (member.status === 'ready') world.become(name, 'draining')
      else if (world.nodes.get(name)?.custody.held === 0) world.kill(name)
      else world.become(name, 'ready')
    })
  }
  for (let i = 0; i < cuts; i += 1) {
    const [from, to] = [random.pick(names), random.pick(names)]
    const both = random.chance(0.7)
    world.at(random.fraction() * 1_400, () => {
      world.cuts.add(`${from} ${to}`)
      if (both) world.cuts.add(`${to} ${from}`)
    })
  }
  world.run(1_500)
  world.cuts.clear()
  world.calmAt = world.now
  if (!world.members.some(({ status }) => status === 'ready')) {
    if (world.nodes.has('a')) world.become('a', 'ready')
    else world.start('a')
  }
  world.run(60_000)
  return world
}

const seeds = Number(process.env['SHOAL_SEEDS'] ?? 150)
const first = Number(process.env['SHOAL_SEED'] ?? 1)

function each(what: string, run: (seed: number) => void): void {
  test(what, () => {
    for (let seed = first; seed < first + seeds; seed += 1) {
      try {
        run(seed)
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
      }
    }
  })
}

each('without deaths and losses one node at a time has a partition, and nothing is lost', (seed) => {
  const world = play({ partitions: 12, seed, slow: 0.1 })
  world.settled()
  assert.deepEqual(world.missing(), [])
})

each('the same when messages and their answers get lost', (seed) => {
  const world = play({ partitions: 8, seed, loss: 0.2, slow: 0.2 })
  world.settled()
  assert.deepEqual(world.missing(), [])
})

each('the same for stores that are copied only while frozen, and refuse some of what comes', (seed) => {
  const world = play({ partitions: 8, seed, loss: 0.05, copiesLive: false, unreadable: 0.2 })
  world.settled()
  assert.deepEqual(world.missing(), [])
})

each('whoever dies takes with it only what it held, and that is told', (seed) => {
  const world = play({ partitions: 8, seed, loss: 0.05, slow: 0.1 }, { kills: true })
  world.settled()
  assert.deepEqual(world.missing(), [])
  if (!world.wasOwnerless) assert.deepEqual(world.untold(), [])
})

each(
  'no two have a partition where some do not reach each other, and whoever leaves has given what it had',
  (seed) => {
    const world = play({ partitions: 8, seed, loss: 0.05, slow: 0.1 }, { cuts: 20, changes: 30 })
    world.settled()
    assert.deepEqual(world.missing(), [])
  },
)
