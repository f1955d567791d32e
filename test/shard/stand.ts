/** An admission and calls that come to it, without routers: each takes its time when it runs. */

import { checkLimits } from '../../src/limits.ts'
import type { CallFailure } from '../../src/rpc/call.ts'
import { Admission, type AdmissionLimits } from '../../src/shard/admission.ts'
import { QueuedCall } from '../../src/shard/lanes.ts'
import { SeededRandom } from '../../src/sim/random.ts'
import { HandClock } from '../support/clock.ts'

export interface Offer {
  readonly peer?: string
  readonly method?: string
  /** How long its handler blocks the loop. */
  readonly ms?: number
  readonly deadline?: number
  readonly bulk?: boolean
  readonly key?: string
  readonly bytes?: number
  /** Its handler does not return at once, but when told. */
  readonly isAsync?: boolean
}

export class Call extends QueuedCall {
  readonly stand: Stand
  readonly name: string
  readonly ms: number
  readonly from: string
  readonly isAsync: boolean
  readonly failures: CallFailure[] = []
  ranAt: number | undefined
  end: () => void = () => {}

  constructor(stand: Stand, name: string, offer: Offer) {
    super(offer.method ?? 'm', offer.key, offer.deadline ?? Infinity, offer.bulk ?? false, offer.bytes ?? 10)
    this.stand = stand
    this.name = name
    this.ms = offer.ms ?? 0
    this.from = offer.peer ?? 'ann'
    this.isAsync = offer.isAsync ?? false
  }

  override start(): void {
    const { admission, clock, ran } = this.stand
    this.ranAt = clock.now()
    ran.push(this.name)
    clock.jump(this.ms)
    if (!this.isAsync) return
    const slot = admission.begin(this.method, this.from, false)
    this.end = () => {
      this.end = () => {}
      if (slot !== undefined) admission.end(slot, false, false)
      clock.settle()
    }
  }

  override refuse(failure: CallFailure): void {
    this.failures.push(failure)
  }
}

export class Stand {
  readonly clock: HandClock = new HandClock()
  readonly admission: Admission
  readonly ran: string[] = []
  readonly notices: { readonly code: string; readonly at: number }[] = []
  readonly calls: Call[] = []

  constructor(limits: Partial<AdmissionLimits> = {}, enabled = true) {
    this.admission = new Admission(checkLimits(limits), enabled, {
      self: 'me',
      clock: this.clock,
      random: new SeededRandom(1),
      notice: (_level, code) => this.notices.push({ code, at: this.clock.now() }),
    })
  }

  /** A call comes; what follows from it waits for the end of the turn. */
  offer(name: string, offer: Offer = {}): Call {
    const call = new Call(this, name, offer)
    this.calls.push(call)
    if (this.admission.enter()) call.start()
    else this.admission.wait(call, call.from)
    return call
  }

  /** So many calls come at once. */
  burst(name: string, count: number, offer: Offer = {}): Call[] {
    return Array.from({ length: count }, (_, i) => this.offer(`${name}${i + 1}`, offer))
  }

  /** One more turn of the loop: those who wait have a slice. */
  turn(): void {
    this.clock.turn()
  }

  get refused(): number {
    return this.calls.filter(({ failures }) => failures.length > 0).length
  }
}
