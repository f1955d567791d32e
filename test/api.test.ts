/** The reference pages list exactly what the code has: names, options with their defaults, limits, errors. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { retryableByNature, type ShoalErrorCode } from '../src/errors.ts'
import * as api from '../src/index.ts'
import { checkOptions, reservedTags } from '../src/options.ts'
import * as otelApi from '../src/otel/index.ts'
import { ringDefaults } from '../src/ring/ring.ts'
import * as simApi from '../src/sim/index.ts'
import { linkQueueBytes } from '../src/sim/links.ts'
import { kindOf } from '../src/state/kind.ts'
import { defaultLimits, profiles } from '../src/swim/config.ts'
import { goawayCodes } from '../src/wire/frame.ts'
import { codeIn, readDocument, root, tableUnder } from './support/markdown.ts'

const apiPage = readDocument('docs/api.md')
const options = readDocument('docs/options.md')
const errors = readDocument('docs/errors.md')
const source = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The names a column of code spans lists. */
function listed(rows: readonly string[][]): string[] {
  return rows.map(([cell]) => codeIn(cell)).sort()
}

/** The members of an interface, read from its source. */
function membersOf(path: string, name: string): string[] {
  const body =
    new RegExp(`export interface ${name}(?:<[^>]*>)? \\{\\n(.*?)\\n\\}`, 's').exec(source(path))?.[1] ?? ''
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, member = '']) => member).sort()
}

/** The texts of a union of literals, read from its source: those between `start` and the first line without one. */
function unionAt(path: string, start: string): string[] {
  const text = source(path)
  const at = text.indexOf(start)
  assert.ok(at >= 0, `${path} has no "${start}"`)
  const union = /^(?:[\s|]*'\w+')+/.exec(text.slice(at + start.length))?.[0] ?? ''
  return [...union.matchAll(/'(\w+)'/g)].map(([, member = '']) => member).sort()
}

/** A number as documents and sources write it. */
function numberIn(text: string): number {
  const [base = 0, exponent = 1] = text.replaceAll(/[`_,]/g, '').split('**').map(Number)
  return base ** exponent
}

/** The names an index.ts exports as types alone. */
function typesOf(path: string, values: readonly string[]): string[] {
  return [...source(path).matchAll(/\{([^}]*)\}/g)]
    .flatMap(([, names = '']) => names.split(',').map((name) => name.trim().replace(/^type /, '')))
    .filter((name) => name !== '' && !values.includes(name))
    .sort()
}

/** What an object of the class has: methods and getters, and the fields that are named. */
function membersOfClass(of: { prototype: object }, ...fields: string[]): string[] {
  const own = Object.getOwnPropertyNames(of.prototype).filter((name) => name !== 'constructor')
  return [...own, ...fields].sort()
}

test('docs/api.md lists the public names, values apart from types', () => {
  const values = Object.keys(api).sort()
  assert.deepEqual(listed(tableUnder(apiPage, 'Values')), values)
  assert.deepEqual(listed(tableUnder(apiPage, 'Types')), typesOf('src/index.ts', values))
  const simValues = Object.keys(simApi).sort()
  assert.deepEqual(listed(tableUnder(apiPage, 'Values of shoal/sim')), simValues)
  assert.deepEqual(listed(tableUnder(apiPage, 'Types of shoal/sim')), typesOf('src/sim/index.ts', simValues))
  const otelValues = Object.keys(otelApi).sort()
  assert.deepEqual(listed(tableUnder(apiPage, 'Values of shoal/otel')), otelValues)
  assert.deepEqual(
    listed(tableUnder(apiPage, 'Types of shoal/otel')),
    typesOf('src/otel/index.ts', otelValues),
  )
})

test('docs/api.md lists the members of a node, of a simulation and of its processes', () => {
  const dispose = '[Symbol.asyncDispose]'
  const tables: [string, string[]][] = [
    ['Members of a node', membersOfClass(api.ShoalNode, 'name', dispose)],
    [
      'Members of a simulation',
      membersOfClass(simApi.Simulation, 'seed', 'random', 'links', 'counters', dispose),
    ],
    ['Members of a simulated process', membersOfClass(simApi.SimProcess, 'name', 'host')],
    ['Members of the checks of a cluster', membersOfClass(simApi.ClusterChecks, 'calls')],
  ]
  for (const [heading, members] of tables)
    assert.deepEqual(listed(tableUnder(apiPage, heading)), members, heading)
})

test('docs/guide.md lists the fields that the commands print', () => {
  const guide = readDocument('docs/guide.md')
  assert.deepEqual(
    listed(tableUnder(guide, "The demo's summary")),
    membersOf('src/cli/demo/show.ts', 'Summary'),
  )
  const rows = new Map(
    tableUnder(guide, 'JSON of the commands').map(([name, fields]) => [codeIn(name), fields]),
  )
  const fieldsOf = (text = ''): string[] => [...text.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
  const member = fieldsOf(rows.get('members')?.split(': a `Member`')[0])
  assert.deepEqual(member.sort(), membersOf('src/roster.ts', 'Member'))
  const line = /`member`: ([^;]*);/.exec(rows.get('agent') ?? '')?.[1]
  const told = membersOf('src/cli/output.ts', 'MemberLine').filter((name) => name !== 'type')
  assert.ok(told.includes('change'))
  for (const name of told) assert.ok(fieldsOf(line).includes(name), name)
})

test('docs/drill.md lists the fields of the summary', () => {
  const rows = tableUnder(readDocument('docs/drill.md'), 'Summary')
  assert.deepEqual(listed(rows), membersOf('src/cli/drill/exercise.ts', 'Summary'))
})

test('docs/options.md lists every option of a node, with its default', () => {
  const rows = tableUnder(options, 'Node')
  assert.deepEqual(listed(rows), membersOf('src/options.ts', 'NodeOptions'))
  const defaults: Readonly<Record<string, unknown>> = { ...checkOptions({}), label: true, observer: false }
  let compared = 0
  for (const [name, shown = ''] of rows) {
    const text = /^`(.*)`$/.exec(shown)?.[1] ?? ''
    if (!/^('.*'|\d+|true|false)$/.test(text)) continue
    const value: unknown = text.startsWith("'") ? text.slice(1, -1) : JSON.parse(text)
    if (codeIn(name) === 'profile') assert.deepEqual(defaults['swim'], profiles[value as api.Profile])
    else assert.equal(value, defaults[codeIn(name)], name)
    compared++
  }
  assert.ok(compared >= 9, `${compared} defaults were compared`)
  const tags = rows.find(([name]) => codeIn(name) === 'tags')?.[3] ?? ''
  for (const tag of reservedTags) assert.ok(tags.includes(`\`${tag}\``), `tags: ${tag} is not named`)
})

