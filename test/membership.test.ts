import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ByteStream, StreamHandlers } from '../src/env.ts'
import { Membership } from '../src/membership.ts'
import { SeededRandom } from '../src/sim/random.ts'
import { profiles } from '../src/swim/config.ts'
import { StreamCodec } from '../src/wire/stream.ts'
import { config, envelope, Stage } from './support/stage.ts'

/** A stranger's end of a connection, which does not close by itself. */
class Stranger implements ByteStream {
  readonly remote = '10.66.0.1:666'
  readonly queuedBytes = 0
  readonly calls: string[] = []
  handlers: StreamHandlers | undefined

  listen(handlers: StreamHandlers): void {
    this.handlers = handlers
  }

  write(): boolean {
    this.calls.push('write')
    return true
  }

  writeAll(): boolean {
    return this.write()
  }

  pause(): void {}

  end(): void {
    this.calls.push('end')
  }

  destroy(): void {
    this.calls.push('destroy')
    this.handlers?.closed('local', undefined)
  }
}

test('a stranger that neither reads nor closes loses its place after one exchange time', async () => {
  const stage = new Stage()
  const { clock, env } = stage
  const membership = new Membership(env, () => {})
  await membership.start(config)
  const codec = new StreamCodec({ ...envelope, keyring: undefined }, new SeededRandom(1))
  const request = { type: 'pushPull', join: false, nodes: [], userState: new Uint8Array(0) } as const
  const strangers = Array.from({ length: 256 }, () => new Stranger())
  for (const stranger of strangers) {
    stage.accept(stranger)
    stranger.handlers?.data(codec.seal(request, 'dialer'))
    assert.deepEqual(stranger.calls, ['write', 'end'])
  }
  const refused = new Stranger()
  stage.accept(refused)
  assert.deepEqual(refused.calls, ['destroy'])
  clock.advance(profiles.local.tcpTimeoutMs)
  for (const stranger of strangers) assert.deepEqual(stranger.calls, ['write', 'end', 'destroy'])
  const served = new Stranger()
  stage.accept(served)
  served.handlers?.data(codec.seal(request, 'dialer'))
  assert.deepEqual(served.calls, ['write', 'end'])
  served.handlers?.closed('ended', undefined)
  await membership.close()
  assert.equal(clock.timers, 0)
})

test('closed while it binds, membership gives its sockets back and does not start', async () => {
  const { clock, open, env } = new Stage()
  const events: string[] = []
  const membership = new Membership(env, ({ type }) => events.push(type))
  const starting = membership.start(config)
  await membership.close()
  await assert.rejects(starting, /closed while it started/)
  assert.deepEqual([...open], [])
  assert.deepEqual(events, [])
  assert.equal(clock.timers, 0)
})
