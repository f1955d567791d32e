import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asked, seedsDefault, UsageError } from './arguments.ts'

test('arguments of npm run sim are read, and have defaults', () => {
  const plain = {
    isHelp: false,
    bails: false,
    seed: undefined,
    seeds: seedsDefault,
    from: 1,
    nodes: undefined,
  }
  assert.deepEqual(asked([]), { ...plain, profile: undefined })
  assert.equal(asked(['--help']).isHelp, true)
  assert.equal(asked(['--bail']).bails, true)
  const { seed, profile, nodes } = asked(['--profile', 'route', '--seed', '28', '--nodes', '4'])
  assert.deepEqual([seed, profile, nodes], [28, 'route', { min: 4, max: 4 }])
  const { seeds, from } = asked(['--seeds', '500', '--from', '7'])
  assert.deepEqual([seeds, from], [500, 7])
})

test('arguments of npm run sim without sense are refused, and so is one that would be ignored', () => {
  for (const [args, told] of [
    [['--sedes', '5'], /Unknown option '--sedes'/],
    [['route'], /Unexpected argument 'route'/],
    [['--seed', '3', '--seeds', '5'], /--seed runs one seed again; leave out --seeds/],
    [['--seed', '3', '--from', '5'], /leave out --from/],
    [['--seeds', 'many'], /--seeds takes a whole number, not many/],
    [['--seed', '1e3'], /--seed takes a whole number, not 1e3/],
    [['--nodes', '5-3'], /--nodes takes a range like 3-12, not 5-3/],
  ] as [string[], RegExp][])
    assert.throws(
      () => asked(args),
      (error) => error instanceof UsageError && told.test(error.message),
    )
})
