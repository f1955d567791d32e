/**
 * The processes of the demo and of a drill: forked, killed, stopped, continued and asked to leave by name. What counts for
 * the load's books is kept here: whether a process ran without interruption while a request was under way.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { Failure } from '../command.ts'
import type { ChildMessage, ParentMessage } from './parent.ts'

export type ProcessState = 'starting' | 'running' | 'stopped' | 'leaving' | 'down'

/** One place in the fleet; its process may come and go. */
export class Place {
  readonly name: string
  state: ProcessState = 'down'
  /** Its gossip address, kept over restarts: a node comes back where it was. */
  gossip: string | undefined
  child: ChildProcess | undefined
  /** Grows whenever the process dies or is stopped. */
  interruptions = 0
  /** Passed to its processes alone. */
  readonly own: object

  constructor(name: string, own: object = {}) {
    this.name = name
    this.own = own
  }

  /** Runs code right now. */
  get runs(): boolean {
    return this.state === 'running' || this.state === 'leaving'
  }

  /** Has a process, stopped or not. */
  get isUp(): boolean {
    return this.state !== 'down'
  }
}

export interface FleetOptions {
  /** What each process runs. It is given its options as JSON and says `ready` or `failed`. */
  readonly program: URL
  /** Passed to all, beside name, port and whom to join through. */
  readonly shared: object
  /** A gossip address through which all join, besides those of each other. */
  readonly seed?: string
}

export interface FleetHandler {
  /** A process changed its state. */
  changed(place: Place, what: string): void
  /** A process ended without being told to, or not as it should. */
  crashed(place: Place, why: string): void
  /** A process said something else than that it is ready. */
  told?(place: Place, message: object): void
}

const names = ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi', 'ivan', 'judy']
/** How long a process may take to be ready. */
const readyMs = 15_000

export class Fleet {
  readonly places: Place[] = []
  readonly #options: FleetOptions
  readonly #handler: FleetHandler
  #closed = false

  constructor(options: FleetOptions, handler: FleetHandler) {
    this.#options = options
    this.#handler = handler
    process.on('exit', this.#killAll)
  }

  get isClosed(): boolean {
    return this.#closed
  }

  get(name: string): Place | undefined {
    return this.places.find((place) => place.name === name)
  }

  /** Starts one more process; resolves once it is a member. */
  add(
    name: string = names[this.places.length] ?? `node-${this.places.length + 1}`,
    own?: object,
  ): Promise<Place> {
    const place = new Place(name, own)
    this.places.push(place)
    return this.start(place)
  }

  /** Starts the process of a place that is down. */
  async start(place: Place): Promise<Place> {
    if (this.#closed) return place
    const { program, seed, shared } = this.#options
    const join = [...(seed === undefined ? [] : [seed]), ...this.places.flatMap(({ gossip }) => gossip ?? [])]
    const port = Number(place.gossip?.slice(place.gossip.lastIndexOf(':') + 1) ?? 0)
    const options = { ...shared, ...place.own, name: place.name, port, join }
    const child = fork(program, [JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: ['--enable-source-maps'],
    })
    place.child = child
    this.#set(place, 'starting', `starts as process ${child.pid}`)
    this.#tellPids()
    await this.#ready(place, child)
    return place
  }

  /** SIGKILL: the process is gone at once and says nothing to anyone. */
  kill(place: Place): void {
    place.child?.kill('SIGKILL')
    this.#down(place, 'killed (SIGKILL)')
  }

  stop(place: Place): void {
    place.interruptions++
    place.child?.kill('SIGSTOP')
    this.#set(place, 'stopped', 'stopped (SIGSTOP)')
  }

  continue(place: Place): void {
    place.child?.kill('SIGCONT')
    this.#set(place, 'running', 'continues (SIGCONT)')
  }

  /** SIGTERM: the process hands its part over and goes. */
  leave(place: Place): void {
    this.#set(place, 'leaving', 'leaves (SIGTERM)')
    place.child?.kill('SIGTERM')
  }

  /** Ends every process, stopped ones too, and waits until they are gone. */
  async close(): Promise<void> {
    this.#closed = true
    const gone = this.places.map(({ child }) => child && exited(child))
    this.#killAll()
    await Promise.all(gone)
    process.off('exit', this.#killAll)
  }

  readonly #killAll = (): void => {
    this.#closed = true
    for (const { child } of this.places) child?.kill('SIGKILL')
  }

  #ready(place: Place, child: ChildProcess): Promise<void> {
    let complaint = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2_000)
    })
    return new Promise((resolve, reject) => {
      const giveUp = (why: string): void => {
        clearTimeout(timer)
        reject(new Failure(`${place.name} did not start: ${why}`))
      }
      const timer = setTimeout(() => giveUp(`not ready after ${readyMs} ms`), readyMs)
      child.on('message', (message: ChildMessage) => {
        if (message.type === 'failed') complaint = message.message
        else if (message.type !== 'ready') this.#handler.told?.(place, message)
        if (message.type !== 'ready') return
        clearTimeout(timer)
        place.gossip = message.gossip
        this.#set(place, 'running', 'is ready')
        resolve()
      })
      child.on('exit', (code, signal) => {
        const why = complaint.trim().split('\n').at(-1) || (signal ?? `exit code ${code}`)
        giveUp(why)
        this.#gone(place, child, code, why)
      })
    })
  }

  #gone(place: Place, child: ChildProcess, code: number | null, why: string): void {
    if (this.#closed || place.child !== child) return
    const asked = place.state === 'leaving' && code === 0
    this.#down(place, asked ? 'has left' : `ended by itself: ${why}`)
    if (!asked) this.#handler.crashed(place, why)
  }

  #down(place: Place, what: string): void {
    place.child = undefined
    place.interruptions++
    this.#set(place, 'down', what)
    this.#tellPids()
  }

  #set(place: Place, state: ProcessState, what: string): void {
    place.state = state
    if (!this.#closed) this.#handler.changed(place, what)
  }

  #tellPids(): void {
    const children = this.places.flatMap(({ child }) => child ?? [])
    const pids: ParentMessage = children.flatMap(({ pid }) => pid ?? [])
    for (const child of children) if (child.connected) child.send(pids, () => {})
  }
}

function exited(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else child.once('exit', () => resolve())
  })
}
