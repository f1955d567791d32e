/**
 * Real processes for tests: agents as users start them, watched through their JSON lines, disturbed by
 * signals. Whatever a test leaves behind is killed, also when the test run itself dies: the agents hold an
 * IPC channel to it and end with it.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { resolve } from 'node:path'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'

export const mainFile: string = resolve(import.meta.dirname, '../../src/cli/main.js')

/** One JSON line; its fields are what the command's documentation says. */
export type Line = Readonly<Record<string, unknown>> & { readonly type?: string }

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** Lines kept of each process; a test that needs more has lost its way. */
const linesMax = 100_000
const startMs = 15_000
const lookAgainMs = 50

/** A process whose standard output is JSON lines. */
export class LineProcess {
  readonly lines: Line[] = []
  readonly ended: Promise<Ended>
  /** Plain text that was no JSON. */
  text = ''
  stderr = ''
  readonly #child: ChildProcess
  readonly #news: EventEmitter = new EventEmitter().setMaxListeners(100)
  #over = false

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const child = spawn(process.execPath, ['--enable-source-maps', ...args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env,
    })
    this.#child = child
    this.ended = once(child, 'close').then(([code, signal]) => {
      this.#over = true
      this.#news.emit('news')
      return { code, signal } as Ended
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
    })
    if (child.stdout !== null) createInterface(child.stdout).on('line', (line) => this.#take(line))
  }

  get pid(): number {
    return this.#child.pid as number
  }

