/**
 * The rule of hops: a keyed call travels to the node that its caller takes for the owner, and from there once more at
 * most. Read from the frames themselves.
 */
import type { Millis } from '../../env.ts'
import { flag, frameType } from '../../wire/frame.ts'
import type { FrameReader } from '../../wire/frame-reader.ts'
import type { Wire } from '../wire.ts'
import type { FrameRule } from './frames.ts'
import { Violation } from './violation.ts'

/** How often a request may have been forwarded when it travels. */
const hopsMax = 1

export class Hops implements FrameRule {
  readonly #now: () => Millis

  constructor(now: () => Millis) {
    this.#now = now
  }

  frame({ from, to }: Wire, type: number, { flags, hops, key }: FrameReader): void {
    if (type !== frameType.request || (flags & flag.keyed) === 0 || hops <= hopsMax) return
    const call = `a call for key "${key}" that had been forwarded ${hops} times`
    throw new Violation('hops', this.#now(), `${from.name} sent ${to.name} ${call}`)
  }
}
