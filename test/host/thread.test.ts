/** The thread of membership in real processes: what flags a process runs with, how it ends, what it leaves behind. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, describe, test } from 'node:test'

const index = resolve(import.meta.dirname, '../../src/index.js')
const hostEnv = resolve(import.meta.dirname, '../../src/host/env.js')
const folder = mkdtempSync(join(tmpdir(), 'shoal-thread-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const killMs = 20_000

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs a program that has `createNode` in another process, with these flags. */
function run(program: string, flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const text = `import { createNode } from ${JSON.stringify(index)}\n${program}`
  const child = spawn(process.execPath, [...flags, '--input-type=module', '--eval', text], {
    cwd: folder,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: killMs,
    killSignal: 'SIGKILL',
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  return new Promise((done) => child.on('close', (code) => done({ code, out, err })))
}

const lifetime = `
const node = createNode({ name: 'a', port: 0, profile: 'local' })
node.handle('twice', (body) => body * 2)
await node.start()
console.log(await node.request({ method: 'twice', key: 'k', body: 21 }))
await node.leave()
// A server is gone at the end of its turn.
for (let turn = 0; turn < 3; turn++) await new Promise((next) => setImmediate(next))
console.log('left', process.getActiveResourcesInfo().filter((kind) => !/Pipe|TTY|File/.test(kind)).join())
`

describe('the thread of membership', { concurrency: 2 }, () => {
  test('a node lives and leaves, and nothing keeps the process alive afterwards', async () => {
    const { code, out, err } = await run(lifetime)
    assert.deepEqual([code, out, err], [0, '42\nleft \n', ''])
  })

  test('flags of the process do not reach it', async () => {
    const preload = `data:text/javascript,process.emitWarning('preloaded')`
    const found = await Promise.all([
      run(lifetime, ['--cpu-prof', '--cpu-prof-dir', join(folder, 'profiles')]),
      run(lifetime, ['--inspect=0']),
      run(lifetime, ['--expose-gc', '--max-old-space-size=200', '--enable-source-maps']),
      run(lifetime, ['--import', preload]),
      run(lifetime, [], { NODE_OPTIONS: '--no-deprecation --stack-trace-limit=5' }),
      run(lifetime, [], { NODE_TEST_CONTEXT: 'child-v8', NODE_V8_COVERAGE: join(folder, 'coverage') }),
    ])
    for (const { code, out, err } of found) assert.deepEqual([code, out], [0, '42\nleft \n'], err)
    assert.equal(found[3]?.err.match(/preloaded/g)?.length, 1, 'the preload ran once, in the main thread')
  })

  test('a process that exits with a running node is not held up by it', async () => {
    const { code, out } = await run(`
      const node = createNode({ name: 'a', port: 0, profile: 'local' })
      await node.start()
      console.log('up')
      process.exit(3)
    `)
    assert.deepEqual([code, out], [3, 'up\n'])
  })

  test('a start that fails leaves nothing behind, and says which port is taken', async () => {
    const { code, out } = await run(`
      const node = createNode({ name: 'a', port: 0, profile: 'local' })
      await node.start()
      const port = Number(node.addresses.gossip.split(':')[1])
      const other = createNode({ name: 'b', port, profile: 'local' })
      await other.start().catch(({ code, message, cause }) => console.log(code, message.replace(port, 'P'), cause.code))
      await node.close()
    `)
    assert.equal(code, 0)
    assert.equal(
      out,
      'ERR_SHOAL_OPTION port: 127.0.0.1:P is taken; choose another port, or 0 for any free one EADDRINUSE\n',
    )
  })

  test('closing while it starts ends both', async () => {
    const { code, out } = await run(`
      const node = createNode({ name: 'a', port: 0, profile: 'local' })
      const starting = node.start().catch(({ code }) => console.log(code))
      await node.close()
      await starting
      console.log('closed')
    `)
    assert.deepEqual([code, out], [0, 'ERR_SHOAL_STATE\nclosed\n'])
  })

  test('nodes come and go without leaving threads, handles or listeners', async () => {
    const { code, out, err } = await run(`
      const seed = createNode({ name: 'seed', port: 0, profile: 'local' })
      await seed.start()
      for (let round = 0; round < 12; round++) {
        const node = createNode({ name: 'n' + round, port: 0, profile: 'local', join: [seed.addresses.gossip] })
        await node.start()
        await node.close()
      }
      await seed.leave()
      for (let turn = 0; turn < 3; turn++) await new Promise((next) => setImmediate(next))
      const left = process.getActiveResourcesInfo().filter((kind) => !/Pipe|TTY|File/.test(kind))
      console.log(left.join(), process.listenerCount('exit') < 3)
    `)
    assert.deepEqual([code, out], [0, ' true\n'], err)
    assert.doesNotMatch(err, /MaxListeners/)
  })

  test('a thread that dies closes its node, which says so, and nothing keeps the process alive', async () => {
    const { code, out, err } = await run(`
      import { systemEnv } from ${JSON.stringify(hostEnv)}
      let thread
      const startThread = (handlers) => (thread = systemEnv.startThread(handlers))
      const node = createNode({ name: 'a', port: 0, profile: 'local', env: { ...systemEnv, startThread } })
      const noticed = new Promise((resolve) => node.on('notice', (told) => told.code === 'threadFailed' && resolve(told)))
      await node.start()
      thread.post(undefined)
      const { level, code, message } = await noticed
      console.log(level, code, message)
      await node.request({ method: 'm', key: 'k' }).catch(({ code }) => console.log(code))
    `)
    assert.deepEqual([code, err], [0, ''])
    assert.match(
      out,
      /^warn threadFailed the thread of membership has ended: .*; the node is closed\nERR_SHOAL_STATE\n$/,
    )
  })

  test('inline by option: no thread is started', async () => {
    const { code, out } = await run(`
      import { Worker } from 'node:worker_threads'
      const node = createNode({ name: 'a', port: 0, profile: 'local', membershipThread: false })
      await node.start()
      console.log(process.getActiveResourcesInfo().includes('MessagePort'), node.owner('k'))
      await node.leave()
    `)
    assert.deepEqual([code, out], [0, 'false a\n'])
  })
})
