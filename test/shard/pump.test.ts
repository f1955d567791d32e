/** What moves a source into a stream, and closes it. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { ChunkWriter } from '../../src/rpc/stream.ts'
import { Pump, type PumpOwner } from '../../src/shard/pump.ts'
import { closeSource, Source, type StreamSource } from '../../src/shard/source.ts'
import { type Body, decodeBody, encodeChunk } from '../../src/wire/body.ts'

class Writer implements ChunkWriter {
  ready = true
  closed = false
  readonly valueBytesMax = 100
  listener: ChunkWriter['listener']
  readonly wrote: unknown[] = []

  write(chunk: Body): Body | undefined {
    if (!this.ready) return chunk
    this.wrote.push(decodeBody(chunk))
    return undefined
  }

  end(): void {
    this.wrote.push('end')
  }

  fail(): void {}
}

function pumping(source: StreamSource<unknown>) {
  const heard: string[] = []
  const owner: PumpOwner = {
    encode: encodeChunk,
    wrote() {},
    pumped: () => heard.push('pumped'),
    unwanted() {
      heard.push('unwanted')
      pump.cancel()
    },
    broke: (error) => heard.push(String(error)),
    tooLarge: (bytes) => heard.push(`${bytes} bytes`),
  }
  const pump = new Pump(new Source(source, (fn) => fn()), owner)
  const writer = new Writer()
  return { pump, writer, heard }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('a source is asked only while there is room, and its end follows what it said', async () => {
  let asked = 0
  function* numbers(): Generator<number> {
    for (; asked < 3; asked++) yield asked
  }
  const { pump, writer, heard } = pumping(numbers())
  writer.ready = false
  pump.attach(writer)
  await turn()
  assert.equal(asked, 0)
  writer.ready = true
  writer.listener?.moved()
  await turn()
  assert.deepEqual([writer.wrote, heard], [[0, 1, 2, 'end'], ['pumped']])
})

test('a source that never settles does not keep it from hearing that nobody wants more; what it says late is dropped', async () => {
  let settle = (_: IteratorResult<number>) => {}
  let returned = 0
  const source: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise((resolve) => (settle = resolve)),
      return: () => {
        returned += 1
        return new Promise(() => {})
      },
    }),
  }
  const { pump, writer, heard } = pumping(source)
  pump.attach(writer)
  writer.closed = true
  writer.listener?.moved()
  assert.deepEqual([heard, returned], [['unwanted'], 1])
  settle({ done: false, value: 1 })
  await turn()
  assert.deepEqual([writer.wrote, heard], [[], ['unwanted']])
})

test('a Node stream that waits for bytes is destroyed when nobody wants them', async () => {
  const source = new Readable({ read() {} })
  const { pump, writer } = pumping(source)
  pump.attach(writer)
  await turn()
  writer.closed = true
  writer.listener?.moved()
  assert.equal(source.destroyed, true)
})

test('a source that throws, and a chunk that nobody takes, are told and close it', async () => {
  const broken = pumping(
    (function* () {
      yield 1
      throw new Error('broken')
    })(),
  )
  broken.pump.attach(broken.writer)
  assert.deepEqual([broken.writer.wrote, broken.heard], [[1], ['Error: broken']])
  let closed = false
  const large = pumping(
    (function* () {
      try {
        yield 'x'.repeat(200)
      } finally {
        closed = true
      }
    })(),
  )
  large.pump.attach(large.writer)
  assert.deepEqual([large.heard, closed], [['202 bytes'], true])
})

test('what one writer did not take goes to the next, and nothing is lost', async () => {
  const { pump, writer } = pumping([1, 2])
  writer.write = (chunk) => chunk
  pump.attach(writer)
  assert.equal(pump.begun, false)
  const second = new Writer()
  pump.attach(second)
  await turn()
  assert.deepEqual(second.wrote, [1, 2, 'end'])
  assert.equal(pump.begun, true)
})

test('a source that breaks the rules of iterators breaks its call, and nothing else', async () => {
  const source = { [Symbol.asyncIterator]: () => ({ next: async () => undefined }) }
  const { pump, writer, heard } = pumping(source as unknown as AsyncIterable<unknown>)
  pump.attach(writer)
  await turn()
  assert.equal(heard.length, 1)
  assert.match(heard[0] ?? '', /^TypeError/)
})

test('a source that nobody wants any more is not waited for', () => {
  const { pump, writer } = pumping(new Readable({ read() {} }))
  pump.attach(writer)
  assert.equal(pump.isAsking, true)
  writer.closed = true
  writer.listener?.moved()
  assert.equal(pump.isAsking, false)
})

test('what never was a source is closed without a word', () => {
  for (const input of [null, 5, 'text', {}, { destroy: 1 }])
    closeSource(input as unknown as Iterable<unknown>)
})
