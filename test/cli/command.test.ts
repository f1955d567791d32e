/** What users type, checked; and what they read, laid out. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agent } from '../../src/cli/agent.ts'
import { call } from '../../src/cli/call.ts'
import { type Command, helpOf, readInput, UsageError } from '../../src/cli/command.ts'
import { demo } from '../../src/cli/demo.ts'
import { drill } from '../../src/cli/drill.ts'
import { hostPort } from '../../src/cli/flags.ts'
import { members } from '../../src/cli/members.ts'
import { describeMember, type MemberLine, percent, table, toJson } from '../../src/cli/output.ts'
import { owner } from '../../src/cli/owner.ts'
import { plan } from '../../src/cli/plan.ts'
import { why } from '../../src/cli/why.ts'

const commands: readonly Command[] = [demo, drill, agent, members, owner, why, plan, call]

test('flags and operands are read in any order, repeated flags as a list', () => {
  const input = readInput(agent, ['--tag', 'a=1', '--json', '--tag', 'b=2', '--weight', '0.5'])
  assert.deepEqual(input.texts('tag'), ['a=1', 'b=2'])
  assert.equal(input.on('json'), true)
  assert.equal(input.on('observer'), false)
  assert.equal(input.number('weight', 0, 1), 0.5)
  assert.deepEqual(readInput(call, ['echo', '--via', 'h:1', 'k', '--', '-5']).operands, ['echo', 'k', '-5'])
})

test('what was mistyped is named', () => {
  const wrong: readonly (readonly [Command, readonly string[], RegExp])[] = [
    [members, ['--frob'], /^Unknown option '--frob'$/],
    [members, ['--via'], /'--via <value>' argument missing/],
    [owner, [], /^KEY is missing$/],
    [call, ['echo'], /^KEY is missing$/],
    [drill, [], /^rolling\|crash\|pause\|split is missing$/],
    [owner, ['a', 'b'], /^unexpected "b"$/],
  ]
  for (const [command, args, message] of wrong) {
    assert.throws(() => readInput(command, args), { message })
    assert.throws(() => readInput(command, args), UsageError)
  }
})

test('numbers are in their range, and whole where they must be', () => {
  const input = readInput(demo, ['--nodes', '2.5', '--seconds', ''])
  assert.throws(() => input.integer('nodes', 1, 20), {
    message: '--nodes: expected a whole number, got "2.5"',
  })
  assert.throws(() => input.number('nodes', 3, 20), { message: /expected a number from 3 to 20, got "2.5"/ })
  assert.throws(() => input.number('seconds', 0, 1), { message: /got ""/ })
  assert.equal(readInput(demo, []).integer('nodes', 1, 20), undefined)
})

test('a command refuses what it can before it touches the network', async () => {
  const refused: readonly (readonly [Command, readonly string[], RegExp])[] = [
    [plan, ['--via', 'h:1'], /--add N or --remove NAME is needed/],
    [plan, ['--add', '-1'], /argument is ambiguous|expected a number/],
    [call, ['echo', 'k', '{'], /the body is not JSON/],
    [members, [], /--via is needed/],
    [members, ['--via', 'nowhere'], /expected host:port, got "nowhere"/],
    [agent, ['--tag', 'novalue'], /--tag: expected name=value, got "novalue"/],
    [agent, ['--bind', 'h'], /--bind: expected host:port, got "h"/],
    [agent, ['--log', 'loud'], /--log: expected debug, info, warn, error or silent/],
    [demo, ['--nodes', '1', '--kill'], /--kill needs another process/],
    [drill, ['meteor'], /expected rolling, crash, pause, split, got "meteor"/],
    [drill, ['rolling', '--level', 'exact'], /--level: expected routed, handoff, replicated, got "exact"/],
    [drill, ['rolling', '--copies', '2'], /--copies needs --level replicated/],
    [drill, ['rolling', '--entry', 'none.js'], /--entry: there is no file "none.js"/],
    [drill, ['crash', '--nodes', '1'], /--nodes: expected a number from 2 to 20/],
    [demo, ['--nodes', '0'], /--nodes: expected a number from 1 to 20/],
  ]
  await Promise.all(
    refused.map(([command, args, message]) =>
      assert.rejects(async () => command.run(readInput(command, args)), { message }),
    ),
  )
})

test('addresses split at the last colon; IPv6 stands in brackets', () => {
  assert.deepEqual(hostPort('via', '10.0.0.7:7946'), { host: '10.0.0.7', port: 7946 })
  assert.deepEqual(hostPort('via', '[::1]:0'), { host: '::1', port: 0 })
  for (const text of ['::1:7946', 'h:70000', ':1', 'h:', 'h:1x']) {
    assert.throws(() => hostPort('via', text), UsageError, text)
  }
})

test('the help of every command names all its flags', () => {
  for (const command of commands) {
    const help = helpOf(command)
    assert.ok(help.startsWith(`shoal ${command.name} `))
    for (const flag of Object.keys(command.flags)) assert.ok(help.includes(`--${flag}`), flag)
    assert.ok('json' in command.flags && 'help' in command.flags)
    assert.ok(help.split('\n').every((line) => line.length <= 120))
  }
})

test('tables align their columns, numbers to the right', () => {
  assert.deepEqual(
    table(
      ['name', '>n', ''],
      [
        ['a', '10', 'x'],
        ['bcdef', '7', ''],
      ],
    ),
    ['name    n', 'a      10  x', 'bcdef   7'],
  )
})

test('replies that are no plain JSON are printed all the same', () => {
  assert.equal(
    toJson({ bytes: new Uint8Array([1, 2, 3]), big: 2n ** 70n }),
    '{"bytes":{"base64":"AQID"},"big":"1180591620717411303424"}',
  )
  assert.equal(toJson(undefined), 'null')
  assert.equal(percent(1, 3), 33.3)
  assert.equal(percent(0, 0), 0)
})

test('a change of a member is told with what tells it apart from the one before', () => {
  const joined: MemberLine = {
    type: 'member',
    name: 'bee',
    change: 'joined',
    state: 'alive',
    status: 'joining',
    lag: 0,
    incarnation: 7,
  }
  const updated = { ...joined, change: 'updated' } as const
  const told: readonly (readonly [MemberLine, string])[] = [
    [joined, 'bee is alive, joining (incarnation 7)'],
    [{ ...updated, status: 'ready' }, 'bee is alive, ready (new tags, incarnation 7)'],
    [
      { ...updated, status: 'ready', lag: 250 },
      'bee is alive, ready, 250 ms behind (new tags, incarnation 7)',
    ],
    [{ ...joined, change: 'suspected', state: 'suspect' }, 'bee is suspect, joining (incarnation 7)'],
    [{ ...joined, change: 'died', state: 'dead' }, 'bee is dead (incarnation 7)'],
    [{ ...joined, change: 'left', state: 'left', status: 'draining' }, 'bee has left (incarnation 7)'],
  ]
  for (const [line, text] of told) assert.equal(describeMember(line), text)
})
