/**
 * Names and what is said about them, each kept once. A member table holds numbers only; the registry turns
 * them into names and facets. Several machines of one process may share a registry: a simulator with 10,000
 * of them then keeps one copy of each name and Meta. Everything is counted by reference, so what no table
 * holds is gone.
 */
import type { Address } from '../env.ts'
import { formatAddress } from '../wire/address.ts'
import type { NodeRecord } from '../wire/stream.ts'
import type { TableImage } from './image.ts'

/** One set of facts about one name, shared by all tables that believe it. Never changed. */
export class Facet {
  /** IP bytes exactly as received: 4 and 16 byte forms of one address are different to peers. */
  readonly addr: Uint8Array
  readonly port: number
  readonly vsn: Uint8Array
  readonly meta: Uint8Array | undefined
  readonly address: Address
  /** The last record of a table that was made of it. Belongs to the member tables. */
  record: NodeRecord | undefined
  /** Next facet of the same name, 0 for none. Belongs to the registry. */
  next = 0
  refs = 0

  constructor(addr: Uint8Array, port: number, vsn: Uint8Array, meta: Uint8Array | undefined) {
    this.addr = addr.slice()
    this.port = port
    this.vsn = vsn.slice()
    this.meta = meta?.slice()
    this.address = formatAddress(this.addr, port)
  }

  at(addr: Uint8Array, port: number): boolean {
    return this.port === port && sameBytes(this.addr, addr)
  }

  says(vsn: Uint8Array, meta: Uint8Array | undefined): boolean {
    return sameBytes(this.vsn, vsn) && sameMeta(this.meta, meta)
  }
}

export class PeerRegistry {
  /** The last table that was sent or compared. Belongs to the member tables. */
  image: TableImage | undefined
  readonly #ids = new Map<string, number>()
  readonly #names: (string | undefined)[] = []
  readonly #refs: number[] = []
  readonly #firstFacet: number[] = []
  readonly #freeIds: number[] = []
  /** Ids by name; undefined after a name came or went. */
  #sorted: readonly number[] | undefined
  /** Slot 0 is never used: 0 means "no facet". */
  readonly #facets: (Facet | undefined)[] = [undefined]
  readonly #freeFacets: number[] = []

  /** Names held by at least one table. */
  get size(): number {
    return this.#ids.size
  }

  /** Above all ids of names given out so far. */
  get idEnd(): number {
    return this.#names.length
  }

  /** Facets held by at least one table. */
  get facetCount(): number {
    return this.#facets.length - 1 - this.#freeFacets.length
  }

  /** The id of a name, -1 if no table holds it. */
  find(name: string): number {
    return this.#ids.get(name) ?? -1
  }

  /** All ids, by name. */
  get sorted(): readonly number[] {
    this.#sorted ??= [...this.#ids].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, id]) => id)
    return this.#sorted
  }

  name(peer: number): string {
    return this.#names[peer]!
  }

  /** The id of a name, made if need be; one reference more. */
  acquire(name: string): number {
    let peer = this.#ids.get(name)
    if (peer === undefined) {
      peer = this.#freeIds.pop() ?? this.#names.length
      this.#ids.set(name, peer)
      this.#sorted = undefined
      this.#names[peer] = name
      this.#refs[peer] = 0
      this.#firstFacet[peer] = 0
    }
    this.#refs[peer]! += 1
    return peer
  }

  /** One reference more to a name and, if it is not 0, to facts about it. */
  retain(peer: number, facet: number): void {
    this.#refs[peer]! += 1
    if (facet !== 0) this.#facets[facet]!.refs += 1
  }

  release(peer: number): void {
    this.#refs[peer]! -= 1
    if (this.#refs[peer]! > 0) return
    this.#ids.delete(this.#names[peer]!)
    this.#sorted = undefined
    this.#names[peer] = undefined
    this.#freeIds.push(peer)
  }

  facet(facet: number): Facet {
    return this.#facets[facet]!
  }

  /** The id of these facts about a name, made (and the bytes copied) if need be; one reference more. */
  acquireFacet(
    peer: number,
    addr: Uint8Array,
    port: number,
    vsn: Uint8Array,
    meta: Uint8Array | undefined,
  ): number {
    for (let id = this.#firstFacet[peer]!; id !== 0; id = this.#facets[id]!.next) {
      const facet = this.#facets[id]!
      if (facet.at(addr, port) && facet.says(vsn, meta)) {
        facet.refs += 1
        return id
      }
    }
    const facet = new Facet(addr, port, vsn, meta)
    const id = this.#freeFacets.pop() ?? this.#facets.length
    facet.refs = 1
    facet.next = this.#firstFacet[peer]!
    this.#firstFacet[peer] = id
    this.#facets[id] = facet
    return id
  }

  releaseFacet(peer: number, released: number): void {
    const facet = this.#facets[released]!
    facet.refs -= 1
    if (facet.refs > 0) return
    if (this.#firstFacet[peer] === released) this.#firstFacet[peer] = facet.next
    else {
      let before = this.#facets[this.#firstFacet[peer]!]!
      while (before.next !== released) before = this.#facets[before.next]!
      before.next = facet.next
    }
    this.#facets[released] = undefined
    // It speaks in ids, and this one may soon be another's.
    this.image = undefined
    this.#freeFacets.push(released)
  }
}

/** The address in a message of others; '' if its IP is not one. */
export function claimedAddress(addr: Uint8Array, port: number): Address {
  return addr.length === 4 || addr.length === 16 ? formatAddress(addr, port) : ''
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false
  return true
}

/** Peers write "no Meta" as nil or as empty bytes; both mean the same. */
export function sameMeta(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return (a?.length ?? 0) === (b?.length ?? 0)
  return sameBytes(a, b)
}
