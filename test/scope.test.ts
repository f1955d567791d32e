/** What the calls of a handler inherit, on whole nodes in virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemEnv } from '../src/host/env.ts'
import { createNode, ShoalError, type ShoalErrorCode } from '../src/index.ts'
import { currentScope, runInScope, runOutside, type Scope } from '../src/scope.ts'
import { sleep, Trio } from './sim/trio.ts'

const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const form = /^00-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})$/

function failed(error: unknown, code: ShoalErrorCode, mayHaveRun: boolean): ShoalError {
  assert.ok(error instanceof ShoalError, String(error))
  assert.deepEqual([error.code, error.mayHaveRun], [code, mayHaveRun], error.message)
  return error
}

const scope: Scope = {
  key: undefined,
  method: 'm',
  remainingMs: 1,
  trace: undefined,
  tracestate: undefined,
  abandoned: undefined,
  adopt() {},
  release() {},
}

test('the scope is where the code is, through awaits and timers, and nowhere outside', async () => {
  assert.equal(currentScope(), undefined)
  const inside = runInScope(scope, async () => {
    await Promise.resolve()
    const later = new Promise((resolve) => setImmediate(() => resolve(currentScope())))
    return [currentScope(), await later, runOutside(currentScope)]
  })
  assert.equal(currentScope(), undefined)
  assert.deepEqual(await inside, [scope, scope, undefined])
})

test('what begins outside stays outside', async () => {
  const later = runInScope(scope, () =>
    runOutside(() => new Promise((resolve) => setImmediate(() => resolve(currentScope())))),
  )
  assert.equal(await later, undefined)
})

test('a listener of events works for nobody, though a handler brought the news', async () => {
  let skewMs = 0
  const { clock: real } = systemEnv
  const clock = { ...real, now: () => real.now() + skewMs, wallTime: () => real.wallTime() + skewMs }
  const env = { clock, random: systemEnv.random, network: systemEnv.network }
  const node = createNode({ name: 'n', port: 0, profile: 'local', env })
  const heard: { code: string; scope: Scope | undefined }[] = []
  node.on('notice', ({ code }) => heard.push({ code, scope: currentScope() }))
  node.handle('later', () => {})
  node.handle('wakes', () => {
    const before = heard.length
    skewMs += 5_000
    // The first keyed call after the jump finds out that this process did not run.
    void node.request({ method: 'later', key: 'k' }).catch(() => {})
    return heard.length - before
  })
  await node.start()
  const told = await node.request({ method: 'wakes', to: 'n', timeoutMs: 60_000 }).finally(() => node.close())
  assert.ok((told as number) > 0)
  for (const { code, scope: itsScope } of heard) assert.equal(itsScope, undefined, code)
})

test('a call within a call has what remains of it at most, however deep, and its own timeout where that is less', async () => {
  const remaining: Record<string, number> = {}
  await using trio = await Trio.start({
    first: async (node, context) => {
      remaining['first'] = context.remainingMs
      await sleep(node, 400)
      await node.request({ method: 'second', to: 'n3' })
    },
    second: async (node, context) => {
      remaining['second'] = context.remainingMs
      await sleep(node, 100)
      await node.request({ method: 'third', to: 'n1', timeoutMs: 3_000 })
      await node.request({ method: 'short', to: 'n1', timeoutMs: 50 })
    },
    third: (_node, context) => {
      remaining['third'] = context.remainingMs
    },
    short: (_node, context) => {
      remaining['short'] = context.remainingMs
    },
  })
  const { error } = await trio.outcome(trio.call({ method: 'first', to: 'n2', timeoutMs: 1_000 }))
  assert.equal(error, undefined)
  assert.ok(within(remaining['first'], 900, 1_000), `first: ${remaining['first']}`)
  assert.ok(within(remaining['second'], 500, 600), `second: ${remaining['second']}`)
  assert.ok(within(remaining['third'], 400, 500), `third: ${remaining['third']}`)
  assert.ok(within(remaining['short'], 1, 50), `short: ${remaining['short']}`)
})

function within(value: number | undefined, least: number, most: number): boolean {
  return value !== undefined && value >= least && value <= most
}

test('a call within a call whose deadline has passed is not sent, and says so', async () => {
  let ran = 0
  const errors: unknown[] = []
  await using trio = await Trio.start({
    late: async (node, { remainingMs }) => {
      await sleep(node, remainingMs + 5)
      await node.request({ method: 'never', to: 'n3' }).catch((error: unknown) => errors.push(error))
    },
    never: () => {
      ran++
    },
  })
  const { error } = await trio.outcome(trio.call({ method: 'late', to: 'n2', timeoutMs: 200 }))
  failed(error, 'ERR_SHOAL_TIMEOUT', true)
  await trio.sim.until(() => errors.length === 1, 1_000)
  await trio.sim.run(100)
  assert.match(failed(errors[0], 'ERR_SHOAL_TIMEOUT', false).message, /no time remains of the call of late/)
  assert.equal(ran, 0)
})

/** Handlers that wait for ever on n2, which asks n3, which waits too; what becomes of them when they are given up. */
async function abandoned(): Promise<{ trio: Trio; said: string[]; reasons: unknown[] }> {
  const said: string[] = []
  const reasons: unknown[] = []
  const trio = await Trio.start({
    outer: (node, { signal }) => {
      signal.addEventListener('abort', () => {
        said.push(`${node.name} outer aborted`)
        reasons.push(signal.reason)
      })
      return node.request({ method: 'inner', to: 'n3' }).catch((reason: unknown) => {
        said.push('nested call rejected')
        reasons.push(reason)
        throw reason
      })
    },
    inner: (node, { signal }) => {
      said.push('inner runs')
      signal.addEventListener('abort', () => said.push(`${node.name} inner aborted`))
      return new Promise(() => {})
    },
  })
  return { trio, said, reasons }
}