  get isOver(): boolean {
    return this.#over
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resolves once `found` returns something; fails after `timeoutMs` or when the process has ended. */
  async until<T>(what: string, found: () => T | undefined | false, timeoutMs: number = startMs): Promise<T> {
    const end = performance.now() + timeoutMs
    for (;;) {
      const value = found()
      if (value !== undefined && value !== false) return value
      const leftMs = end - performance.now()
      const story = `${what}; stderr: ${this.stderr.slice(-500)}; last lines: ${JSON.stringify(this.lines.slice(-5)).slice(0, 1_000)}`
      if (this.#over) assert.fail(`the process ended before: ${story}`)
      if (leftMs <= 0) assert.fail(`not within ${timeoutMs} ms: ${story}`)
      // What is waited for may be news of another process: look again after a while.
      const signal = AbortSignal.timeout(Math.ceil(Math.min(leftMs, lookAgainMs)))
      await once(this.#news, 'news', { signal }).catch(() => {})
    }
  }

  #take(text: string): void {
    assert.ok(this.lines.length < linesMax, 'too many lines')
    if (text.startsWith('{')) this.lines.push(this.read(JSON.parse(text) as Line))
    else this.text += `${text}\n`
    this.#news.emit('news')
  }

  /** What is kept of a line. */
  protected read(line: Line): Line {
    return line
  }
}

/** A `shoal agent --json`. */
export class Agent extends LineProcess {
  readonly name: string
  #gossip: string | undefined
  #digest = ''
  /** When this agent last saw each member change to its state, on the clock of the test. */
  readonly seen: Map<string, { readonly state: string; readonly at: number }> = new Map()
  /** Members that were ever seen dead. */
  readonly deaths: Set<string> = new Set()

  constructor(name: string, flags: readonly string[]) {
    super([mainFile, 'agent', '--name', name, '--json', ...flags])
    this.name = name
  }

  /** Its gossip address, once it is ready. */
  get gossip(): string {
    assert.ok(this.#gossip !== undefined, `${this.name} is not ready`)
    return this.#gossip
  }

  get digest(): string {
    return this.#digest
  }

  async ready(): Promise<this> {
    await this.until(`${this.name} is ready`, () => this.#gossip !== undefined)
    return this
  }

  /** The member's state in this agent's eyes. */
  state(name: string): string | undefined {
    return this.seen.get(name)?.state
  }

  async sees(name: string, state: string, timeoutMs?: number): Promise<void> {
    await this.until(`${this.name} sees ${name} ${state}`, () => this.state(name) === state, timeoutMs)
  }

  protected override read(line: Line): Line {
    const { type, name, state, gossip, digest, gained, lost } = line
    if (type === 'ready') this.#gossip = String(gossip)
    if (type === 'member') {
      this.seen.set(String(name), { state: String(state), at: performance.now() })
      if (state === 'dead') this.deaths.add(String(name))
    }
    if (type !== 'ownership') return line
    this.#digest = String(digest)
    // Lists of up to 65,536 partitions: their lengths are kept.
    return { ...line, gained: (gained as unknown[]).length, lost: (lost as unknown[]).length }
  }
}

/** All processes of one test file. */
export class Processes {
  readonly #all = new Set<LineProcess>()

  constructor() {
    process.on('exit', () => this.#kill())
  }

  agent(name: string, flags: readonly string[]): Agent {
    const agent = new Agent(name, flags)
    this.#all.add(agent)
    return agent
  }

  /** Any other command of the command line. */
  run(args: readonly string[], env?: NodeJS.ProcessEnv): LineProcess {
    const found = new LineProcess([mainFile, ...args], env)
    this.#all.add(found)
    return found
  }

  /** A command that ends by itself, after its end; one that does not is killed. */
  async finished(args: readonly string[], timeoutMs: number = startMs): Promise<LineProcess & Ended> {
    const found = this.run(args)
    const timer = setTimeout(() => found.send('SIGKILL'), timeoutMs)
    const ended = await found.ended
    clearTimeout(timer)
    return Object.assign(found, ended)
  }

  /** Agents on free ports that joined through the first; resolves once all see one ring of all of them. */
  async cluster(names: readonly string[], flags: readonly string[]): Promise<Agent[]> {
    const [firstName = '', ...others] = names
    const common = ['--bind', '127.0.0.1:0', '--profile', 'local', ...flags]
    const first = await this.agent(firstName, common).ready()
    const agents = [first, ...others.map((name) => this.agent(name, [...common, '--join', first.gossip]))]
    await Promise.all(agents.map((agent) => agent.ready()))
    await this.oneRing(agents)
    return agents
  }

  /** Resolves once the agents see each other alive and have equal rings. */
  async oneRing(agents: readonly Agent[]): Promise<void> {
    await Promise.all(
      agents.map((agent) =>
        agent.until(`${agent.name} has the ring of all`, () => {
          const all = agents.every(({ name }) => agent.state(name) === 'alive')
          return all && agents.every(({ digest }) => digest === agent.digest)
        }),
      ),
    )
  }

  /** Kills what still runs and waits until it is gone. */
  async close(): Promise<void> {
    this.#kill()
    await Promise.all([...this.#all].map(({ ended }) => ended))
  }

  #kill(): void {
    for (const found of this.#all) {
      if (found.isOver) continue
      found.send('SIGKILL')
    }
  }
}

/** A test process that waits longer than this for its turn is on a machine that has no turns to give. */
const turnMsMax = 100

/**
 * Watches whether the machine gave this process its turns. Bounds in time hold for processes that run; on an
 * overloaded machine they would only say that it is overloaded.
 */
export class Turns {
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: 20 })

  constructor() {
    this.#delay.enable()
  }

  /** Fails when `ms` passes the bound although the machine kept up. */
  assertWithin(what: string, ms: number, boundMs: number): void {
    this.#delay.disable()
    const longestMs = Math.round(this.#delay.max / 1e6)
    if (longestMs > turnMsMax) return
    assert.ok(ms < boundMs, `${what} took ${Math.round(ms)} ms, longest wait for a turn ${longestMs} ms`)
  }
}

/** Whether a process with this pid exists and is no zombie. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Waits until none of these processes exists. */
export async function allGone(pids: readonly number[], timeoutMs: number = 5_000): Promise<void> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const left = pids.filter(isRunning)
    if (left.length === 0) return
    if (performance.now() > end) assert.fail(`still running after ${timeoutMs} ms: ${left.join(', ')}`)
    await new Promise((done) => setTimeout(done, 20))
  }
}
