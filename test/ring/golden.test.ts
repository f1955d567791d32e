import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inflateRawSync } from 'node:zlib'
import { buildRing, paramsDigest, ringDefaults } from '../../src/ring/ring.ts'
import { type Golden, goldenFolder, goldenKeys, ownerBytes } from './golden.ts'

const files = readdirSync(goldenFolder).filter((file) => file.endsWith('.json'))

for (const file of files) {
  test(`the table of golden/${file} is what it was when it was written`, () => {
    const golden = JSON.parse(readFileSync(join(goldenFolder, file), 'utf8')) as Golden
    const members = golden.members.map(([name, weight, zone]) => ({ name, weight, zone }))
    const table = buildRing(golden.params, members)
    assert.equal(paramsDigest(golden.params), golden.paramsDigest)
    assert.equal(table.digest, golden.digest)
    assert.ok(inflateRawSync(Buffer.from(golden.owners, 'base64')).equals(ownerBytes(table)), 'owners')
    assert.deepEqual(goldenKeys(table), golden.keys)
  })
}

test('all golden tables are there, the defaults among them', () => {
  assert.equal(files.length, 13)
  // Changing the defaults cuts a cluster in two while it is upgraded.
  const { params } = JSON.parse(readFileSync(join(goldenFolder, 'defaults-100.json'), 'utf8')) as Golden
  assert.deepEqual(params, { ...ringDefaults })
})
