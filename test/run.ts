/**
 * Runs the compiled tests under node:test: `node dist/test/run.js [word …]`. A word selects the files whose
 * path holds it. Globs and folders mean different things to `node --test` in Node 20, 22 and 24, so the
 * files are listed here.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'

const root = import.meta.dirname
const words = process.argv.slice(2)
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort()
  .map((file) => relative(process.cwd(), join(root, file)))

if (files.length === 0) {
  console.error(`no test file matches ${words.join(' ')}`)
  process.exit(1)
}
const runner = spawn(
  process.execPath,
  ['--enable-source-maps', '--test', '--test-reporter=spec', '--test-concurrency=2', ...files],
  { stdio: 'inherit' },
)
runner.on('exit', (code, signal) => process.exit(signal ? 1 : (code ?? 1)))