test('docs/options.md lists every setting of failure detection, for each profile', () => {
  const rows = tableUnder(options, 'Failure detection')
  assert.deepEqual(listed(rows), membersOf('src/swim/config.ts', 'SwimTiming'))
  for (const [cell, ...shown] of rows) {
    const name = codeIn(cell) as keyof api.SwimTiming
    const values = [profiles.local[name], profiles.lan[name], profiles.wan[name]]
    assert.deepEqual(shown.slice(0, 3), values.map(String), name)
  }
})

test('docs/options.md lists the parameters of the ring and every limit, with their defaults', () => {
  const limits: Readonly<Record<string, number>> = { ...checkOptions({}).limits }
  const ring: Readonly<Record<string, number>> = { ...ringDefaults }
  for (const [heading, defaults] of [
    ['Ring', ring],
    ['Limits', limits],
    ['Handoff', { ...checkOptions({}).handoff } as Readonly<Record<string, number>>],
  ] as const) {
    const rows = tableUnder(options, heading)
    assert.deepEqual(listed(rows), Object.keys(defaults).sort())
    for (const [cell, shown = ''] of rows) assert.equal(numberIn(shown), defaults[codeIn(cell)], cell)
  }
})

test('docs/options.md lists every option of an entity and of its calls, with default and range', () => {
  const { entity } = api
  const rows = tableUnder(options, 'Entities')
  const optionsPage = 'src/state/entity.ts'
  const calls = tableUnder(options, 'Calls of entities')
  assert.deepEqual(listed(rows), membersOf(optionsPage, 'EntityOptions'))
  assert.deepEqual(listed(calls), membersOf(optionsPage, 'EntityCallOptions'))
  const least = { open: () => ({}), calls: { read: () => 1 } }
  const { evicts, ...kind } = kindOf(entity('e', { ...least, level: 'replicated' }))
  const { level } = kindOf(entity('e', least))
  const defaults: Readonly<Record<string, unknown>> = {
    ...kind,
    level,
    whenFull: evicts ? 'evict' : 'refuse',
  }
  const make = (name: string, value: unknown) => {
    const level = ['copies', 'acks', 'acksMin', 'quorum'].includes(name) ? 'replicated' : 'handoff'
    const beside = name === 'whenFull' ? { keysMax: 1 } : {}
    return () => entity('e', { ...least, ...beside, level, [name]: value } as unknown as typeof least)
  }
  const refused = (name: string) => ({ code: 'ERR_SHOAL_OPTION', message: new RegExp(`"e": ${name}`) })
  const compared: string[] = []
  for (const [cell, shown = '', range = ''] of rows) {
    const name = codeIn(cell)
    const text = /^`(.*)`$/.exec(shown)?.[1]
    if (text !== undefined) assert.equal(String(defaults[name]), text.replaceAll("'", ''), name)
    else if (shown === 'required') assert.throws(make(name, undefined), refused(name))
    else if (shown === 'none') assert.ok([undefined, Infinity].includes(defaults[name] as undefined), name)
    const [, from, to] = /(?:^|, )(\d+) to (\d+|`\w+`)$/.exec(range) ?? []
    if (from !== undefined && to !== undefined) {
      const most = Number(defaults[codeIn(to)] ?? to)
      const of = (value: number) => make(name, name === 'quorum' ? { voters: value } : value)
      for (const sound of [Number(from), most]) of(sound)()
      for (const wrong of [Number(from) - 1, most + 1]) assert.throws(of(wrong), refused(name))
      compared.push(name)
    }
    for (const [, one] of name === 'level' || name === 'whenFull' ? range.matchAll(/`(\w+)`/g) : []) {
      make(name, one)()
      compared.push(`${name}: ${one}`)
    }
  }
  assert.equal(compared.length, 13)
})

