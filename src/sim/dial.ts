/**
 * Connecting: a question to the other kernel and its answer. Silence is asked again after 1, 2, 4 … s (RFC 6298), until
 * the process has waited long enough.
 */
import { joinAddress } from '../address.ts'
import type { Address, Millis } from '../env.ts'
import { type Host, type Place, systemError } from './hosts.ts'
import { type Loop, traceKind } from './loop.ts'
import { Pipe } from './pipe.ts'
import { SimStream } from './stream.ts'
import { toTicks } from './time.ts'
import { loopbackMs, type World } from './world.ts'

/** How long a dial may take before it counts as failed, as in `host/`. */
const dialTimeoutMs = 5_000
const synRetryMs = 1_000
const synBytes = 40

/** Starts to connect. Throws a `RangeError` for what is no address. */
export function dial(world: World, host: Host, loop: Loop, to: Address): SimStream {
  const place = world.hosts.parse(to)
  const stream = new SimStream(world, host, loop, to)
  if (loop.dead) stream.kill(true)
  else new Dial(world, host, loop, place, stream).start()
  return stream
}

class Dial {
  readonly #world: World
  readonly #host: Host
  readonly #loop: Loop
  readonly #place: Place
  readonly #stream: SimStream
  readonly #target: Host | undefined
  readonly #scope: 'own' | 'loopback'
  readonly #from: Address
  #tries = 0

  constructor(world: World, host: Host, loop: Loop, place: Place, stream: SimStream) {
    this.#world = world
    this.#host = host
    this.#loop = loop
    this.#place = place
    this.#stream = stream
    const home = host.scopeOf(place.ip)
    this.#target = home === undefined ? world.hosts.at(place.ip) : host
    this.#scope = home === undefined || home === 'own' ? 'own' : 'loopback'
    this.#from = joinAddress(this.#scope === 'own' ? host.ip : '127.0.0.1', host.outPort())
  }

  start(): void {
    const timer = this.#loop.clock.setTimer(dialTimeoutMs, () => {
      if (this.#stream.isKnown) return
      const { remote } = this.#stream
      this.#stream.failed('failed', new Error(`no answer from ${remote} within ${dialTimeoutMs} ms`))
    })
    this.#ask(() => timer.cancel())
  }

  #ask(answered: () => void): void {
    const stream = this.#stream
    if (stream.isGone || stream.isEstablished) return
    const { scheduler } = this.#world
    scheduler.at(scheduler.now + synRetryMs * 2 ** this.#tries, () => this.#ask(answered))
    this.#tries += 1
    const target = this.#target
    if (target === undefined) return
    this.#pass(this.#host, target, () => {
      const listener = target.listeners.find(this.#scope, this.#place.port)
      if (listener?.isFull) this.#world.counters.backlogOverflowed += 1
      else
        this.#pass(target, this.#host, () => {
          if (stream.isGone || stream.isEstablished) return
          answered()
          if (listener === undefined)
            stream.failed('refused', systemError('connect', 'ECONNREFUSED', stream.remote))
          else this.#connected(target)
        })
    })
  }

  #connected(target: Host): void {
    const stream = this.#stream
    const loop = this.#loop
    stream.connection = ++this.#world.connections
    const pipe = new Pipe(this.#world, this.#host, target, this.#place.port, stream, (item) => {
      const listener = item === 'open' ? target.listeners.find(this.#scope, this.#place.port) : undefined
      if (listener !== undefined) listener.connected(stream, this.#from)
      else if (stream.peer !== undefined) stream.peer.receive(item)
      // Nobody listens any more: this kernel knows of no such connection.
      else this.#pass(target, this.#host, () => stream.broken('ECONNRESET'))
    })
    stream.established(pipe)
    pipe.send('open')
    stream.pull()
    loop.now(traceKind.connected, () => stream.tellConnected())
  }

  /** One packet of the handshake; nobody hears of one that does not pass. */
  #pass(from: Host, to: Host, arrived: () => void): void {
    const { links, scheduler } = this.#world
    if (!from.isUp) return
    let delay: Millis | undefined = loopbackMs
    if (from !== to) delay = links.chunk(links.between(from.ip, to.ip), synBytes, scheduler.now)
    if (delay === undefined) return
    scheduler.at(scheduler.now + toTicks(delay), () => {
      if (to.isUp) arrived()
    })
  }
}
