import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SwimNode, SwimResult } from '../../src/sim/swims.ts'
import { SwimWorld } from '../../src/sim/swims.ts'
import { suspicionWindow } from '../../src/swim/suspicion.ts'
import { Lone } from './lone.ts'

type Validated = Extract<SwimResult, { type: 'validated' }>

function world(count: number, seed = 1) {
  const found = new SwimWorld(seed, { profile: 'local' })
  const nodes = found.cluster(count)
  found.run(10_000)
  return { world: found, nodes }
}

function answers(node: SwimNode): Validated[] {
  return node.results.filter((result) => result.type === 'validated')
}

/** Wakes a node as its driver does: what waited in its sockets comes first. */
function wake(node: SwimNode, id = 1): void {
  node.resume()
  node.input({ type: 'validate', id })
}

/** How long the check took; -1 when it did not end. */
function check(found: SwimWorld, node: SwimNode, id = 1): number {
  node.input({ type: 'validate', id })
  return found.runUntil(() => answers(node).some((answer) => answer.id === id), 60_000)
}

test('alone there is nobody to ask, and the view stands at once', () => {
  const { nodes } = world(1)
  nodes[0]!.input({ type: 'validate', id: 7 })
  assert.deepEqual(answers(nodes[0]!), [{ type: 'validated', id: 7, asked: 0, answered: 0 }])
})

test('among live members the check takes a few round trips and more than half of five answers', () => {
  const { world: found, nodes } = world(12)
  const ms = check(found, nodes[3]!)
  assert.ok(ms > 0 && ms < 20, `${ms} ms`)
  assert.deepEqual(answers(nodes[3]!), [{ type: 'validated', id: 1, asked: 5, answered: 3 }])
  const pair = world(2)
  check(pair.world, pair.nodes[0]!)
  assert.deepEqual(answers(pair.nodes[0]!), [{ type: 'validated', id: 1, asked: 1, answered: 1 }])
})

test('a member that was dead to the others has refuted, and is alive to those who answered, before its view is valid', () => {
  const { world: found, nodes } = world(5)
  const [slept] = nodes as [SwimNode, ...SwimNode[]]
  const others = nodes.slice(1)
  slept.pause()
  found.run(20_000)
  for (const other of others) assert.equal(other.stateOf(slept.name), 'dead')
  wake(slept)
  const ms = found.runUntil(() => answers(slept).length > 0, 10_000)
  assert.ok(ms > 0 && ms < 100, `${ms} ms`)
  assert.ok(others.filter((other) => other.stateOf(slept.name) === 'alive').length >= 3)
  found.run(10_000)
  for (const other of others) assert.equal(other.stateOf(slept.name), 'alive')
  assert.deepEqual(
    found.log.filter(({ change, name }) => change === 'died' && name !== slept.name),
    [],
  )
})

test('who holds us dead, or has forgotten us, has no say before it was asked again and holds us alive', () => {
  for (const held of ['dead', 'forgotten'] as const) {
    const lone = new Lone()
    lone.alive('x', 1, 5)
    lone.forget()
    const before = lone.incarnation
    lone.node.input({ type: 'validate', id: 1 })
    lone.answer(held === 'dead' ? [lone.record('me', 9, before, 2)] : [lone.record('x', 1, 5, 0)])
    assert.deepEqual(answers(lone.node), [])
    assert.equal(lone.incarnation, before + 1)
    lone.answer([lone.record('me', 9, lone.incarnation, 0)])
    assert.deepEqual(answers(lone.node), [{ type: 'validated', id: 1, asked: 1, answered: 1 }])
  }
})

test('what changed among the others meanwhile is known before the view is valid', () => {
  const { world: found, nodes } = world(6)
  const slept = nodes[0]!
  slept.pause()
  const newcomer = found.node('newcomer').join(nodes[1]!)
  nodes[2]!.input({ type: 'leave', id: 9, timeoutMs: 5_000 })
  found.run(12_000)
  wake(slept)
  found.runUntil(() => answers(slept).length > 0, 10_000)
  assert.equal(slept.stateOf(newcomer.name), 'alive')
  assert.equal(slept.stateOf('n2'), 'left')
})

test('a member that was forgotten meanwhile comes back with a higher incarnation', () => {
  const { world: found, nodes } = world(4)
  const slept = nodes[0]!
  slept.pause()
  found.run(120_000)
  for (const other of nodes.slice(1)) assert.equal(other.swim.member(slept.name), undefined)
  wake(slept)
  assert.ok(found.runUntil(() => answers(slept).length > 0, 10_000) >= 0)
  assert.ok(answers(slept)[0]!.answered >= 2)
  found.run(10_000)
  for (const other of nodes.slice(1)) assert.equal(other.stateOf(slept.name), 'alive')
})

