/**
 * The rings that shoal's is compared with, behind one shape. They are dependencies of bench/peers alone
 * (`npm ci --ignore-scripts` there); where they are not installed, the benchmarks say so and go on.
 */
import { EventEmitter } from 'node:events'
import { load, loadFarmhash, standIn } from './installed.ts'

export interface PeerRing {
  lookup(key: string): unknown
  add(member: string): void
  remove(member: string): void
}

export interface Peer {
  readonly name: string
  make(members: readonly string[]): PeerRing
}

/**
 * The ring of upring, without its gossip: `baseswim` needs an add-on that no longer builds, so an emitter stands
 * in for it and members arrive as its events. Where farmhash 3 has no binary (it is compiled at install), this
 * package's farmhash 5 answers: the same hash, some 15 ns slower a call.
 */
function swimHashring(): Peer {
  load.resolve('swim-hashring')
  standIn('baseswim', () => Object.assign(new EventEmitter(), { whoami: () => '' }))
  const native = loadFarmhash()
  const Ring = load('swim-hashring') as (options: object) => {
    swim: EventEmitter
    lookup(key: string): unknown
  }
  return {
    name: `swim-hashring (${native})`,
    make(members) {
      const ring = Ring({})
      const tell = (event: string, host: string): void => {
        ring.swim.emit(event, { host, meta: { ringname: 'hashring' } })
      }
      for (const host of members) tell('peerUp', host)
      return {
        lookup: (key) => ring.lookup(key),
        add: (host) => tell('peerUp', host),
        remove: (host) => tell('peerDown', host),
      }
    },
  }
}

function hashring(): Peer {
  const Ring = load('hashring') as new (
    members: string[],
  ) => { get(key: string): string; add(member: string): void; remove(member: string): void }
  return {
    name: 'hashring',
    make(members) {
      const ring = new Ring([...members])
      return {
        lookup: (key) => ring.get(key),
        add: (member) => ring.add(member),
        remove: (member) => ring.remove(member),
      }
    },
  }
}

/** The peers that are installed; names the others on the console. */
export function installedPeers(): Peer[] {
  const peers: Peer[] = []
  for (const [name, make] of Object.entries({ 'swim-hashring': swimHashring, hashring })) {
    try {
      peers.push(make())
    } catch {
      console.log(`not installed, left out: ${name} (npm ci --ignore-scripts in bench/peers)`)
    }
  }
  return peers
}
