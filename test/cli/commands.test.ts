/** The tools against a cluster of two nodes in this process; each tool is the real command. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { createNode, type ShoalNode } from '../../src/index.ts'
import { type Ended, type Line, type LineProcess, Processes } from '../cluster/processes.ts'

const key = randomBytes(32).toString('base64')
const processes = new Processes()
const nodes: ShoalNode[] = []
let via: string[] = []

before(async () => {
  for (const name of ['ant', 'bee']) {
    const join = nodes.map(({ addresses }) => addresses.gossip)
    const node = createNode({
      name,
      port: 0,
      profile: 'local',
      cluster: 'tools',
      keys: [key],
      tags: { role: name === 'ant' ? 'web' : 'db' },
      join,
    })
    node.handle('echo', (body, context) => ({ key: context.key, body, node: name }))
    node.handle('throws', () => {
      throw new Error('two\nlines')
    })
    await node.start()
    nodes.push(node)
  }
  const [ant] = nodes as [ShoalNode]
  while (ant.ring.members.length < 2) await new Promise((resolve) => ant.once('ownership', resolve))
  via = ['--via', ant.addresses.gossip, '--cluster', 'tools', '--key', key]
})

after(async () => {
  await processes.close()
  await Promise.all(nodes.map((node) => node.close()))
})

const shoal = (...args: string[]): Promise<LineProcess & Ended> => processes.finished(args)

test('members lists address, state, status, lag, tags and share, and not the tool itself', async () => {
  const { code, lines } = await shoal('members', ...via, '--json')
  assert.equal(code, 0)
  assert.deepEqual(
    lines.map(({ name, address, state, status, lag, tags }) => ({ name, address, state, status, lag, tags })),
    nodes.map(({ name, addresses }) => ({
      name,
      address: addresses.gossip,
      state: 'alive',
      status: 'ready',
      lag: 0,
      tags: { role: name === 'ant' ? 'web' : 'db' },
    })),
  )
  assert.ok(Math.abs(lines.reduce((sum, { share }) => sum + Number(share), 0) - 100) < 0.2)
})

test('members without --json is a table', async () => {
  const { code, text, stderr } = await shoal('members', ...via)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  const [head = '', ...rows] = text.trim().split('\n')
  assert.match(head, /^name +address +state +status +lag +share +tags$/)
  assert.equal(rows.length, 2)
  assert.match(rows[0] ?? '', /^ant +127\.0\.0\.1:\d+ +alive +ready +- +\d+\.\d% +role=web$/)
})

test('owner and why answer as the members do', async () => {
  const [ant] = nodes as [ShoalNode]
  const { lines } = await shoal('owner', 'user-42', ...via, '--json')
  const { partition, owner, owners, candidates } = ant.why('user-42')
  assert.deepEqual(lines, [{ key: 'user-42', partition, owner, owners }])
  const why = await shoal('why', 'user-42', ...via, '--json')
  assert.deepEqual(why.lines, [{ key: 'user-42', partition, owner, owners, candidates }])
  const plain = await shoal('why', 'user-42', ...via)
  assert.match(plain.text, new RegExp(`1 +${candidates[0]?.name}`))
  const [, second] = owners
  assert.match(plain.text, new RegExp(`^next owners, should it go: ${second}$`, 'm'))
})

test('plan shows what would move, from whom to whom, and the loads before and after', async () => {
  const [ant] = nodes as [ShoalNode]
  const { partitions } = ant.ring
  const { lines } = await shoal('plan', '--add', '1', ...via, '--json')
  assert.deepEqual(lines, [{ ...ant.plan({ add: 1 }), partitions }])
  const plain = await shoal('plan', '--remove', 'bee', ...via)
  assert.match(plain.text, /bee +ant +\d+/)
})

test('call runs on the owner and prints key, owner and reply', async () => {
  const [ant] = nodes as [ShoalNode]
  const name =
    ['user-1', 'user-2', 'user-3', 'user-4'].find((found) => ant.owner(found) === 'bee') ?? 'user-1'
  const owner = ant.owner(name)
  const { code, lines } = await shoal('call', 'echo', name, '{"n":[1,"ä"]}', ...via, '--json')
  assert.equal(code, 0)
  assert.deepEqual(lines, [{ key: name, owner, reply: { key: name, body: { n: [1, 'ä'] }, node: owner } }])
})

test('no tool moves a partition', () => {
  for (const node of nodes) assert.deepEqual(node.ring.members, ['ant', 'bee'])
})

test('what cannot work is one clear line on stderr, nothing on stdout, and a code that says whose fault', async () => {
  const wrong: readonly (readonly [args: readonly string[], code: number, says: RegExp])[] = [
    [['frobnicate'], 2, /^shoal: no command "frobnicate"/],
    [['members'], 2, /^shoal members: --via is needed/],
    [['agent', '--profile', 'moon'], 1, /profile: expected local, lan or wan/],
    [['members', '--via', '127.0.0.1:1', '--timeout', '300'], 1, /127\.0\.0\.1:1: refused/],
  ]
  for (const [args, expected, says] of wrong) {
    const { code, lines, text, stderr } = await shoal(...args)
    assert.deepEqual({ code, lines, text }, { code: expected, lines: [], text: '' })
    assert.equal(stderr.trim().split('\n').length, 1)
    assert.match(stderr, says)
  }
})

test('an agent that the cluster refuses says so and tells of nobody alive, least of all of itself', async () => {
  const { code, lines, text, stderr } = await shoal(
    ...['agent', '--name', 'bee', '--bind', '127.0.0.1:0', '--join', via[1] ?? '', ...via.slice(2)],
  )
  assert.deepEqual({ code, lines, text }, { code: 1, lines: [], text: '' })
  assert.match(stderr, /nameTaken \(bee is held by a live member/)
})

test('an agent tells of others with change and status, and of itself once it is ready', async () => {
  const cat = processes.agent('cat', [
    '--bind',
    '127.0.0.1:0',
    '--observer',
    '--join',
    via[1] ?? '',
    ...via.slice(2),
  ])
  await cat.ready()
  const { lines } = await shoal('members', '--via', cat.gossip, ...via.slice(2), '--json')
  assert.ok(lines.some(({ name }) => name === 'cat'))
  const isTool = ({ name }: Line): boolean => String(name).startsWith('tool-')
  await cat.until('the tool was there', () => cat.lines.some(isTool))
  const [arrival] = cat.lines.filter(isTool)
  assert.deepEqual(
    [arrival?.['change'], arrival?.['state'], arrival?.['status'], arrival?.['lag']],
    ['joined', 'alive', 'observer', 0],
  )
  const ready = cat.lines.findIndex(({ type }) => type === 'ready')
  const own = cat.lines.findIndex(({ type, name }) => type === 'member' && name === 'cat')
  assert.ok(own > ready)
  assert.deepEqual([cat.lines[own]?.['change'], cat.lines[own]?.['status']], ['joined', 'observer'])
  cat.send('SIGTERM')
  assert.equal((await cat.ended).code, 0)
})

test('a --via that names an RPC port is told so', async () => {
  const [ant] = nodes as [ShoalNode]
  const { code, stderr } = await shoal(
    'members',
    '--via',
    ant.addresses.rpc,
    ...via.slice(2),
    '--timeout',
    '300',
  )
  assert.equal(code, 1)
  assert.match(stderr, /closed \(.*RPC port/)
})

test('failures of a call keep their code and stay on one line', async () => {
  const missing = await shoal('call', 'nope', 'k', ...via)
  assert.equal(missing.code, 1)
  assert.match(missing.stderr, /^shoal call: "(ant|bee)" has no handler for method "nope".*\n$/)
  const thrown = await shoal('call', 'throws', 'k', ...via)
  assert.match(thrown.stderr, /^shoal call: .*two lines\n$/)
  const stranger = await shoal('plan', '--remove', 'nobody', ...via)
  assert.match(stranger.stderr, /"nobody" is not on the ring/)
})

test('the overview and a command explain themselves', async () => {
  const overview = await shoal('--help')
  assert.equal(overview.code, 0)
  for (const name of ['demo', 'agent', 'members', 'owner', 'why', 'plan', 'call']) {
    assert.match(overview.text, new RegExp(`^ {2}${name} `, 'm'))
  }
  const help = await shoal('call', '--help')
  assert.equal(help.code, 0)
  assert.match(help.text, /^shoal call METHOD KEY \[JSON\] \[flags\]\n/)
})
