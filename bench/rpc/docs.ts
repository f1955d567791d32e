/** Puts a report into docs/: tables and settings between two marks of benchmarks.md, and the plot beside it. */
import { readFileSync, writeFileSync } from 'node:fs'
import { plot } from './plot.ts'
import { type Report, tables } from './report.ts'

const docs = new URL('../../../docs/', import.meta.url)
const begin = '<!-- bench:rpc -->'
const end = '<!-- /bench:rpc -->'

export function writeDocs(report: Report): void {
  const page = new URL('benchmarks.md', docs)
  const text = readFileSync(page, 'utf8')
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has no ${begin} and ${end}`)
  writeFileSync(page, `${text.slice(0, from + begin.length)}\n${body(report)}\n${text.slice(to)}`)
  writeFileSync(new URL('rpc-peers.svg', docs), plot(report))
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
