/** The network that a split drill cuts, on real sockets: what is held, what is lost, and who hears of it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { CutNetwork } from '../../../src/cli/drill/cut.ts'
import { type ByteStream, type StreamHandlers, systemEnv } from '../../../src/index.ts'

const closing: (() => unknown)[] = []
after(() => Promise.all(closing.map((close) => close())))

/** One end of a connection: what it has heard. */
class End {
  text = ''
  readonly events: string[] = []
  readonly stream: ByteStream
  readonly #target = new EventTarget()

  constructor(stream: ByteStream) {
    this.stream = stream
    const tell = (what: string): void => {
      this.events.push(what)
      this.#target.dispatchEvent(new Event('news'))
    }
    stream.listen({
      connected: () => tell('connected'),
      data: (bytes) => {
        this.text += new TextDecoder().decode(bytes)
        this.#target.dispatchEvent(new Event('news'))
      },
      drained: () => tell('drained'),
      closed: (reason) => tell(reason),
    } satisfies StreamHandlers)
  }

  say(text: string): void {
    this.stream.write(new TextEncoder().encode(text))
  }

  async until(found: () => boolean): Promise<void> {
    const signal = AbortSignal.timeout(10_000)
    while (!found()) await once(this.#target, 'news', { signal })
  }
}

/** A server of one connection, and a network that can be cut from it. */
async function pair(): Promise<{ network: CutNetwork; address: string; accepted: Promise<End> }> {
  let accept = (_: End): void => {}
  const accepted = new Promise<End>((resolve) => {
    accept = resolve
  })
  const listener = await systemEnv.network.listen('127.0.0.1:0', (stream) => {
    accept(new End(stream))
    closing.push(() => stream.destroy())
  })
  closing.push(() => listener.close())
  return { network: new CutNetwork(systemEnv.network), address: listener.local, accepted }
}

/** Time for bytes that should not arrive to arrive. */
const quietMs = 60

test('bytes of a connection that is cut arrive in order when the cable is back, in both directions', async () => {
  const { network, address, accepted } = await pair()
  const here = new End(network.dial(address))
  closing.push(() => here.stream.destroy())
  await here.until(() => here.events.includes('connected'))
  const there = await accepted
  here.say('a')
  there.say('1')
  await Promise.all([there.until(() => there.text === 'a'), here.until(() => here.text === '1')])
  network.cut([address])
  here.say('b')
  here.say('c')
  there.say('2')
  await setTimeout(quietMs)
  assert.deepEqual([here.text, there.text], ['1', 'a'])
  assert.equal(here.stream.queuedBytes, 2)
  network.cut([])
  here.say('d')
  await Promise.all([there.until(() => there.text === 'abcd'), here.until(() => here.text === '12')])
})

test('a dial across the cut hears nothing until the cable is back, and what was written meanwhile goes along', async () => {
  const { network, address, accepted } = await pair()
  network.cut([address])
  const here = new End(network.dial(address))
  closing.push(() => here.stream.destroy())
  here.say('hello')
  await setTimeout(quietMs)
  assert.equal(here.events.length, 0)
  network.cut([])
  const there = await accepted
  await there.until(() => there.text === 'hello')
  assert.ok(here.events.includes('connected'))
})

test('who ends a connection across the cut is rid of it at once; the other end hears of it when the cable is back', async () => {
  const { network, address, accepted } = await pair()
  const here = new End(network.dial(address))
  await here.until(() => here.events.includes('connected'))
  const there = await accepted
  network.cut([address])
  here.stream.destroy()
  await here.until(() => here.events.includes('local'))
  await setTimeout(quietMs)
  assert.equal(there.events.length, 0)
  network.cut([])
  await there.until(() => there.events.length > 0)
  assert.equal(here.events.filter((what) => what === 'local').length, 1)
})

test('datagrams across the cut are lost, whichever side sends them', async () => {
  const network = new CutNetwork(systemEnv.network)
  const heard: string[] = []
  const news = new EventTarget()
  const hear = (where: string) => (bytes: Uint8Array) => {
    heard.push(`${where} ${new TextDecoder().decode(bytes)}`)
    news.dispatchEvent(new Event('news'))
  }
  const error = (): void => {}
  const here = await network.datagrams('127.0.0.1:0', { packet: hear('here'), error })
  const there = await systemEnv.network.datagrams('127.0.0.1:0', { packet: hear('there'), error })
  closing.push(
    () => here.close(),
    () => there.close(),
  )
  const send = (text: string): void => {
    here.send(new TextEncoder().encode(text), there.local)
    there.send(new TextEncoder().encode(text), here.local)
  }
  network.cut([there.local])
  send('lost')
  await setTimeout(quietMs)
  network.cut([])
  send('found')
  const signal = AbortSignal.timeout(10_000)
  while (heard.length < 2) await once(news, 'news', { signal })
  assert.deepEqual(heard.sort(), ['here found', 'there found'])
})
