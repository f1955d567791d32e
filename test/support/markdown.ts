/** Reads this repository's documents as far as the tests on them need: code blocks, tables, links, headings. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** The root of the repository, seen from the compiled tests. */
export const root: string = resolve(import.meta.dirname, '../../..')

export interface Document {
  /** Path from the root. */
  readonly path: string
  readonly lines: readonly string[]
}

export interface Block {
  readonly path: string
  /** Line of its first line of code, from 1. */
  readonly line: number
  readonly language: string
  /** The word in the HTML comment right above: `<!-- snippet: run -->`, `<!-- output -->`. */
  readonly marker: string | undefined
  readonly text: string
}

export function readDocument(path: string): Document {
  return { path, lines: readFileSync(join(root, path), 'utf8').split('\n') }
}

/** README, CHANGELOG and everything in docs/. */
export function documents(): Document[] {
  const inDocs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => `docs/${file.replaceAll('\\', '/')}`)
  return ['README.md', 'CHANGELOG.md', ...inDocs.sort()].map(readDocument)
}

export function blocksOf({ path, lines }: Document): Block[] {
  const blocks: Block[] = []
  for (let at = 0; at < lines.length; at++) {
    const language = /^ *```(\w*)$/.exec(lines[at]!)?.[1]
    if (language === undefined) continue
    const end = lines.findIndex((line, index) => index > at && /^ *```$/.test(line))
    const above = lines[at - 1]?.trim() === '' ? lines[at - 2] : lines[at - 1]
    const marker = /^<!-- (?:snippet: (?=run|compile|fragment)|(?=output))(\w+) -->$/.exec(
      above?.trim() ?? '',
    )?.[1]
    blocks.push({ path, line: at + 2, language, marker, text: `${lines.slice(at + 1, end).join('\n')}\n` })
    at = end
  }
  return blocks
}

/** The lines outside of code blocks, with their numbers from 1. */
export function proseOf({ lines }: Document): { readonly line: number; readonly text: string }[] {
  let inCode = false
  const prose: { line: number; text: string }[] = []
  for (const [index, text] of lines.entries()) {
    if (/^ *```/.test(text)) inCode = !inCode
    else if (!inCode) prose.push({ line: index + 1, text })
  }
  return prose
}

/** The ids that GitHub gives to headings. */
export function anchorsOf(document: Document): Set<string> {
  const headings = proseOf(document).filter(({ text }) => /^#+ /.test(text))
  return new Set(
    headings.map(({ text }) =>
      text
        .replace(/^#+ /, '')
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  )
}

/** The rows of the first table under a heading, as cells; without the row of titles. */
export function tableUnder(document: Document, heading: string): string[][] {
  const { lines, path } = document
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === heading)
  if (start < 0) throw new Error(`${path} has no heading "${heading}"`)
  const first = lines.findIndex((line, index) => index > start && line.startsWith('|'))
  const next = lines.findIndex((line, index) => index > start && /^#+ /.test(line))
  if (first < 0 || (next >= 0 && next < first)) throw new Error(`${path} has no table under "${heading}"`)
  const rows: string[][] = []
  for (let at = first + 2; lines[at]?.startsWith('|'); at++) {
    const cells = lines[at]!.replaceAll('\\|', '¦').split('|').slice(1, -1)
    rows.push(cells.map((cell) => cell.replaceAll('¦', '|').trim()))
  }
  return rows
}

/** What a cell names: its first code span. */
export function codeIn(cell: string | undefined): string {
  return /`([^`]+)`/.exec(cell ?? '')?.[1] ?? ''
}
