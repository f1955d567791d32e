/**
 * Question: does the machine, with what goes beyond the papers turned off, do what the papers measured? Prints one JSON
 * line for each figure; docs/simulation.md has the table and explains the misses. Nothing here depends on the speed of the
 * machine it runs on.
 *
 * Run: `npm run bench:paper -- [--full] [WORD…]`; a word selects the experiments whose name begins with it.
 */
import { detectionFigures, disseminationFigures, gapFigures, loadFigures } from './paper/detection.ts'
import type { Figure, Scale } from './paper/figure.ts'
import { figureFour } from './paper/figure-four.ts'
import { intervalFigures, type Progress, thresholdFigures } from './paper/lifeguard-tables.ts'

const experiments: Readonly<Record<string, (scale: Scale, progress: Progress) => Figure[]>> = {
  'swim.first-detection': detectionFigures,
  'swim.load': loadFigures,
  'swim.probe-gap': gapFigures,
  'swim.dissemination': disseminationFigures,
  'swim.figure-4': figureFour,
  'lifeguard.threshold': thresholdFigures,
  'lifeguard.interval': intervalFigures,
}

const args = process.argv.slice(2)
const scale: Scale = args.includes('--full') ? 'full' : 'bench'
const words = args.filter((arg) => !arg.startsWith('--'))
let missed = 0
for (const [name, run] of Object.entries(experiments)) {
  if (words.length > 0 && !words.some((word) => name.startsWith(word))) continue
  const startedAt = process.hrtime.bigint()
  process.stderr.write(`${name} …\n`)
  for (const figure of run(scale, (note) => process.stderr.write(`  ${note}\n`))) {
    if (figure.holds === false) missed += 1
    console.log(JSON.stringify({ ...figure, command: `npm run bench:paper -- ${name}` }))
  }
  process.stderr.write(`${name}: ${Number((process.hrtime.bigint() - startedAt) / 10_000_000n) / 100} s\n`)
}
process.stderr.write(missed === 0 ? 'all figures hold\n' : `${missed} figures do not hold\n`)