test('members that slept with us answer too, but are not enough: one that was awake is heard', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { world: found, nodes } = world(5, seed)
    const asleep = nodes.slice(0, 3)
    for (const node of asleep) node.pause()
    found.run(25_000)
    for (const node of asleep) assert.match(nodes[4]!.stateOf(node.name), /dead|unknown/)
    for (const node of asleep) wake(node)
    for (const node of asleep) {
      assert.ok(found.runUntil(() => answers(node).length > 0, 10_000) >= 0)
      // Whoever was awake held it dead: it knows, or it would not have a higher incarnation now.
      const awake = nodes[4]!.swim.member(node.name)
      assert.ok(node.swim.member(node.name)!.incarnation > 1)
      assert.ok(awake !== undefined)
    }
    found.run(10_000)
    for (const node of nodes) assert.equal(node.alive.length, 5, `seed ${seed}: ${node.alive.join()}`)
  }
})

test('if all slept, old views are true ones: they answer each other, and nobody dies', () => {
  const { world: found, nodes } = world(5)
  for (const node of nodes) node.pause()
  found.run(3_600_000)
  for (const node of nodes) wake(node)
  for (const node of nodes) assert.ok(found.runUntil(() => answers(node).length > 0, 10_000) >= 0)
  found.run(30_000)
  assert.deepEqual(
    found.log.filter(({ change }) => change === 'died'),
    [],
  )
  for (const node of nodes) assert.equal(node.alive.length, 5)
})

test('if nobody answers it ends after the shortest suspicion all the same, and tells so', () => {
  const { world: found, nodes } = world(5)
  const cut = nodes[0]!
  found.passes = (from, to) => from !== cut.address && to !== cut.address
  const { minMs } = suspicionWindow(cut.config.timing, 5)
  const ms = check(found, cut)
  assert.equal(Math.round(ms), minMs)
  assert.equal(answers(cut)[0]!.answered, 0)
})

test('processes that are gone have no vote', () => {
  const { world: found, nodes } = world(5)
  for (const node of nodes.slice(1, 4)) node.kill()
  const ms = check(found, nodes[0]!)
  assert.ok(ms < 50, `${ms} ms`)
  assert.equal(answers(nodes[0]!)[0]!.answered, 1)
})

test('one that hangs is replaced, or waited for until the time is up', () => {
  const { world: found, nodes } = world(8)
  nodes[1]!.pause()
  nodes[2]!.pause()
  nodes[3]!.pause()
  const ms = check(found, nodes[0]!)
  assert.ok(ms < 50 + nodes[0]!.config.timing.probeTimeoutMs, `${ms} ms`)
  const three = world(3)
  three.nodes[1]!.pause()
  const longMs = check(three.world, three.nodes[0]!)
  assert.equal(Math.round(longMs), suspicionWindow(three.nodes[0]!.config.timing, 3).minMs)
  assert.equal(answers(three.nodes[0]!)[0]!.answered, 1)
})

test('members of other hosts are asked first', () => {
  const found = new SwimWorld(3, { profile: 'local' })
  const first = found.node('n0', { host: '10.0.0.1', port: 7000 })
  for (let at = 1; at < 12; at++) {
    const host = at < 8 ? '10.0.0.1' : `10.0.0.${at}`
    found.node(`n${at}`, { host, port: 7000 + at }).join(first)
    found.run(20)
  }
  found.run(20_000)
  const asked: string[] = []
  found.onOutput = (node, output) => {
    if (node === first && output.type === 'dial') asked.push(output.to)
  }
  first.input({ type: 'validate', id: 1 })
  assert.equal(asked.length, 5)
  assert.equal(asked.filter((to) => !to.startsWith('10.0.0.1:')).length, 4)
})

test('a later check takes the place of an earlier one; one of a member that leaves ends at once', () => {
  const { world: found, nodes } = world(5)
  const node = nodes[0]!
  node.input({ type: 'validate', id: 1 })
  node.input({ type: 'validate', id: 2 })
  found.run(5_000)
  assert.deepEqual(
    answers(node).map(({ id }) => id),
    [2],
  )
  node.input({ type: 'validate', id: 3 })
  node.input({ type: 'leave', id: 4, timeoutMs: 1_000 })
  node.input({ type: 'validate', id: 5 })
  assert.deepEqual(
    answers(node).map(({ id }) => id),
    [2, 3, 5],
  )
})
