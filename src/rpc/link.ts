/**
 * Drives one `Mux` on one byte stream: bytes in, writes out once per turn, its deadline on one alarm. Decides
 * nothing; who should be connected to whom is the business of peer.ts.
 */
import type { ByteStream, Clock, Millis, StreamClose } from '../env.ts'
import type { Body } from '../wire/body.ts'
import type { GoawayCode } from '../wire/frame.ts'
import { Alarm, type AlarmCount } from './alarm.ts'
import { answerShed, HeldAnswers, streamsFull } from './answers.ts'
import { silentLinkMs } from './breaker.ts'
import type { CallFailure, IncomingCall } from './call.ts'
import type { RpcLimits } from './config.ts'
import type { Answerer, Incoming } from './incoming.ts'
import type { Mux } from './mux.ts'
import type { CallHolder, OutgoingCall } from './outgoing.ts'
import type { ChunkWriter } from './stream.ts'
import { Vigil } from './vigil.ts'
import type { Violation } from './violation.ts'

/** What a link tells those who made it. */
export interface LinkOwner {
  readonly clock: Clock
  readonly limits: RpcLimits
  readonly alarms: AlarmCount
  opened(link: Link): void
  /** The peer said goodbye or refuses us. */
  goaway(link: Link, code: GoawayCode, message: string): void
  /** Bytes came while the link is `watched`. */
  heard(link: Link): void
  /** Calls on it timed out, and nothing came since. */
  silent(link: Link): void
  /** We close the connection. */
  closing(link: Link, code: GoawayCode, message: string, violation: Violation | undefined): void
  /** The stream is gone; every call on it is settled. */
  ended(link: Link, reason: StreamClose): void
  incoming(call: IncomingCall): void
  /** Whether what came of keyed calls may leave now; asked just before it would. */
  mayAnswer(): boolean
  /** Something was handed to the stream, or the stream handed on all it had. */
  flushed(link: Link): void
}

export class Link implements Answerer, CallHolder {
  readonly mux: Mux
  readonly stream: ByteStream
  /** We dialled. */
  readonly dialled: boolean
  /** Name and boot of the peer: what was dialled, then what its hello said. */
  name: string | undefined
  boot: string | undefined
  /** Both said hello. */
  open = false
  /** Whether `heard` is to be told. */
  watched = false
  /** When both had said hello. */
  openedAt: Millis = 0
  /** The end is nobody's failure: one side said goodbye before. */
  orderly = false
  /** What the peer said when it refused us or left. */
  parting: string | undefined

  readonly #owner: LinkOwner
  readonly #alarm: Alarm
  readonly #vigil = new Vigil()
  readonly #flush: () => void
  /** What came of keyed calls that ran here, until the end of the turn, or until this node may answer again. */
  readonly #answers: HeldAnswers
  #flushDue = false
  #connected: boolean
  #gone = false
  #lingersUntil = Number.POSITIVE_INFINITY
  /** A peer that is told of a duplicate says the same at once; one that does not has lost the connection unheard. */
  #answerBy = Number.POSITIVE_INFINITY

  constructor(owner: LinkOwner, stream: ByteStream, mux: Mux, dialled: string | undefined) {
    this.#owner = owner
    this.stream = stream
    this.mux = mux
    this.dialled = dialled !== undefined
    this.name = dialled
    this.#connected = !this.dialled
    this.#alarm = new Alarm(owner.clock, owner.alarms, () => this.#tick())
    this.#flush = () => this.#flushNow()
    this.#answers = new HeldAnswers(owner.limits.queuedBytesMax)
    mux.onWrite = () => this.#flushLater()
    stream.listen({
      connected: () => {
        this.#connected = true
        mux.handle({ type: 'connected' }, owner.clock.now())
        this.#pump()
      },
      data: (bytes) => {
        mux.handle({ type: 'received', bytes }, owner.clock.now())
        // A queue that was never full empties without a word (`drained`), and chunks wait for it.
        if (mux.openStreams > 0) this.#backlog()
        this.#vigil.heard()
        this.#pump()
        if (this.watched && !mux.closed) owner.heard(this)
      },
      drained: () => {
        this.#backlog()
        owner.flushed(this)
      },
      closed: (reason) => this.#closed(reason),
    })
    this.#alarm.by(mux.deadline)
  }

  call(call: OutgoingCall): void {
    call.holder = this
    const { mux } = this
    const now = this.#owner.clock.now()
    if (this.#flushDue === false && this.stream.queuedBytes > 0) {
      mux.handle({ type: 'backlog', bytes: this.stream.queuedBytes }, now)
    }
    mux.handle({ type: 'call', call }, now)
    this.#alarm.by(mux.deadline)
    this.#flushLater()
  }

  /** Asks the peer for a sign of life. */
  ping(): void {
    this.mux.handle({ type: 'ping' }, 0)
    this.#flushLater()
  }

