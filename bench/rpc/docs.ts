/** Puts a report into docs/: tables and settings between two marks of benchmarks.md, and the plot beside it. */
import { writePart, writePlot } from '../page.ts'
import { plot } from './plot.ts'
import { type Report, tables } from './report.ts'

export function writeDocs(report: Report): void {
  writePart('rpc', body(report))
  writePlot('rpc-peers.svg', plot(report))
}

function body(report: Report): string {
  const { date, node, cpu, cores, rounds, seconds, settings } = report
  const rows = Object.entries(settings).map(([name, text]) => `| ${name} | ${text} |`)
  return `
Measured ${date}: Node ${node}, ${cores} cores (${cpu}), ${rounds} rounds of ${seconds} s each.

${tables(report)}

| row | what it is |
|---|---|
${rows.join('\n')}
`
}
