/** What `npm start` runs: its promises under a SIGKILL, and that it leaves no process behind. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Show } from '../../src/cli/demo/show.ts'
import { allGone, isRunning, type LineProcess, Processes, Turns } from './processes.ts'

const processes = new Processes()
after(() => processes.close())

test('the demo answers every request of live owners through a SIGKILL and says so in its last line', async (t) => {
  const turns = new Turns()
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
  assert.ok(answeredMs > 0)
  t.diagnostic(`found out after ${summary?.['detectMs']} ms, keys answered by others after ${answeredMs} ms`)
  turns.assertWithin('an answer by another', answeredMs, 3_000)
  assert.equal(summary?.['answeredAfterRestart'], true)
  await allGone(pidsOf(run))
})

test('two processes killed one after the other are both found out and started again', async () => {
  const up: string[] = []
  const show = new Show((event) => {
    if (event.type === 'process' && event.what === 'is ready') up.push(event.name)
  })
  try {
    await show.start(4)
    const ready = up.length
    const first = show.kill(100)
    const second = show.kill(100)
    const inTime = new Promise((_, reject) => {
      setTimeout(reject, 20_000, new Error('not started again')).unref()
    })
    await Promise.race([Promise.all([first, second]), inTime])
    assert.equal(up.length, ready + 2)
  } finally {
    await show.close()
  }
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
