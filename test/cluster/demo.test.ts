/** What `npm start` runs: its promises under a SIGKILL, and that it leaves no process behind. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { allGone, isRunning, type LineProcess, Processes } from './processes.ts'

const processes = new Processes()
after(() => processes.close())

test('the demo answers every request of live owners through a SIGKILL and says so in its last line', async () => {
  const run = await processes.finished(
    ['demo', '--nodes', '5', '--seconds', '10', '--kill', '--json'],
    60_000,
  )
  const summary = run.lines.at(-1)
  assert.equal(run.code, 0, `${JSON.stringify(summary)} ${run.stderr}`)
  assert.equal(summary?.type, 'summary')
  assert.equal(summary?.['failedOnLiveOwners'], 0)
  assert.ok(Number(summary?.['requests']) > 1_000)
  assert.ok(Number(summary?.['moved']) > 0)
  assert.ok(Number(summary?.['detectMs']) > 0)
  const answeredMs = Number(summary?.['answeredByOthersMs'])
  assert.ok(answeredMs > 0 && answeredMs < 3_000, `answered by others after ${answeredMs} ms`)
  assert.equal(summary?.['answeredAfterRestart'], true)
  await allGone(pidsOf(run))
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
  test(`no process is left after ${signal} to the parent, not even a stopped one`, async () => {
    const run = processes.run(['demo', '--nodes', '3', '--json'])
    await run.until('load is on', () => run.lines.some(({ type }) => type === 'load'))
    const pids = pidsOf(run)
    assert.equal(pids.length, 3)
    assert.ok(pids.every(isRunning))
    process.kill(pids[1] as number, 'SIGSTOP')
    run.send(signal)
    const { code } = await run.ended
    assert.equal(code, signal === 'SIGKILL' ? null : 0)
    await allGone(pids)
  })
}

function pidsOf({ lines }: LineProcess): number[] {
  return [...new Set(lines.flatMap(({ type, pid }) => (type === 'process' && pid ? [Number(pid)] : [])))]
}
