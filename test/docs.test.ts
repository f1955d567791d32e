/**
 * Nothing in the documents is taken on trust: snippets compile under the strict flags of this project, those
 * marked `run` run and print what is shown, commands and links exist.
 *
 * A ts block has one of three marks in an HTML comment above it. `run`: a whole program, which ends by itself.
 * `compile`: a whole program. `fragment`: lines in which `node` is a ShoalNode and what `prelude` declares exists.
 * A text block under `<!-- output -->` is what the program above it prints.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { catalogue } from './mutants/catalogue.ts'
import {
  anchorsOf,
  type Block,
  blocksOf,
  documents,
  proseOf,
  readDocument,
  root,
} from './support/markdown.ts'

const exec = promisify(execFile)
const folder = join(root, 'dist', 'docs')
const marks = ['run', 'compile', 'fragment']
const prelude = "export declare const node: import('shoal').ShoalNode;"
/** A snippet that does not end by then hangs. */
const runTimeoutMs = 30_000

const all = documents()
const blocks = all.flatMap(blocksOf)
const snippets = blocks.filter(({ language }) => ['ts', 'js', 'typescript', 'javascript'].includes(language))
let compiled: Promise<string>

function fileOf({ path, line }: Block): string {
  return `${path.replace(/\.md$/, '').replaceAll('/', '-')}-${line}`
}

/** Compiles every snippet in one run; the compiler's complaints, empty when there are none. */
async function compile(): Promise<string> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const compilerOptions = {
    rootDir: '.',
    outDir: '.',
    declaration: false,
    isolatedDeclarations: false,
    sourceMap: false,
    inlineSources: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
  }
  const config = { extends: '../../tsconfig.json', compilerOptions, include: ['*.ts'], exclude: [] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  for (const block of snippets) {
    // Moved down, so that the compiler's line numbers are the document's.
    const above = (block.marker === 'fragment' ? prelude : '') + '\n'.repeat(block.line - 1)
    writeFileSync(join(folder, `${fileOf(block)}.ts`), `${above}${block.text}\nexport {}\n`)
  }
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  return exec(process.execPath, [tsc, '-p', folder], { cwd: root }).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string; message: string }) => error.stdout || error.message,
  )
}

before(() => {
  compiled = compile()
})

test('every snippet says whether it runs or compiles', () => {
  for (const { path, line, marker } of snippets) {
    assert.ok(
      marks.includes(marker ?? ''),
      `${path}:${line} is marked ${marker}; marks are ${marks.join(', ')}`,
    )
  }
})

test('every snippet compiles under the strict flags', async () => {
  assert.ok(snippets.length > 0)
  assert.equal(await compiled, '')
})

test('every snippet marked run ends by itself and prints what is shown', async () => {
  await compiled
  const programs = snippets.filter(({ marker }) => marker === 'run')
  assert.ok(programs.length > 0)
  await Promise.all(
    programs.map(async (program) => {
      const file = join(folder, `${fileOf(program)}.js`)
      const { stdout } = await exec(process.execPath, ['--enable-source-maps', file], {
        timeout: runTimeoutMs,
      })
      const next = blocks[blocks.indexOf(program) + 1]
      if (next?.marker === 'output' && next.path === program.path) {
        assert.equal(stdout, next.text, `${program.path}:${program.line}`)
      }
    }),
  )
})

interface Command {
  readonly where: string
  readonly words: readonly string[]
}

/** The commands of the shell blocks and those named in the text, as words; comments are gone. */
function commands(): Command[] {
  const shell = blocks.filter(({ language }) => ['sh', 'bash', 'shell', 'console'].includes(language))
  const rows = shell.flatMap(({ path, line, text }) =>
    text
      .replaceAll('\\\n', ' ')
      .split('\n')
      .map((row) => ({ where: `${path}:${line}`, row })),
  )
  const spans = all.flatMap((document) =>
    proseOf(document).flatMap(({ line, text }) =>
      [...text.matchAll(/`((?:node dist|npm|npx|shoal) [^`]+)`/g)].map(([, row = '']) => ({
        where: `${document.path}:${line}`,
        row,
      })),
    ),
  )
  return [...rows, ...spans].flatMap(({ where, row }) =>
    row
      .replace(/(^|\s)#.*$/, '')
      .split(/&&|[|;]|&\s*$/)
      .map((command) => ({ where, words: command.trim().split(/\s+/) }))
      .filter(({ words }) => words[0] !== ''),
  )
}

const helps = new Map<string, Promise<string>>()
/** What `shoal NAME --help` prints. */
function help(name: string): Promise<string> {
  const found = helps.get(name) ?? exec(process.execPath, [main, name, '--help']).then(({ stdout }) => stdout)
  helps.set(name, found)
  return found
}
const main = join(root, 'dist', 'src', 'cli', 'main.js')
/** Programs of others that the documents may name. */
const foreign = ['serf', 'tsc', 'kill', 'git', 'cd', 'export', 'kubectl', 'curl']

test('npm scripts, compiled files, shoal commands and their flags exist', async () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  for (const { where, words } of commands()) {
    const [program = '', first = '', ...rest] = words[0] === 'npx' ? words.slice(1) : words
    const shown = `${where}: ${words.join(' ')}`
    if (program === 'npm') {
      const script = first === 'run' ? rest[0] : first
      const known = ['ci', 'install', 'pack'].includes(first) || (script ?? '') in scripts
      assert.ok(known, `${shown}: no such script`)
      if (script === 'start') await assertFlags(shown, 'demo', rest)
    } else if (program === 'node') {
      const source = words.find((word) => word.endsWith('.js'))?.replace(/^dist\/(.*)\.js$/, '$1.ts')
      assert.ok(source !== undefined && existsSync(join(root, source)), `${shown}: no such file`)
    } else if (program === 'shoal') {
      await assertFlags(shown, first, rest)
    } else {
      assert.ok(foreign.includes(program), `${shown}: unknown program`)
    }
  }
})

async function assertFlags(shown: string, command: string, words: readonly string[]): Promise<void> {
  const text = await help(command)
  for (const flag of words.flatMap((word) => /^--[a-z-]+/.exec(word)?.[0] ?? [])) {
    assert.ok(text.split(/[\s,]+/).includes(flag), `${shown}: no flag ${flag}`)
  }
}

test('the faults that docs/guarantees.md names exist', () => {
  const known = new Set(catalogue.map(({ id }) => id))
  const rooms = new Set([...known].map((id) => id.slice(0, id.indexOf('/'))))
  const named = [
    ...readDocument('docs/guarantees.md')
      .lines.join('\n')
      .matchAll(/`([a-z]+)\/([a-z0-9-]+)`/g),
  ]
  const faults = named.filter(([, room = '']) => rooms.has(room)).map(([, room, fault]) => `${room}/${fault}`)
  assert.ok(faults.length > 10)
  for (const id of faults) assert.ok(known.has(id), `docs/guarantees.md: no fault is called ${id}`)
})

test('links between files and to headings resolve', () => {
  for (const document of all) {
    for (const { line, text } of proseOf(document)) {
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^https?:/.test(target)) continue
        const [file = '', anchor] = target.split('#')
        const path = file === '' ? document.path : normalize(join(dirname(document.path), file))
        const where = `${document.path}:${line}: ${target}`
        assert.ok(existsSync(join(root, path)), `${where}: no such file`)
        if (anchor !== undefined)
          assert.ok(anchorsOf(readDocument(path)).has(anchor), `${where}: no such heading`)
      }
    }
  }
})
