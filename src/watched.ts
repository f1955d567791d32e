/**
 * Membership with a watch on the loop it runs in. The watch notices when the loop did not run, has the view
 * checked with peers then, and measures how far the main loop is behind: from another thread while it lasts, in the main
 * loop itself by its own late timer, afterwards.
 */
import type { Env, Millis, Timer } from './env.ts'
import { type LagStep, LagSteps, slowMs, stuckMs } from './lag.ts'
import {
  Membership,
  type MembershipCommand,
  type MembershipConfig,
  type MembershipEvent,
  type MembershipPort,
} from './membership.ts'
import { PauseWatch, type WatchTiming, watchTiming } from './pause.ts'

export class WatchedMembership implements MembershipPort {
  readonly #env: Env
  readonly #emit: (event: MembershipEvent) => void
  readonly #mainLagMs: (() => Millis) | undefined
  readonly #membership: Membership
  #timing: WatchTiming = watchTiming(0)
  #watch: PauseWatch
  #steps: LagSteps | undefined
  #timer: Timer | undefined
  #beatDueAt: Millis = 0
  #closed = false
  /** The check of the view that is under way; 0 if none is. */
  #checking = 0
  #checks = 0
  #pausedMs: Millis = 0
  /** The last question about the view that waits for the check; 0 if none does. */
  #asker = 0

  /** `mainLagMs`: how long the main loop has not answered; absent in the main loop itself. */
  constructor(env: Env, emit: (event: MembershipEvent) => void, mainLagMs?: () => Millis) {
    this.#env = env
    this.#emit = emit
    this.#mainLagMs = mainLagMs
    this.#membership = new Membership(env, (event) => this.#take(event))
    this.#watch = new PauseWatch(env.clock, Infinity)
  }

  async start(config: MembershipConfig): Promise<number> {
    const port = await this.#membership.start(config)
    const { clock } = this.#env
    this.#timing = watchTiming(config.swim.timing.probeTimeoutMs)
    this.#watch = new PauseWatch(clock, this.#timing.pauseMs)
    const most: LagStep = this.#mainLagMs === undefined ? slowMs : stuckMs
    this.#steps = new LagSteps(config.stalledAfterMs, most)
    this.#arm()
    return port
  }

  send(command: MembershipCommand): void {
    if (command.type === 'validate') this.#validate(command.id)
    else this.#membership.send(command)
  }

  close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    this.#timer = undefined
    return this.#membership.close()
  }

  /** Takes what the main loop's lag is now, or was. */
  observe(lagMs: Millis): void {
    const steps = this.#steps
    if (steps?.observe(lagMs, this.#env.clock.now())) this.#membership.tellLag(steps.step, steps.stalled)
  }

  /** Whoever may act on an old view, or on time that nobody saw pass, looks first. */
  look(): void {
    const ms = this.#watch.look()
    if (ms === 0) return
    this.#pausedMs += ms
    this.#checking = ++this.#checks
    this.#emit({ type: 'paused', ms })
    this.#membership.woke(ms, this.#checking)
  }

  #arm(): void {
    if (this.#closed) return
    const { clock } = this.#env
    const { beatMs } = this.#timing
    this.#beatDueAt = clock.now() + beatMs
    this.#timer = clock.setTimer(beatMs, () => this.#beat())
  }

  #beat(): void {
    const lateMs = this.#env.clock.now() - this.#beatDueAt
    this.look()
    this.#arm()
    this.#emit({ type: 'beat' })
    this.observe(this.#mainLagMs?.() ?? lateMs)
  }

  #validate(id: number): void {
    // Before the look: whoever hears of a pause from it asks again, and needs no answer to what it asked before.
    this.#asker = id
    this.look()
    if (this.#checking !== 0 || this.#asker !== id) return
    this.#asker = 0
    this.#emit({ type: 'validated', id, pausedMs: 0, asked: 0, answered: 0 })
  }

  #take(event: MembershipEvent): void {
    if (event.type !== 'validated') {
      this.#emit(event)
      return
    }
    // The answer to a check that another pause has overtaken.
    if (event.id !== this.#checking) return
    const { asked, answered } = event
    const validation = { pausedMs: this.#pausedMs, asked, answered }
    const asker = this.#asker
    this.#checking = 0
    this.#asker = 0
    this.#pausedMs = 0
    this.#emit({ type: 'validated', id: 0, ...validation })
    if (asker !== 0) this.#emit({ type: 'validated', id: asker, ...validation })
  }
}
