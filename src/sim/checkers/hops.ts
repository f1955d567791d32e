/**
 * The rule of hops: a keyed call travels to the node that its caller takes for the owner, and from there once more at
 * most. Read from the frames themselves, on every connection that begins as one of shoal's RPC.
 */
import type { Millis } from '../../env.ts'
import { flag, frameType } from '../../wire/frame.ts'
import { FrameReader } from '../../wire/frame-reader.ts'
import type { Wire } from '../wire.ts'
import { Violation } from './violation.ts'

/** How often a request may have been forwarded when it travels. */
const hopsMax = 1

export class Hops {
  readonly #now: () => Millis
  readonly #readers = new WeakMap<Wire, FrameReader>()

  constructor(now: () => Millis) {
    this.#now = now
  }

  /** Throws a `Violation`. */
  sent(wire: Wire, bytes: Uint8Array): void {
    let reader = this.#readers.get(wire)
    if (reader === undefined) {
      reader = new FrameReader()
      reader.frameBytesMax = Number.POSITIVE_INFINITY
      this.#readers.set(wire, reader)
    }
    // Gossip, or what a test plays by hand.
    if (reader.broken !== undefined) return
    reader.push(bytes)
    for (let type = reader.next(); type !== 0; type = reader.next()) {
      if (type !== frameType.request || (reader.flags & flag.keyed) === 0 || !reader.readRequest()) continue
      if (reader.hops <= hopsMax) continue
      const call = `a call for key "${reader.key}"`
      const { from, to } = wire
      throw new Violation(
        'hops',
        this.#now(),
        `${from.name} sent ${to.name} ${call} that had been forwarded ${reader.hops} times`,
      )
    }
  }
}
