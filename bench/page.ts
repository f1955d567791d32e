/** What benchmarks write into docs/: each its part of benchmarks.md, between two marks, and its plot beside that. */
import { readFileSync, writeFileSync } from 'node:fs'

const docs = new URL('../../docs/', import.meta.url)

/** Puts `body` between `<!-- bench:NAME -->` and its end. */
export function writePart(name: string, body: string): void {
  const [begin, end] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`]
  const page = new URL('benchmarks.md', docs)
  const text = readFileSync(page, 'utf8')
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/benchmarks.md has no ${begin} and ${end}`)
  writeFileSync(page, `${text.slice(0, from + begin.length)}\n${body}\n${text.slice(to)}`)
}

export function writePlot(file: string, svg: string): void {
  writeFileSync(new URL(file, docs), svg)
}