  cancelCall(call: OutgoingCall): void {
    this.mux.handle({ type: 'cancel', call }, this.#owner.clock.now())
    this.#flushLater()
  }

  /**
   * What says that nothing ran goes at once. The rest goes last in its turn, after one look at whether this node may
   * answer: nearest to the write, and once for all.
   */
  answer(call: Incoming, body: Body | undefined, failure: CallFailure | undefined): void {
    if (!call.ranHere || call.cancelled || failure?.mayHaveRun === false) this.#answerNow(call, body, failure)
    else if (!this.#answers.add(call, body, failure)) this.#answerNow(call, undefined, answerShed)
    this.#flushLater()
  }

  /** The stream of an answer; the answer itself goes as any other. */
  openStream(call: Incoming, body: Body): ChunkWriter | undefined {
    this.mux.handle({ type: 'open', call }, 0)
    if (call.writer === undefined) this.answer(call, undefined, streamsFull)
    else this.answer(call, body, undefined)
    return call.writer
  }

  /** This node may answer again. */
  release(): void {
    this.mux.release()
    if (this.#answers.size > 0 || this.mux.chunksReady) this.#flushLater()
  }

  /** Says goodbye; `closing` also settles every call on it before this returns. */
  goaway(code: GoawayCode, message: string): void {
    if (code !== 'leaving') this.orderly = true
    if (code === 'duplicate')
      this.#answerBy = Math.min(this.#answerBy, this.#owner.clock.now() + silentLinkMs)
    this.#answerAll()
    this.mux.handle({ type: 'goaway', code, message }, this.#owner.clock.now())
    if (this.mux.closed) this.#pump()
    else this.#flushLater()
  }

  #answerNow(call: Incoming, body: Body | undefined, failure: CallFailure | undefined): void {
    this.mux.handle({ type: 'answer', call, body, failure }, 0)
  }

  #answerAll(): void {
    if (this.#answers.size === 0 || !this.#owner.mayAnswer()) return
    for (const { call, body, failure } of this.#answers.takeAll()) this.#answerNow(call, body, failure)
  }

  #flushLater(): void {
    if (this.#flushDue) return
    this.#flushDue = true
    this.#owner.clock.defer(this.#flush)
  }

  #flushNow(): void {
    this.#flushDue = false
    this.#answerAll()
    const { mux } = this
    if (mux.chunksReady) {
      mux.handle(
        { type: 'chunks', mayAnswer: !mux.chunksGated || this.#owner.mayAnswer() },
        this.#owner.clock.now(),
      )
    }
    mux.handle({ type: 'flush' }, this.#owner.clock.now())
    this.#pump()
    this.#backlog()
    this.#owner.flushed(this)
  }

  /** Tells the mux what the stream still holds. */
  #backlog(): void {
    if (this.mux.closed) return
    this.mux.handle({ type: 'backlog', bytes: this.stream.queuedBytes }, this.#owner.clock.now())
    this.#pump()
  }

  #tick(): void {
    const now = this.#owner.clock.now()
    if (now >= this.#lingersUntil || (now >= this.#answerBy && !this.mux.heardGoaway)) this.stream.destroy()
    else {
      this.mux.handle({ type: 'tick' }, now)
      if (now >= this.#vigil.deadline) this.#look(now)
      this.#pump()
      if (this.mux.timeouts > 0) this.#owner.silent(this)
    }
  }

  /** Streams have no deadline by which anybody would notice that the other end is gone. */
  #look(now: Millis): void {
    const verdict = this.#vigil.look(this.mux.openStreams, this.stream.queuedBytes, now)
    if (verdict === 'ping') this.ping()
    else if (verdict === 'giveUp') this.goaway('closing', `silent for ${silentLinkMs} ms`)
  }

  /** Carries out what the mux says. Sinks and handlers run here and may call into this link again. */
  #pump(): void {
    const { mux } = this
    for (;;) {
      const output = mux.poll()
      if (output === undefined) break
      switch (output.type) {
        case 'settled':
          output.deliver()
          break
        case 'incoming':
          output.answerer = this
          this.#owner.incoming(output)
          break
        case 'stream':
          output.deliver()
          break
        case 'writable':
          if (output.call.writer !== undefined) output.call.sink.writable?.(output.call.writer)
          break
        case 'write':
          this.stream.writeAll(output.parts)
          break
        case 'cancelled':
          if (this.#answers.drop(output.call)) this.#answerNow(output.call, undefined, answerShed)
          if (!output.call.answered || output.call.writer !== undefined) output.call.onCancel?.()
          break
        case 'open':
          this.open = true
          this.openedAt = this.#owner.clock.now()
          this.name = output.name
          this.boot = output.boot
          this.#owner.opened(this)
          break
        case 'goaway':
          if (output.code !== 'leaving') this.orderly = true
          this.parting = output.message
          this.#owner.goaway(this, output.code, output.message)
          break
        case 'pause':
          this.stream.pause(output.paused)
          this.#vigil.paused = output.paused
          break
        case 'close':
          this.orderly = true
          this.parting ??= output.message
          this.#owner.closing(this, output.code, output.message, output.violation)
          this.#close()
          break
        default:
          output satisfies never
      }
    }
    const answerBy = mux.heardGoaway ? Number.POSITIVE_INFINITY : this.#answerBy
    if (mux.openStreams > 0) this.#vigil.begin(this.#owner.clock.now())
    if (!this.#gone) {
      this.#alarm.by(Math.min(mux.deadline, this.#lingersUntil, answerBy, this.#vigil.deadline))
    }
    if (mux.pendingBytes > 0 || mux.chunksReady) this.#flushLater()
  }

  /** In good order, so that what was said last is heard; but not for ever. */
  #close(): void {
    if (this.#gone) return
    if (!this.#connected) {
      this.stream.destroy()
      return
    }
    this.#lingersUntil = this.#owner.clock.now() + this.#owner.limits.lingerMs
    this.stream.pause(false)
    this.stream.end()
  }

  #closed(reason: StreamClose): void {
    if (this.#gone) return
    this.#gone = true
    this.#answers.takeAll()
    this.mux.handle({ type: 'closed', why: this.parting ?? `the connection ended (${reason})` }, 0)
    this.#pump()
    this.#alarm.cancel()
    this.#owner.ended(this, reason)
  }
}
