/** Random bytes at every open port of real processes; the longer run is test/soak/garbage.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { soak } from '../support/soak.ts'

const heapGrowthMax = 16 * 1024 * 1024

test('a cluster under load does not notice garbage at its ports, nor grow by it', async () => {
  const { sent, noticed, failures, answered, before, after, dropped } = await soak(3, {
    packetsPerSecond: 100,
    connectionsPerSecond: 20,
    openMax: 60,
  })
  assert.ok(sent.packets > 100 && sent.connections > 50, JSON.stringify(sent))
  assert.deepEqual(noticed, [])
  assert.deepEqual(failures, [])
  assert.ok(answered > 100)
  assert.ok(Object.keys(dropped).length > 3, JSON.stringify(dropped))
  after.forEach(({ heapBytes, externalBytes }, index) => {
    const grown = heapBytes + externalBytes - before[index]!.heapBytes - before[index]!.externalBytes
    assert.ok(grown < heapGrowthMax, `${grown} bytes`)
  })
})
