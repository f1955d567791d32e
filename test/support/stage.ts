/** A network of nobody, on a hand-advanced clock: what membership opens, sends and accepts, for tests of its edges. */
import type { ByteStream, DatagramHandlers, Env, Network } from '../../src/env.ts'
import type { MembershipConfig } from '../../src/membership.ts'
import { SeededRandom } from '../../src/sim/random.ts'
import { defaultLimits, profiles, type SwimEnvelope } from '../../src/swim/config.ts'
import { HandClock } from './clock.ts'

export const envelope: SwimEnvelope = {
  label: '',
  keys: [],
  verifyIncoming: true,
  verifyOutgoing: true,
  compress: false,
}

export const config: MembershipConfig = {
  bind: '127.0.0.1:7946',
  advertise: { host: '127.0.0.1', port: undefined },
  tags: {},
  stalledAfterMs: 10_000,
  swim: {
    name: 'm',
    incarnation: 1,
    delegateVersions: [0, 0, 0],
    envelope,
    timing: profiles.local,
    limits: defaultLimits,
  },
}

export class Stage {
  readonly clock: HandClock = new HandClock()
  /** What is open. */
  readonly open: Set<string> = new Set()
  readonly sent: { readonly bytes: Uint8Array; readonly to: string }[] = []
  /** Makes the next `listen` fail. */
  bindError: Error | undefined
  readonly env: Env
  #accept: (stream: ByteStream) => void = () => {}
  #packets: DatagramHandlers | undefined

  constructor() {
    const socket = (name: string) => {
      this.open.add(name)
      return { local: '127.0.0.1:7946', close: () => Promise.resolve(void this.open.delete(name)) }
    }
    const network = {
      listen: (_bind: string, accept: (stream: ByteStream) => void) => {
        if (this.bindError !== undefined) return Promise.reject(this.bindError)
        this.#accept = accept
        return Promise.resolve(socket('listener'))
      },
      datagrams: (_bind: string, handlers: DatagramHandlers) => {
        this.#packets = handlers
        const send = (bytes: Uint8Array, to: string): void => void this.sent.push({ bytes, to })
        return Promise.resolve({ ...socket('datagrams'), send })
      },
      // Nobody answers.
      dial: () => ({ listen() {}, write: () => true, end() {}, destroy() {} }),
    } as unknown as Network
    this.env = { clock: this.clock, random: new SeededRandom(1), network }
  }

  accept(stream: ByteStream): void {
    this.#accept(stream)
  }

  packet(bytes: Uint8Array, from: string): void {
    this.#packets?.packet(bytes, from)
  }
}
