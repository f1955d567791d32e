/** How a process ends on signals: real processes, a stand-in for the node where each way to end must be had. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { suite, test } from 'node:test'
import { isShoalError, leaveOnSignals } from '../../src/index.ts'
import type { Leaving } from '../support/leaving.ts'

const program = resolve(import.meta.dirname, '../support/leaving.js')

interface Ended {
  readonly code: number | null
  readonly lines: readonly string[]
  readonly stderr: string
}

/** Starts it, sends the signals one after the other, each after a line it waits for, and tells how it ended. */
async function end(
  options: Leaving,
  signals: readonly (readonly [NodeJS.Signals, string])[],
): Promise<Ended> {
  const child = spawn(process.execPath, [program, JSON.stringify(options)], { timeout: 15_000 })
  const lines: string[] = []
  let stderr = ''
  const left = [...signals]
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line)
    while (left[0] !== undefined && line.startsWith(left[0][1])) child.kill(left.shift()?.[0])
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, lines, stderr }
}

suite('a process', { concurrency: true }, () => {
  test('a signal runs what comes before, leaves within the time, runs what comes after, and ends with 0', async () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { code, lines, stderr } = await end({}, [[signal, 'ready']])
      assert.deepEqual(lines, ['ready', `before ${signal}`, 'leave true', 'after'])
      assert.deepEqual([code, stderr], [0, ''])
    }
  })

  test('a second signal closes at once, with the code of a process that a signal has ended', async () => {
    const { code, lines, stderr } = await end({ leaveMs: -1 }, [
      ['SIGTERM', 'ready'],
      ['SIGINT', 'leave'],
    ])
    assert.deepEqual(lines, ['ready', 'before SIGTERM', 'leave true', 'close'])
    assert.equal(code, 130)
    assert.match(stderr, /^shoal: solo closes at once on a second signal: SIGINT\n$/)
  })

  test('the same signal twice at once is one: npm passes on a Ctrl-C that the terminal has sent already', async () => {
    const { code, lines } = await end({ leaveMs: 50 }, [
      ['SIGINT', 'ready'],
      ['SIGINT', 'before'],
    ])
    assert.deepEqual(lines, ['ready', 'before SIGINT', 'leave true', 'after'])
    assert.equal(code, 0)
  })

  test('what fails on the way is told in a line and ends with 1, and the rest is done all the same', async () => {
    const { code, lines, stderr } = await end({ beforeFails: true, leaveFails: true }, [['SIGTERM', 'ready']])
    assert.deepEqual(lines, ['ready', 'before SIGTERM', 'leave true', 'after'])
    assert.equal(code, 1)
    assert.match(stderr, /^shoal: .*server was closed\nshoal: .*no way out\n$/)
  })

  test('what was left behind is told in a line and ends with 1', async () => {
    const leftBehind = [{ store: 'cart', partitions: 2, keys: 3, bytes: 40 }]
    const { code, stderr } = await end({ leftBehind }, [['SIGTERM', 'ready']])
    assert.equal(code, 1)
    assert.match(stderr, /^shoal: solo left state behind, which is lost: \[{"store":"cart",.*\n$/)
  })

  test('whatever hangs, the process ends within two seconds after its time', async () => {
    const startedAt = performance.now()
    const { code, stderr } = await end({ timeoutMs: 100, leaveMs: -1, afterHangs: true }, [
      ['SIGTERM', 'ready'],
    ])
    assert.equal(code, 1)
    assert.match(stderr, /not done after|did not end in time/)
    assert.ok(performance.now() - startedAt < 14_000)
  })
})

test('wrong options throw at once, and the listeners come off again', () => {
  const node = { name: 'solo', leave: async () => ({ leftBehind: [] }), close: async () => {} }
  const signals = [['SIGKILL'], ['TERM']].map((one) => ({ signals: one }))
  const wrong = [...signals, { timeoutMs: 0 }, { timeoutMs: Number.NaN }, { timeout: 3 }]
  for (const options of wrong) {
    assert.throws(
      () => leaveOnSignals(node, options as never),
      (error) => isShoalError(error) && error.code === 'ERR_SHOAL_OPTION',
    )
  }
  const before = process.listenerCount('SIGTERM')
  const stop = leaveOnSignals(node)
  assert.equal(process.listenerCount('SIGTERM'), before + 1)
  stop()
  assert.equal(process.listenerCount('SIGTERM'), before)
})