const allAborted = ['inner runs', 'n2 outer aborted', 'n3 inner aborted', 'nested call rejected']

test('a cancelled call cancels the calls within it, which reject with the reason of the signal', async () => {
  const { trio, said, reasons } = await abandoned()
  const controller = new AbortController()
  const called = trio.call({ method: 'outer', to: 'n2', signal: controller.signal })
  await trio.sim.until(() => said.includes('inner runs'), 1_000)
  controller.abort('enough')
  assert.deepEqual(await trio.outcome(called), { error: 'enough' })
  await trio.sim.run(100)
  assert.deepEqual([...said].sort(), allAborted)
  assert.equal(reasons[0], reasons[1])
  failed(reasons[0], 'ERR_SHOAL_TIMEOUT', true)
  await trio.sim.close()
})

test('a call that times out ends the calls within it', async () => {
  const { trio, said, reasons } = await abandoned()
  const { error } = await trio.outcome(trio.call({ method: 'outer', to: 'n2', timeoutMs: 300 }))
  failed(error, 'ERR_SHOAL_TIMEOUT', true)
  await trio.sim.run(100)
  assert.deepEqual([...said].sort(), allAborted)
  for (const reason of reasons) failed(reason, 'ERR_SHOAL_TIMEOUT', true)
  await trio.sim.close()
})

test('a handler hears of its deadline when nobody can tell it, at most a tick late', async () => {
  const { trio, said } = await abandoned()
  trio.call({ method: 'outer', to: 'n2', timeoutMs: 500 })
  await trio.sim.until(() => said.includes('inner runs'), 400)
  const { now } = trio.sim
  // No cancel gets through, and the connections stay up for longer than the calls.
  trio.sim.cut('n1', 'n2')
  await trio.sim.until(() => said.includes('n2 outer aborted'), 600)
  assert.ok(trio.sim.now - now <= 520, `${trio.sim.now - now} ms`)
  await trio.sim.run(50)
  assert.deepEqual([...said].sort(), allAborted)
  await trio.sim.close()
})

test('a caller that is gone takes the calls within its call with it', async () => {
  const { trio, said } = await abandoned()
  trio.call({ method: 'outer', to: 'n2', timeoutMs: 60_000 })
  await trio.sim.until(() => said.includes('inner runs'), 1_000)
  trio.processes[0]?.crash()
  await trio.sim.run(1_000)
  assert.deepEqual([...said].sort(), allAborted)
  await trio.sim.close()
})

test('a call of a node to itself is abandoned like any other', async () => {
  const { trio, said } = await abandoned()
  const { error } = await trio.outcome(trio.call({ method: 'outer', to: 'n2', timeoutMs: 200 }, 'n2'))
  failed(error, 'ERR_SHOAL_TIMEOUT', true)
  await trio.sim.run(100)
  assert.deepEqual([...said].sort(), allAborted)
  const controller = new AbortController()
  said.length = 0
  trio.call({ method: 'outer', to: 'n2', signal: controller.signal }, 'n2')
  await trio.sim.until(() => said.includes('inner runs'), 1_000)
  controller.abort()
  await trio.sim.run(100)
  assert.deepEqual([...said].sort(), allAborted)
  await trio.sim.close()
})

test('a detached call outlives the call in which it was made; its trace is the same', async () => {
  const seen: unknown[] = []
  await using trio = await Trio.start({
    outer: async (node) => {
      void node.request({ method: 'inner', to: 'n3', detached: true }).then(
        () => seen.push('done'),
        (error: unknown) => seen.push(error),
      )
      return new Promise(() => {})
    },
    inner: async (node, context) => {
      seen.push(context.traceparent, context.remainingMs > 4_000)
      await sleep(node, 1_000)
      assert.equal(context.signal.aborted, false)
    },
  })
  const call = { method: 'outer', to: 'n2', timeoutMs: 100, traceparent: header }
  failed((await trio.outcome(trio.call(call))).error, 'ERR_SHOAL_TIMEOUT', true)
  await trio.sim.run(2_000)
  assert.deepEqual(seen, [header, true, 'done'])
})