test('docs/simulation.md lists every option of a link, with its default', () => {
  const rows = tableUnder(readDocument('docs/simulation.md'), 'Links')
  const { linkDefaults } = simApi
  assert.deepEqual(listed(rows), Object.keys(linkDefaults).sort())
  for (const [cell, shown] of rows) {
    const value = linkDefaults[codeIn(cell) as keyof typeof linkDefaults]
    assert.equal(shown, typeof value === 'string' ? `\`'${value}'\`` : `\`${value}\``, cell)
  }
  const queue = rows.find(([cell]) => codeIn(cell) === 'bytesPerSecond')?.[3]
  assert.ok(queue?.includes(linkQueueBytes.toLocaleString('en')), queue)
})

test('docs/options.md lists the fixed limits of membership and others as they stand in the code', () => {
  const rows = tableUnder(options, 'Fixed limits')
  const names = new Set(listed(rows))
  for (const name of Object.keys(defaultLimits)) assert.ok(names.has(name), `${name} is not listed`)
  for (const [cell, shown = '', where] of rows) {
    const name = codeIn(cell)
    const found = new RegExp(`\\b${name}(?:: number)?(?: =|:) ([\\d_* ]+)`).exec(source(codeIn(where)))?.[1]
    assert.ok(found !== undefined, `${codeIn(where)} has no ${name}`)
    assert.equal(numberIn(shown), numberIn(found), name)
  }
})

test('docs/errors.md lists every code and what its nature is', () => {
  const rows = tableUnder(errors, 'Codes')
  const codes = unionAt('src/errors.ts', 'export type ShoalErrorCode =')
  assert.deepEqual(listed(rows), codes)
  for (const [cell, , retryable = ''] of rows) {
    const code = codeIn(cell) as ShoalErrorCode
    assert.equal(retryable.startsWith('yes'), retryableByNature(code), code)
  }
})

test('docs/errors.md lists every reason of a failed join, and which are final', () => {
  const rows = tableUnder(errors, 'Why a seed did not take us in')
  const reasons = unionAt('src/swim/events.ts', 'export type SeedFailureReason =')
  assert.deepEqual(listed(rows), [...reasons, 'unresolved'].sort())
  const final = /const final\b.*?new Set\(\[(.*?)\]/s.exec(source('src/join.ts'))?.[1] ?? ''
  for (const [cell, shown] of rows) {
    assert.equal(shown, final.includes(`'${codeIn(cell)}'`) ? 'yes' : 'no', codeIn(cell))
  }
})

test('docs/errors.md lists every code of a notice, every end of a connection, every reason to drop a packet', () => {
  const notices = [
    ...unionAt('src/swim/events.ts', 'readonly code:'),
    ...unionAt('src/rpc/peers.ts', 'readonly kind:'),
    ...unionAt('src/gate.ts', 'code:'),
    ...unionAt('src/shard/admission.ts', 'code:'),
    ...unionAt('src/state/conflict.ts', 'readonly code:'),
    ...[...source('src/cluster.ts').matchAll(/notice\('\w+', '(\w+)'/g)].map(([, code = '']) => code),
    ...['src/hosting/hosting.ts', 'src/hosting/tally.ts'].flatMap((file) =>
      [...source(file).matchAll(/level: '\w+', code: '(\w+)'/g)].map(([, code = '']) => code),
    ),
  ]
  assert.deepEqual(listed(tableUnder(errors, 'Notices')), notices.sort())
  assert.deepEqual(listed(tableUnder(errors, 'Ends of connections')), [...goawayCodes].sort())
  const drops = unionAt('src/wire/error.ts', 'export type DropReason =')
  assert.deepEqual(listed(tableUnder(errors, 'Packets that were dropped')), drops)
})
