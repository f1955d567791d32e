/**
 * Machines and their ports. A machine has one IP address and keeps it over restarts of its process; its loopback
 * addresses mean itself. Ports behave as in the kernel: one owner each, free again once closed.
 */
import { splitAddress } from '../address.ts'
import type { Address } from '../env.ts'
import type { Datagrams } from './datagrams.ts'
import type { SimListener } from './listener.ts'
import type { Loop } from './loop.ts'
import type { SimStream } from './stream.ts'

/** Machines of one world; their addresses are 10.0.0.0/8. */
const hostsMax = 65_534
/** The kernel's range for ports that nobody chose (net.ipv4.ip_local_port_range). */
const freePorts = { from: 32_768, to: 60_999 } as const
/** Parsed addresses kept. */
const parsedMax = 4_096

/** Which of a machine's addresses is meant. */
export type Scope = 'own' | 'loopback' | 'any'

class Ports<T extends { readonly loop: Loop }> {
  readonly #scopes: Readonly<Record<Scope, Map<number, T>>> = {
    own: new Map(),
    loopback: new Map(),
    any: new Map(),
  }

  /** Who gets what arrives for this address. */
  find(scope: Scope, port: number): T | undefined {
    return this.#scopes[scope].get(port) ?? this.#scopes.any.get(port)
  }

  isTaken(scope: Scope, port: number): boolean {
    const { own, loopback, any } = this.#scopes
    if (any.has(port)) return true
    return scope === 'any' ? own.has(port) || loopback.has(port) : this.#scopes[scope].has(port)
  }

  take(scope: Scope, port: number, owner: T): void {
    this.#scopes[scope].set(port, owner)
  }

  release(scope: Scope, port: number, owner: T): void {
    if (this.#scopes[scope].get(port) === owner) this.#scopes[scope].delete(port)
  }

  /** Frees the ports of a loop that is gone. */
  releaseAll(loop: Loop): void {
    for (const ports of Object.values(this.#scopes)) {
      for (const [port, owner] of ports) if (owner.loop === loop) ports.delete(port)
    }
  }
}

export class Host {
  readonly ip: string
  readonly name: string
  /** Without power nothing answers, not even that nobody listens. */
  isUp = false
  readonly datagrams: Ports<Datagrams> = new Ports()
  readonly listeners: Ports<SimListener> = new Ports()
  /** Connections that the kernel of this machine holds. */
  readonly streams: Set<SimStream> = new Set()
  #nextPort: number = freePorts.from

  constructor(ip: string, name: string) {
    this.ip = ip
    this.name = name
  }

  /** Which of its addresses this is; `undefined` if it is another machine's. */
  scopeOf(ip: string): Scope | undefined {
    if (ip === this.ip) return 'own'
    if (ip === '0.0.0.0' || ip === '::') return 'any'
    return isLoopback(ip) ? 'loopback' : undefined
  }

  /** Closes what a loop had opened: its ports are free, each of its connections ends as `end` says. */
  releaseAll(loop: Loop, end: (stream: SimStream) => void): void {
    this.datagrams.releaseAll(loop)
    this.listeners.releaseAll(loop)
    for (const stream of [...this.streams]) if (stream.loop === loop) end(stream)
  }

  /** A port that nobody has. */
  freePort(ports: { isTaken(scope: Scope, port: number): boolean }, scope: Scope): number | undefined {
    const range = freePorts.to - freePorts.from + 1
    for (let tried = 0; tried < range; tried += 1) {
      const port = this.outPort()
      if (!ports.isTaken(scope, port)) return port
    }
    return undefined
  }

  /** The port that a connection goes out from; the next one each time. */
  outPort(): number {
    const port = this.#nextPort
    this.#nextPort = port === freePorts.to ? freePorts.from : port + 1
    return port
  }
}

function isLoopback(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1'
}

/** Whether the text is an IP address, as far as a simulated resolver has to know. */
export function isIp(host: string): boolean {
  return /^(?:\d{1,3}\.){3}\d{1,3}$/.test(host) || host.includes(':')
}

/** Where an address leads, as seen from one machine. */
export interface Place {
  readonly ip: string
  readonly port: number
}

export class Hosts {
  readonly #byName = new Map<string, Host>()
  readonly #byIp = new Map<string, Host>()
  readonly #parsed = new Map<Address, Place>()

  get all(): Iterable<Host> {
    return this.#byName.values()
  }

  /** A new machine of that name, with an address of its own. */
  add(name: string): Host {
    const number = this.#byName.size + 1
    if (number > hostsMax) throw new RangeError(`a simulation has at most ${hostsMax} machines`)
    const host = new Host(`10.0.${number >> 8}.${number & 255}`, name)
    this.#byName.set(name, host)
    this.#byIp.set(host.ip, host)
    return host
  }

  find(name: string): Host | undefined {
    return this.#byName.get(name)
  }

  at(ip: string): Host | undefined {
    return this.#byIp.get(ip)
  }

  /** The parts of an address; throws a `RangeError` that names it when it is not one. */
  parse(address: Address): Place {
    let place = this.#parsed.get(address)
    if (place !== undefined) return place
    const found = splitAddress(address)
    if (found === undefined) throw new RangeError(`"${address}" is not host:port (IPv6 hosts go in brackets)`)
    place = { ip: found.host, port: found.port }
    if (this.#parsed.size >= parsedMax) this.#parsed.clear()
    this.#parsed.set(address, place)
    return place
  }
}

/** A failure of a system call, as Node reports it. */
export function systemError(call: string, code: string, address: string): Error {
  const error = new Error(`${call} ${code} ${address}`)
  return Object.assign(error, { code, syscall: call })
}
