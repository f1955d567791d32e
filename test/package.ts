/**
 * What users get: the package is packed, installed in an empty folder and used from there, as ESM, from
 * CommonJS and by its command. Run by `npm run package`; needs a registry or npm's cache for dependencies.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const root = resolve(import.meta.dirname, '../..')
const runMs = 120_000

async function run(folder: string, command: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, { cwd: folder, timeout: runMs })
  return stdout
}

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string; readonly mode: number }[]
}

const useIt = `
import { createNode, isShoalError } from 'shoal'
const node = createNode({ name: 'alone', port: 0, profile: 'local' })
node.handle('twice', (body) => body * 2)
await node.start()
console.log(await node.request({ method: 'twice', key: 'k', body: 21 }))
await node.request({ method: 'none', key: 'k' }).catch((error) => console.log(isShoalError(error)))
await node.leave()
`

const simulateIt = `
import { createNode } from 'shoal'
import { Simulation } from 'shoal/sim'
const sim = new Simulation({ seed: 1 })
const one = sim.spawn('one', async ({ name, host, env }) => {
  const node = createNode({ name, host, env })
  await node.start()
  return node
})
console.log((await sim.settle(one.started, 1_000)).name)
await sim.close()
`

async function main(folder: string): Promise<void> {
  const [packed] = JSON.parse(
    await run(root, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder),
  ) as Packed[]
  assert.ok(packed)
  const paths = packed.files.map(({ path }) => path)
  const strangers = paths.filter(
    (path) => !/^(dist\/src\/|(README|CHANGELOG)\.md$|LICENSE$|package\.json$)/.test(path),
  )
  assert.deepEqual(strangers, [], 'only the library is published')

  // The sources are not packed: the maps must hold them.
  const map: unknown = JSON.parse(await readFile(join(root, 'dist/src/node.js.map'), 'utf8'))
  assert.ok((map as { sourcesContent?: string[] }).sourcesContent?.[0]?.includes('class ShoalNode'))

  await writeFile(join(folder, 'package.json'), '{"private":true}')
  await run(folder, 'npm', 'install', `./${packed.filename}`, '--prefer-offline', '--no-audit', '--no-fund')
  await writeFile(join(folder, 'use.mjs'), useIt)
  assert.equal(await run(folder, process.execPath, 'use.mjs'), '42\ntrue\n')
  await writeFile(join(folder, 'simulate.mjs'), simulateIt)
  assert.equal(await run(folder, process.execPath, 'simulate.mjs'), 'one\n')
  await writeFile(join(folder, 'use.cjs'), `console.log(typeof require('shoal').createNode)`)
  assert.equal(await run(folder, process.execPath, 'use.cjs'), 'function\n')
  assert.match(await run(folder, 'npx', '--no-install', 'shoal', '--help'), /^shoal COMMAND \[flags\]/)
  const demo = await run(
    folder,
    'npx',
    '--no-install',
    'shoal',
    'demo',
    '--nodes',
    '2',
    '--seconds',
    '1',
    '--json',
  )
  assert.match(demo.trim().split('\n').at(-1) ?? '', /"type":"summary".*"failedOnLiveOwners":0/)
  console.log(`${packed.filename}: ${paths.length} files, installs and runs`)
}

const folder = await mkdtemp(join(tmpdir(), 'shoal-package-'))
try {
  await main(folder)
} finally {
  await rm(folder, { recursive: true, force: true })
}
