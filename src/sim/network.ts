/** The network as one simulated process sees it: `Network` of env.ts over hosts, links, datagrams and streams. */
import { joinAddress } from '../address.ts'
import type { Address, Network } from '../env.ts'
import { Datagrams } from './datagrams.ts'
import { dial } from './dial.ts'
import { type Host, isIp, type Scope, systemError } from './hosts.ts'
import { SimListener } from './listener.ts'
import { type Loop, traceKind } from './loop.ts'
import type { World } from './world.ts'

/** How long a look-up of a name takes. */
const lookUpMs = 0.5

/** A name that leads to a machine, or none. */
function lookUp(world: World, name: string): string[] {
  if (isIp(name)) return [name]
  if (name === 'localhost') return ['127.0.0.1']
  const found = world.hosts.find(name)
  if (found === undefined) throw systemError('getaddrinfo', 'ENOTFOUND', name)
  return [found.ip]
}

/** Takes a port for `make`, or rejects as the kernel would. */
function bind<T>(
  world: World,
  host: Host,
  loop: Loop,
  address: Address,
  kind: 'datagrams' | 'listeners',
  make: (address: Address, scope: Scope) => T,
): Promise<T> {
  const call = kind === 'datagrams' ? 'bind' : 'listen'
  return new Promise((resolve, reject) => {
    const { ip, port } = world.hosts.parse(address)
    if (loop.dead) return
    const ports = host[kind]
    const scope = host.scopeOf(ip)
    const chosen = scope === undefined || port !== 0 ? port : host.freePort(ports, scope)
    const bound = joinAddress(ip, chosen ?? 0)
    let code: string | undefined
    if (scope === undefined) code = 'EADDRNOTAVAIL'
    else if (chosen === undefined || ports.isTaken(scope, chosen)) code = 'EADDRINUSE'
    if (code !== undefined) {
      const error = systemError(call, code, bound)
      loop.soon(traceKind.error, () => reject(error))
    } else {
      const made = make(bound, scope as Scope)
      loop.soon(traceKind.bound, () => resolve(made))
    }
  })
}

export function makeNetwork(world: World, host: Host, loop: Loop): Network {
  return {
    datagrams: (address, handlers) =>
      bind(
        world,
        host,
        loop,
        address,
        'datagrams',
        (bound, scope) => new Datagrams(world, host, loop, bound, scope, handlers),
      ),
    listen: (address, accept) =>
      bind(
        world,
        host,
        loop,
        address,
        'listeners',
        (bound, scope) => new SimListener(world, host, loop, bound, scope, accept),
      ),
    dial: (to) => dial(world, host, loop, to),
    resolve: (name) =>
      new Promise((resolve, reject) => {
        const { scheduler } = world
        scheduler.at(scheduler.now + lookUpMs, () =>
          loop.soon(traceKind.resolved, () => {
            try {
              resolve(lookUp(world, name))
            } catch (error) {
              reject(error)
            }
          }),
        )
      }),
  }
}
