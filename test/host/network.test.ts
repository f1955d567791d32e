/** Real sockets on loopback: the only tests outside cluster/ that touch the system's network. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ByteStream, StreamClose } from '../../src/env.ts'
import { systemNetwork as network } from '../../src/host/network.ts'

interface Heard {
  readonly data: string[]
  closed: StreamClose | undefined
  connected: boolean
}

/** Listens to a stream and resolves what it is asked for. */
function hear(stream: ByteStream): {
  heard: Heard
  until: (done: (heard: Heard) => boolean) => Promise<void>
} {
  const heard: Heard = { data: [], closed: undefined, connected: false }
  const waiting: (() => void)[] = []
  const tell = (): void => {
    for (const check of [...waiting]) check()
  }
  stream.listen({
    connected() {
      heard.connected = true
      tell()
    },
    data(bytes) {
      heard.data.push(new TextDecoder().decode(bytes))
      tell()
    },
    drained() {},
    closed(reason) {
      heard.closed = reason
      tell()
    },
  })
  const until = (done: (heard: Heard) => boolean): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (done(heard)) resolve()
      }
      waiting.push(check)
      check()
    })
  return { heard, until }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('datagrams travel both ways between sockets on free ports', async () => {
  const got: string[] = []
  let arrived = (): void => {}
  const done = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const a = await network.datagrams('127.0.0.1:0', {
    packet(packet, from) {
      got.push(`a ${new TextDecoder().decode(packet)} ${from === b.local}`)
      arrived()
    },
    error: assert.fail,
  })
  const b = await network.datagrams('127.0.0.1:0', {
    packet(packet, from) {
      got.push(`b ${new TextDecoder().decode(packet)} ${from === a.local}`)
      b.send(bytes('pong'), from)
    },
    error: assert.fail,
  })
  a.send(bytes('ping'), b.local)
  await done
  assert.deepEqual(got, ['b ping true', 'a pong true'])
  await Promise.all([a.close(), b.close()])
  a.send(bytes('late'), b.local)
})

test('a datagram socket on a taken port is refused', async () => {
  const a = await network.datagrams('127.0.0.1:0', { packet() {}, error: assert.fail })
  await assert.rejects(network.datagrams(a.local, { packet() {}, error: assert.fail }), {
    code: 'EADDRINUSE',
  })
  await a.close()
})

test('a stream carries bytes both ways and ends in good order', async () => {
  const accepted: ByteStream[] = []
  const listener = await network.listen('127.0.0.1:0', (stream) => {
    accepted.push(stream)
    const server = hear(stream)
    void server
      .until(({ data }) => data.join('') === 'hello')
      .then(() => {
        stream.write(bytes('world'))
        stream.end()
      })
  })
  const dialled = network.dial(listener.local)
  const client = hear(dialled)
  await client.until(({ connected }) => connected)
  dialled.write(bytes('hel'))
  dialled.write(bytes('lo'))
  await client.until(({ closed }) => closed !== undefined)
  assert.equal(client.heard.data.join(''), 'world')
  assert.equal(client.heard.closed, 'ended')
  assert.equal(dialled.write(bytes('late')), false)
  await listener.close()
})

test('what is written together arrives in order, and nothing is written to a stream that is over', async () => {
  let accepted: ByteStream | undefined
  const listener = await network.listen('127.0.0.1:0', (stream) => {
    accepted = stream
    hear(stream)
    stream.writeAll([bytes('one '), bytes('two '), bytes('three')])
    stream.writeAll([bytes('!')])
    stream.end()
    assert.equal(stream.writeAll([bytes('late'), bytes('later')]), false)
  })
  const { heard, until } = hear(network.dial(listener.local))
  await until(({ closed }) => closed !== undefined)
  assert.equal(heard.data.join(''), 'one two three!')
  accepted?.destroy()
  assert.equal(accepted?.writeAll([bytes('x')]), false)
  await listener.close()
})

