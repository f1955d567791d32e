/**
 * `npm run drill [-- WORD …]`: all drills with real processes, one after the other, some three minutes. A word selects those
 * whose line holds it. Fails if one promise was not kept.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'

const main = resolve(import.meta.dirname, '../src/cli/main.js')
const cart = resolve(import.meta.dirname, '../examples/drill/cart.js')

const drills: readonly string[] = [
  'rolling --rounds 3',
  'rolling --level replicated',
  `rolling --nodes 3 --entry ${cart}`,
  'crash',
  'crash --level replicated',
  'crash --level replicated --copies 3 --acks 2',
  'pause --nodes 3 --merge',
  'pause --nodes 3 --level replicated',
  'split --merge',
  'split --level replicated --merge',
  'split --level replicated --nodes 3 --voters 3',
  'split --level replicated --voters 5 --copies 3 --acks 3',
]

/** Its summary; undefined: it could not be carried through, and stderr has said why. */
async function run(args: string): Promise<Record<string, unknown> | undefined> {
  const child = spawn(process.execPath, [main, 'drill', ...args.split(' '), '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let last = ''
  createInterface(child.stdout).on('line', (line) => {
    last = line
    if (/^{"type":"(failed|crashed|found)"/.test(line)) console.log(`  ${line}`)
  })
  await once(child, 'close')
  return last.startsWith('{"type":"summary"') ? JSON.parse(last) : undefined
}

const words = process.argv.slice(2)
const chosen = drills.filter((drill) => words.length === 0 || words.some((word) => drill.includes(word)))
let broken = 0
for (const drill of chosen) {
  const startedAt = performance.now()
  console.log(`shoal drill ${drill.replace(cart, 'dist/examples/drill/cart.js')}`)
  const summary = await run(drill)
  if (summary?.['kept'] !== true) broken++
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  if (summary === undefined) continue
  const { calls, failed, lost, doubled, maxUnavailableMs, medianUnavailableMs, promised, kept } = summary
  console.log(
    `  ${seconds} s: ${calls} calls, ${failed} failed, ${lost} lost, ${doubled} doubled, ` +
      `unavailable at most ${maxUnavailableMs} ms (median ${medianUnavailableMs}); ` +
      `promised 0: ${(promised as string[]).join(', ') || 'nothing'}: ${kept ? 'kept' : 'NOT KEPT'}`,
  )
}
console.log(`${chosen.length - broken} of ${chosen.length} drills kept what is promised`)
process.exitCode = broken === 0 && chosen.length > 0 ? 0 : 1
