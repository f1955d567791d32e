/**
 * Membership in another event loop, so that a blocked main loop cannot stop it. Across the border go views, evidence
 * and commands as plain values, never a byte of RPC: a call does not wait for it. Both ways at most one message is under
 * way (courier.ts), and the answers to the thread's messages, of which there is one each beat at least, tell it how far the
 * main loop is behind.
 */
import { Backlog } from './backlog.ts'
import { Courier } from './courier.ts'
import type { Env, Thread } from './env.ts'
import { ShoalError } from './errors.ts'
import type {
  MemberNews,
  MembershipCommand,
  MembershipConfig,
  MembershipEvent,
  MembershipPort,
} from './membership.ts'
import { WatchedMembership } from './watched.ts'

type ToThread =
  | { readonly type: 'start'; readonly config: MembershipConfig }
  | { readonly type: 'commands'; readonly seq: number; readonly commands: readonly MembershipCommand[] }
  | { readonly type: 'heard'; readonly seq: number }

type ToMain =
  | { readonly type: 'started'; readonly port: number }
  | { readonly type: 'failed'; readonly error: PlainError }
  | {
      readonly type: 'news'
      readonly seq: number
      /** All of them come before the events that were said meanwhile. */
      readonly changes: readonly MemberNews[]
      readonly events: readonly MembershipEvent[]
    }
  | { readonly type: 'heard'; readonly seq: number }

/** An error as a value: structured clone would drop the code. */
interface PlainError {
  readonly message: string
  readonly code: string | undefined
  readonly cause: PlainError | undefined
}

/** Evidence that waits for the thread; more of it says nothing new. */
const evidenceMax = 1024

/**
 * The thread's side: runs membership on `env`, hears the main loop by `message` and answers by `port`. `stop` closes
 * all that it opened.
 */
export function serveMembership(
  env: Env,
  port: { post(value: unknown): void },
): { message(value: unknown): void; stop(): Promise<void> } {
  const post = (value: ToMain): void => port.post(value)
  const backlog = new Backlog()
  const courier = new Courier(env.clock, (seq) => post({ type: 'news', seq, ...backlog.take() }))
  const membership = new WatchedMembership(
    env,
    (event) => {
      // What the main loop did not answer while this one slept is no fault of its.
      if (event.type === 'paused') courier.forgive()
      if (event.type !== 'beat') backlog.add(event)
      courier.want()
    },
    () => courier.unheardMs,
  )
  return {
    message(value) {
      const message = value as ToThread
      // What the main loop says after a sleep of both may come before this loop's own beat.
      membership.look()
      if (message.type === 'heard') membership.observe(courier.heard(message.seq))
      else if (message.type === 'commands') {
        for (const command of message.commands) membership.send(command)
        post({ type: 'heard', seq: message.seq })
      } else {
        membership.start(message.config).then(
          (bound) => post({ type: 'started', port: bound }),
          (error: unknown) => post({ type: 'failed', error: plainError(error) }),
        )
      }
    },
    stop: () => membership.close(),
  }
}

/** The main loop's side. */
export class RemoteMembership implements MembershipPort {
  readonly #emit: (event: MembershipEvent) => void
  readonly #startThread: NonNullable<Env['startThread']>
  readonly #courier: Courier
  #commands: MembershipCommand[] = []
  #evidence = new Set<string>()
  #thread: Thread | undefined
  #closed = false
  #starting: { resolve(port: number): void; reject(error: unknown): void } | undefined

  constructor(
    env: Env,
    startThread: NonNullable<Env['startThread']>,
    emit: (event: MembershipEvent) => void,
  ) {
    this.#emit = emit
    this.#startThread = startThread
    this.#courier = new Courier(env.clock, (seq) => this.#post({ type: 'commands', seq, ...this.#take() }))
  }

  start(config: MembershipConfig): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closedError()
      this.#starting = { resolve, reject }
      try {
        this.#thread = this.#startThread({
          message: (value) => this.#hear(value as ToMain),
          failed: (error) => this.#failed(error),
        })
      } catch (error) {
        this.#failed(error)
        return
      }
      this.#post({ type: 'start', config })
    })
  }

  send(command: MembershipCommand): void {
    if (this.#thread === undefined || this.#closed) return
    if (command.type === 'evidence') {
      const text = `${command.kind} ${command.name}`
      if (this.#evidence.has(text) || this.#evidence.size >= evidenceMax) return
      this.#evidence.add(text)
    }
    this.#commands.push(command)
    this.#courier.want()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#starting?.reject(closedError())
    this.#starting = undefined
    await this.#thread?.stop()
  }

  #post(message: ToThread): void {
    if (!this.#closed) this.#thread?.post(message)
  }

  #take(): { commands: MembershipCommand[] } {
    const commands = this.#commands
    this.#commands = []
    this.#evidence = new Set()
    return { commands }
  }

  #hear(message: ToMain): void {
    if (this.#closed) return
    switch (message.type) {
      case 'news':
        this.#emit({ type: 'beat' })
        if (message.changes.length > 0) this.#emit({ type: 'members', changes: message.changes })
        for (const event of message.events) this.#emit(event)
        this.#post({ type: 'heard', seq: message.seq })
        break
      case 'heard':
        this.#courier.heard(message.seq)
        break
      case 'started':
        this.#starting?.resolve(message.port)
        this.#starting = undefined
        break
      case 'failed':
        this.#starting?.reject(errorOf(message.error))
        this.#starting = undefined
        break
      default:
        message satisfies never
    }
  }

  #failed(cause: unknown): void {
    if (this.#closed) return
    const why = cause instanceof Error ? cause.message : String(cause)
    if (this.#starting === undefined) {
      this.#emit({ type: 'failed', message: `the thread of membership has ended: ${why}` })
      return
    }
    const message = `membershipThread: the thread could not be started (${why}); false runs membership in the main loop`
    this.#starting.reject(new ShoalError('ERR_SHOAL_OPTION', message, { cause }))
    this.#starting = undefined
  }
}

function closedError(): Error {
  return new Error('membership was closed while it started')
}

function plainError(error: unknown): PlainError {
  if (!(error instanceof Error)) return { message: String(error), code: undefined, cause: undefined }
  const { code } = error as { code?: unknown }
  const cause = error.cause === undefined ? undefined : plainError(error.cause)
  return { message: error.message, code: typeof code === 'string' ? code : undefined, cause }
}

function errorOf({ message, code, cause }: PlainError): Error {
  const error = new Error(message, cause === undefined ? undefined : { cause: errorOf(cause) })
  return code === undefined ? error : Object.assign(error, { code })
}