test('a dial where nobody listens is refused, a destroyed stream closes as local, its peer as reset or ended', async () => {
  let server: ReturnType<typeof hear> | undefined
  const listener = await network.listen('127.0.0.1:0', (stream) => {
    server = hear(stream)
  })
  const dialled = network.dial(listener.local)
  const client = hear(dialled)
  await client.until(({ connected }) => connected)
  dialled.destroy()
  await client.until(({ closed }) => closed !== undefined)
  assert.equal(client.heard.closed, 'local')
  await server?.until(({ closed }) => closed !== undefined)
  await listener.close()
  const refused = hear(network.dial(listener.local))
  await refused.until(({ closed }) => closed !== undefined)
  assert.equal(refused.heard.closed, 'refused')
})

test('an IP resolves to itself, a name to its addresses, nonsense to nothing', async () => {
  assert.deepEqual(await network.resolve('127.0.0.1'), ['127.0.0.1'])
  assert.ok((await network.resolve('localhost')).some((ip) => ip === '127.0.0.1' || ip === '::1'))
  await assert.rejects(network.resolve('no.such.host.invalid'))
})

test('an IPv6 socket for all addresses reaches IPv4 peers too, and says their address as they do', async (context) => {
  const heard: string[] = []
  let count = (): void => {}
  const both = new Promise<void>((resolve) => {
    count = () => {
      if (heard.length === 2) resolve()
    }
  })
  const hearing = (name: string) => ({
    packet(_bytes: Uint8Array, from: string) {
      heard.push(`${name} from ${from}`)
      count()
    },
    error(error: Error) {
      heard.push(`${name} ${error.message}`)
      count()
    },
  })
  const wide = await network.datagrams('[::]:0', hearing('wide')).catch(() => undefined)
  if (wide === undefined) return context.diagnostic('this machine has no IPv6')
  const narrow = await network.datagrams('127.0.0.1:0', hearing('narrow'))
  const port = wide.local.slice(wide.local.lastIndexOf(':') + 1)
  wide.send(bytes('to IPv4'), narrow.local)
  narrow.send(bytes('to both'), `127.0.0.1:${port}`)
  await both
  assert.deepEqual(heard.sort(), [`narrow from 127.0.0.1:${port}`, `wide from ${narrow.local}`])
  await wide.close()
  await narrow.close()
})

test('received bytes are no Buffer: a slice of them is a copy', async () => {
  const received: Uint8Array[] = []
  let arrived = (): void => {}
  const done = new Promise<void>((resolve) => {
    arrived = resolve
  })
  const socket = await network.datagrams('127.0.0.1:0', {
    packet(packet) {
      received.push(packet)
      arrived()
    },
    error() {},
  })
  socket.send(bytes('x'), socket.local)
  await done
  assert.ok(!Buffer.isBuffer(received[0]))
  assert.notEqual(received[0]?.slice().buffer, received[0]?.buffer)
  await socket.close()
})

test('an address that is none is an error of the socket, never thrown at the sender', async () => {
  const errors: string[] = []
  const socket = await network.datagrams('127.0.0.1:0', {
    packet() {},
    error: (error, to) => errors.push(`${to}: ${error.name}`),
  })
  socket.send(bytes('x'), '')
  assert.deepEqual(errors, [': RangeError'])
  await socket.close()
})

test('what arrives cannot be transferred away from those who share its buffer', async () => {
  let taken: Uint8Array | undefined
  const listener = await network.listen('127.0.0.1:0', (stream) => {
    stream.listen({
      connected() {},
      data(arrived) {
        taken ??= arrived
        stream.destroy()
      },
      drained() {},
      closed() {},
    })
  })
  const stream = network.dial(listener.local)
  const { until } = hear(stream)
  await until(({ connected }) => connected)
  stream.write(new Uint8Array(8_192))
  await until(({ closed }) => closed !== undefined)
  assert.ok(taken !== undefined && taken.length >= 4_096)
  const { length } = taken
  try {
    structuredClone(taken, { transfer: [taken.buffer as ArrayBuffer] })
  } catch {
    // From Node 21 on.
  }
  assert.equal(taken.length, length)
  await listener.close()
})
