/** A listening TCP port. The kernel completes connections by itself; they wait until the process takes them. */
import { joinAddress } from '../address.ts'
import type { Address, ByteStream, Listener } from '../env.ts'
import type { Host, Scope } from './hosts.ts'
import { type Loop, traceKind } from './loop.ts'
import { Pipe } from './pipe.ts'
import { SimStream } from './stream.ts'
import type { World } from './world.ts'

/** Connections the kernel keeps for `accept`, as many as shoal asks for; further ones get no answer. */
export const backlogMax = 511

export class SimListener implements Listener {
  readonly local: Address
  readonly loop: Loop
  readonly #world: World
  readonly #host: Host
  readonly #scope: Scope
  readonly #port: number
  readonly #accept: (stream: ByteStream) => void
  #isOpen = true
  #waiting = 0

  constructor(
    world: World,
    host: Host,
    loop: Loop,
    bind: Address,
    scope: Scope,
    accept: (stream: ByteStream) => void,
  ) {
    const { ip, port } = world.hosts.parse(bind)
    this.#world = world
    this.#host = host
    this.loop = loop
    this.#scope = scope
    this.#port = port
    this.#accept = accept
    this.local = joinAddress(ip, port)
    host.listeners.take(scope, port, this)
  }

  /** No place for another connection. */
  get isFull(): boolean {
    return this.#waiting >= backlogMax
  }

  close(): Promise<void> {
    this.#isOpen = false
    this.#host.listeners.release(this.#scope, this.#port, this)
    return Promise.resolve()
  }

  /** A connection stands. `from` is how the dialler's address looks from here. */
  connected(dialler: SimStream, from: Address): void {
    const stream = new SimStream(this.#world, this.#host, this.loop, from)
    const { host } = dialler
    stream.connection = dialler.connection
    const pipe = new Pipe(this.#world, this.#host, host, this.#port, stream, (item) => dialler.receive(item))
    stream.established(pipe)
    stream.peer = dialler
    dialler.peer = stream
    if (this.isFull) {
      this.#world.counters.backlogOverflowed += 1
      stream.kill(false)
      return
    }
    if (this.loop.isFree) {
      this.loop.enter(traceKind.accepted)
      stream.introduce(() => this.#accept(stream))
      return
    }
    this.#waiting += 1
    this.loop.soon(traceKind.accepted, () => {
      this.#waiting -= 1
      if (this.#isOpen) stream.introduce(() => this.#accept(stream))
      else stream.kill(false)
    })
  }
}