test('a call left behind by a handler that has answered goes on, within the deadline it inherited', async () => {
  const seen: unknown[] = []
  await using trio = await Trio.start({
    outer: (node) => {
      void node.request({ method: 'inner', to: 'n3' }).catch((error: unknown) => seen.push(error))
      return 'answered'
    },
    inner: (_node, context) => {
      seen.push(context.remainingMs <= 300)
      return new Promise(() => {})
    },
  })
  const { reply } = await trio.outcome(trio.call({ method: 'outer', to: 'n2', timeoutMs: 300 }))
  assert.equal(reply, 'answered')
  await trio.sim.run(600)
  assert.equal(seen[0], true)
  failed(seen[1], 'ERR_SHOAL_TIMEOUT', true)
})

test('the signal of a handler that has answered never aborts, and leaves no timer', async () => {
  const signals: AbortSignal[] = []
  await using trio = await Trio.start({ quick: (_node, { signal }) => void signals.push(signal) })
  for (const to of ['n1', 'n2']) await trio.outcome(trio.call({ method: 'quick', to, timeoutMs: 100 }))
  await trio.sim.run(500)
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [false, false],
  )
})

test('the trace of a call reaches its handler and the handlers of the calls within it', async () => {
  const seen: unknown[] = []
  await using trio = await Trio.start({
    outer: async (node, context) => {
      seen.push(context.traceparent, context.tracestate)
      await sleep(node, 5)
      await node.request({ method: 'inner', to: 'n3' })
    },
    inner: (_node, context) => void seen.push(context.traceparent, context.tracestate),
  })
  const state = 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE'
  const call = { method: 'outer', to: 'n2', traceparent: header, tracestate: state }
  await trio.outcome(trio.call(call))
  assert.deepEqual(seen, [header, state, header, state])
})

test('a call that belongs to no trace gets one of its own, which nobody records', async () => {
  const seen: string[] = []
  await using trio = await Trio.start({
    note: (_node, context) => void seen.push(String(context.traceparent), String(context.tracestate)),
  })
  const malformed = { traceparent: header.toUpperCase(), tracestate: 'rojo=1' }
  for (const given of [{}, {}, malformed]) {
    for (const to of ['n1', 'n2']) await trio.outcome(trio.call({ method: 'note', to, ...given }))
  }
  const traces = seen.filter((text) => text !== 'undefined')
  assert.equal(traces.length, 6)
  assert.equal(new Set(traces.map((text) => form.exec(text)?.[1])).size, 6)
  assert.deepEqual(
    traces.map((text) => form.exec(text)?.[3]),
    traces.map(() => '00'),
  )
})

test('a trace of its own, given to a call within a call, is not mixed with the state of the other', async () => {
  const seen: unknown[] = []
  const own = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`
  await using trio = await Trio.start({
    outer: (node) => node.request({ method: 'inner', to: 'n3', traceparent: own }),
    inner: (_node, context) => void seen.push(context.traceparent, context.tracestate),
  })
  await trio.outcome(trio.call({ method: 'outer', to: 'n2', traceparent: header, tracestate: 'a=1' }))
  assert.deepEqual(seen, [own, undefined])
})

/** Many calls at once, whose handlers wait for odd times and then call on: what each saw. */
async function mixed(seed: number): Promise<string[]> {
  const log: string[] = []
  await using trio = await Trio.start(
    {
      outer: async (node, context, body) => {
        await sleep(node, (body as number) % 17)
        await Promise.resolve()
        const to = `n${1 + ((body as number) % 3)}`
        const inner = await node.request({ method: 'inner', to, body })
        log.push(`${trio.sim.now} ${node.name} ${body as number} ${context.traceparent}`)
        assert.equal(inner, context.traceparent)
        return inner
      },
      inner: async (node, context) => {
        await sleep(node, 3)
        return context.traceparent
      },
    },
    seed,
  )
  const calls = Array.from({ length: 60 }, (_, body) =>
    trio.call({ method: 'outer', key: `k${body}`, body }, `n${1 + (body % 2)}`),
  )
  for (const called of calls) assert.equal((await trio.outcome(called)).error, undefined)
  return log
}

test('handlers that overlap on several nodes of one process each keep their own scope; a seed repeats it all', async () => {
  const log = await mixed(5)
  assert.equal(new Set(log.map((line) => line.split(' ')[3])).size, 60)
  assert.deepEqual(await mixed(5), log)
})
