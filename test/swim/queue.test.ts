import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TransmitQueue, transmitLimit } from '../../src/swim/queue.ts'

function message(length: number, mark: number): Uint8Array {
  return new Uint8Array(length).fill(mark)
}

function take(queue: TransmitQueue, room: number, limit = 4, partsMax = 127): number[] {
  const parts: Uint8Array[] = []
  queue.fill(parts, room, 2, partsMax, limit)
  return parts.map((part) => part[0]!)
}

test('the least sent goes first, then the longest that fits, then the newest', () => {
  const queue = new TransmitQueue()
  queue.put(1, message(10, 1))
  queue.put(2, message(30, 2))
  queue.put(3, message(10, 3))
  queue.put(4, message(20, 4))
  assert.deepEqual(take(queue, 1000), [2, 4, 3, 1])
  queue.put(5, message(5, 5))
  // 5 was never sent; of the others the longest that still fits.
  assert.deepEqual(take(queue, 7 + 31), [5, 4])
  assert.deepEqual(take(queue, 1000), [2, 3, 1, 5, 4])
})

test('a message is dropped after its last transmission', () => {
  const queue = new TransmitQueue()
  queue.put(1, message(10, 1))
  assert.deepEqual([take(queue, 99, 2), take(queue, 99, 2), take(queue, 99, 2)], [[1], [1], []])
  assert.equal(queue.size, 0)
})

test('a newer message of the same key displaces the older one and starts anew', () => {
  const queue = new TransmitQueue()
  queue.put(1, message(10, 1))
  queue.put(2, message(10, 2))
  take(queue, 99)
  queue.put(1, message(10, 9))
  assert.equal(queue.size, 2)
  assert.deepEqual(take(queue, 99), [9, 2])
  queue.drop(1)
  assert.deepEqual(take(queue, 99), [2])
})

test('a packet holds no more parts than told', () => {
  const queue = new TransmitQueue()
  for (let key = 0; key < 300; key += 1) queue.put(key, message(3, 1))
  assert.equal(take(queue, 1e6, 4, 127).length, 127)
})

test('the number of transmissions follows the size of the cluster', () => {
  assert.deepEqual(
    [1, 9, 10, 99, 100, 999, 1000].map((n) => transmitLimit(4, n)),
    [4, 4, 8, 8, 12, 12, 16],
  )
})

test('random use agrees with a plain model', () => {
  const queue = new TransmitQueue()
  let model: { key: number; length: number; sent: number; age: number }[] = []
  let state = 7
  const draw = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return Math.floor((state / 0x1_0000_0000) * below)
  }
  for (let age = 0; age < 5000; age += 1) {
    if (draw(3) > 0) {
      const key = draw(60)
      const length = 1 + draw(20)
      queue.put(key, message(length, key))
      model = model.filter((entry) => entry.key !== key)
      model.push({ key, length, sent: 0, age })
      continue
    }
    const room = draw(120)
    let left = room
    const expected: number[] = []
    model.sort((a, b) => a.sent - b.sent || b.length - a.length || b.age - a.age)
    for (const entry of model) {
      if (entry.length + 2 > left) continue
      left -= entry.length + 2
      entry.sent += 1
      expected.push(entry.key)
    }
    model = model.filter((entry) => entry.sent < 3)
    assert.deepEqual(take(queue, room, 3), expected)
    assert.equal(queue.size, model.length)
  }
})
