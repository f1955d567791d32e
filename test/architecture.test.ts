/**
 * The rooms of src/ and who may enter which, read from the sources: data flows one way, protocol code has no
 * clock, no randomness and no sockets, and the libraries stay behind one door each.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const src = resolve(import.meta.dirname, '../../src')
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => ({ file: file.replaceAll('\\', '/'), text: readFileSync(join(src, file), 'utf8') }))

/** What each room may import besides itself and the open files. */
const rooms: Record<string, readonly string[]> = {
  wire: [],
  ring: [],
  swim: ['wire'],
  rpc: ['wire'],
  shard: ['ring', 'rpc', 'wire'],
  state: ['ring', 'rpc', 'shard', 'wire'],
  host: [],
}
/** Files at the top that every room may import. */
const open = ['env.ts', 'machine.ts', 'errors.ts', 'address.ts', 'scope.ts', 'diagnostics.ts']
/** Files at the top that join rooms. */
const joiners =
  'node.ts api.ts bind.ts calls.ts rooms.ts news.ts stats.ts stream.ts cluster.ts membership.ts options.ts limits.ts range.ts roster.ts driver.ts join.ts leave.ts replies.ts request.ts index.ts backlog.ts border.ts courier.ts describe.ts gate.ts lag.ts pause.ts watched.ts worker.ts'.split(
    ' ',
  )

/** Files of the simulator that must know real time: they take turns with it, and watch who uses it. */
const realTime = ['sim/turns.ts', 'sim/reality.ts']

/** Rooms that join others too: the command line, the simulator, which is the other host, the adapter to OpenTelemetry, and what a node hosts of state. */
const joining = ['cli', 'sim', 'otel', 'hosting']

interface Import {
  readonly from: string
  readonly target: string
  readonly typeOnly: boolean
}

function importsOf(file: string, text: string): Import[] {
  const found: Import[] = []
  for (const match of text.matchAll(
    /^(?:import|export)\s+(type\s+)?[^'"]*?from\s+'([^']+)'|^import\s+'([^']+)'/gms,
  )) {
    const specifier = match[2] ?? match[3] ?? ''
    const target = specifier.startsWith('.') ? relative(src, join(src, dirname(file), specifier)) : specifier
    found.push({ from: file, target: target.replaceAll('\\', '/'), typeOnly: match[1] !== undefined })
  }
  return found
}

const imports = files.flatMap(({ file, text }) => importsOf(file, text))
const roomOf = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '')

test('every file of src belongs to a room or is a known file at the top', () => {
  for (const { file } of files) {
    const room = roomOf(file)
    const known = room === '' ? [...open, ...joiners].includes(file) : joining.includes(room) || room in rooms
    assert.ok(known, `${file} is in no known room`)
  }
})

test('a room imports only the rooms to its left', () => {
  for (const { from, target } of imports) {
    const room = roomOf(from)
    if (room === '' || joining.includes(room) || target.startsWith('node:') || !target.endsWith('.ts'))
      continue
    const allowed = open.includes(target) || roomOf(target) === room || rooms[room]?.includes(roomOf(target))
    assert.ok(allowed, `${from} must not import ${target}`)
  }
})

test('shard and state take types only from rpc and wire, so that they run without them', () => {
  for (const { from, target, typeOnly } of imports) {
    if (['shard', 'state'].includes(roomOf(from)) && ['rpc', 'wire'].includes(roomOf(target))) {
      assert.ok(typeOnly, `${from} imports code from ${target}`)
    }
  }
})

test('the command line uses the public list only', () => {
  for (const { from, target } of imports) {
    if (roomOf(from) !== 'cli' || !target.endsWith('.ts')) continue
    assert.ok(roomOf(target) === 'cli' || target === 'index.ts', `${from} must not import ${target}`)
  }
})

test('the adapter to OpenTelemetry uses the public list and the channels', () => {
  for (const { from, target } of imports) {
    if (roomOf(from) !== 'otel' || !target.endsWith('.ts')) continue
    const allowed = roomOf(target) === 'otel' || target === 'index.ts' || target === 'diagnostics.ts'
    assert.ok(allowed, `${from} must not import ${target}`)
  }
})

test('only node.ts, the start of its thread and the public list reach into host', () => {
  for (const { from, target } of imports) {
    if (roomOf(target) === 'host')
      assert.ok(
        ['node.ts', 'worker.ts', 'index.ts'].includes(from) || roomOf(from) === 'host',
        `${from} → ${target}`,
      )
  }
})

test('each library is behind one door', () => {
  const doors: Record<string, (file: string) => boolean> = {
    farmhash: (file) => file === 'ring/hash.ts',
    msgpackr: (file) => roomOf(file) === 'wire',
    pino: (file) => roomOf(file) === 'cli',
    '@opentelemetry/api': (file) => roomOf(file) === 'otel',
  }
  for (const { from, target } of imports) {
    if (target.endsWith('.ts') || target.startsWith('node:')) continue
    const door = doors[target]
    assert.ok(door?.(from), `${from} must not import ${target}`)
  }
})

test('what a handler inherits and what tracers hear each go through one file, which protocol machines do not know', () => {
  const doors: Record<string, string> = {
    'node:async_hooks': 'scope.ts',
    'node:diagnostics_channel': 'diagnostics.ts',
  }
  for (const { from, target } of imports) {
    const door = doors[target]
    if (door !== undefined) assert.equal(from, door, `${from} must not import ${target}`)
    if (target === 'scope.ts' || target === 'diagnostics.ts')
      assert.ok(
        ['', 'hosting', 'shard', 'state', 'rpc', 'otel'].includes(roomOf(from)),
        `${from} must not import ${target}`,
      )
  }
})

test('clocks, randomness, sockets and the process exist only in host, cli and the adapter', () => {
  const banned =
    /\bDate\b[.(]|new Date\b|\bperformance\.|Math\.random|\bset(?:Timeout|Interval|Immediate)\(|queueMicrotask\(|\bprocess\.(?!ts')|'node:(?:net|dgram|tls|http|dns|timers|os|child_process|worker_threads|fs)/
  for (const { file, text } of files) {
    if (['host', 'cli', 'otel'].includes(roomOf(file)) || realTime.includes(file)) continue
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    const match = banned.exec(code)
    assert.equal(match, null, `${file} uses ${match?.[0]}`)
  }
})

test('Buffer stays in host; no file passes 400 lines', () => {
  for (const { file, text } of files) {
    if (!['host', 'cli'].includes(roomOf(file)))
      assert.doesNotMatch(text, /\bBuffer\.(?:from|alloc|concat)/, file)
    assert.ok(text.split('\n').length <= 401, `${file} has ${text.split('\n').length} lines`)
  }
})

/**
 * Compared bit by bit over two million arguments on Node 20.20, 22.23 and 24.21: `log`, `log2`, `log10`, `exp`, `sqrt` and
 * `sin` agree, `pow` of fractions does not from 24 on. Powers of two are exact everywhere.
 */
test('powers are of two, for others differ between versions of Node, and with them the runs of a seed', () => {
  for (const { file, text } of files) {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    assert.doesNotMatch(code, /Math\.pow/, file)
    for (const [power, base] of code.matchAll(/(\S+) \*\*=? /g)) {
      assert.ok(/(^|[^\w.])2n?$/.test(base ?? ''), `${file}: ${power}`)
    }
  }
})
