/** Drills as users run them: the command, with processes of its own. */
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { after, suite, test } from 'node:test'
import { allGone, type Line, type LineProcess, Processes } from '../cluster/processes.ts'

const processes = new Processes()
after(() => processes.close())
const cart = resolve(import.meta.dirname, '../../examples/drill/cart.js')
const doubling = resolve(import.meta.dirname, '../support/drilled.js')
const noService = resolve(import.meta.dirname, '../support/until.js')
const runMs = 60_000

function pidsOf({ lines }: LineProcess): number[] {
  return [...new Set(lines.flatMap(({ type, pid }) => (type === 'process' && pid ? [Number(pid)] : [])))]
}

function summaryOf({ lines }: LineProcess): Line {
  const last = lines.at(-1)
  assert.equal(last?.type, 'summary')
  return last ?? {}
}

suite('a drill', { concurrency: true }, () => {
  test("a rolling restart of a user's service keeps what its level promises", async () => {
    const args = ['--nodes', '2', '--keys', '50', '--rate', '300', '--entry', cart, '--json']
    const run = await processes.finished(['drill', 'rolling', ...args], runMs)
    const summary = summaryOf(run)
    assert.deepEqual([run.code, run.stderr], [0, ''])
    const { kept, failed, lost, doubled, unread, steps, rounds, unexpectedExits } = summary
    assert.deepEqual(
      { kept, failed, lost, doubled, unread, steps, rounds, unexpectedExits },
      { kept: true, failed: 0, lost: 0, doubled: 0, unread: 0, steps: 2, rounds: 1, unexpectedExits: 0 },
    )
    assert.deepEqual(summary['promised'], ['failed', 'lost', 'doubled'])
    assert.ok(Number(summary['calls']) > 100)
    assert.ok(Number(summary['maxUnavailableMs']) > 0)
    const steps2 = run.lines.filter(({ type }) => type === 'step')
    assert.deepEqual(
      steps2.map(({ names }) => names),
      [['node-1'], ['node-2']],
    )
    await allGone(pidsOf(run))
  })

  test('a promise that does not hold is exit code 1, and told with an example', async () => {
    const args = ['--nodes', '2', '--keys', '10', '--away', '0.1', '--entry', doubling]
    const run = await processes.finished(['drill', 'pause', ...args], runMs)
    assert.equal(run.code, 1)
    assert.match(run.text, /key-\d+ has \d+ updates too many\n/)
    assert.match(run.text, /level handoff, a pause: none is applied twice: NOT KEPT\n$/)
  })

  test('Ctrl-C ends it at once and leaves no process behind, not even a stopped one', async () => {
    const run = processes.run([
      'drill',
      'pause',
      '--nodes',
      '2',
      '--away',
      '60',
      '--entry',
      doubling,
      '--json',
    ])
    await run.until('one is stopped', () => run.lines.some(({ what }) => what === 'stopped (SIGSTOP)'))
    const pids = pidsOf(run)
    assert.equal(pids.length, 3)
    run.send('SIGINT')
    assert.equal((await run.ended).code, 130)
    assert.equal(run.stderr, 'shoal drill: interrupted\n')
    await allGone(pids)
  })

  test('a module that exports no service is one clear line', async () => {
    const run = await processes.finished(['drill', 'rolling', '--entry', noService], runMs)
    assert.equal(run.code, 1)
    assert.match(run.stderr, /^shoal drill: client-1 did not start: \S+ exports no function "start"; .*\n$/)
  })
})
