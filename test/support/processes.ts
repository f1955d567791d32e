/** Real node processes for tests that kill, stop and measure them. Each ends by its own id, all with the test. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import type { Member, NodeOptions, NodeStats } from '../../src/index.ts'
import type {
  At,
  Heard,
  Load,
  LoadReport,
  Outcome,
  Question,
  Ran,
  SingleCall,
  Told,
  Usage,
} from './member.ts'
import { until } from './until.ts'

export type { At, Heard, Load, LoadReport, Outcome, Ran, Told, Usage } from './member.ts'

const program = join(import.meta.dirname, 'member.js')
const answerMs = 30_000

export class NodeProcess {
  readonly name: string
  readonly gossip: string
  readonly rpc: string
  /** Everything it told, in order; `forget` empties it. */
  told: Told[] = []
  readonly exited: Promise<void>
  readonly #child: ChildProcess
  readonly #answers = new Map<number, (told: Told & { type: 'answer' }) => void>()
  #asked = 0

  private constructor(child: ChildProcess, ready: Told & { type: 'ready' }, told: Told[]) {
    this.#child = child
    this.name = ready.name
    this.gossip = ready.gossip
    this.rpc = ready.rpc
    this.told = told
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()))
    child.on('message', (message: Told) => {
      if (message.type === 'answer') this.#answers.get(message.id)?.(message)
      else this.told.push(message)
    })
  }

  /** Resolves once the node is in its cluster; rejects with its message when it cannot join. */
  static start(options: NodeOptions): Promise<NodeProcess> {
    const child = fork(program, [JSON.stringify(options)], { execArgv: ['--expose-gc'] })
    const told: Told[] = []
    return new Promise((resolve, reject) => {
      const failed = (message: string): void => {
        child.kill('SIGKILL')
        reject(new Error(message))
      }
      const exited = (): void => reject(new Error('the process ended before it was ready'))
      child.once('exit', exited)
      const listen = (message: Told): void => {
        told.push(message)
        if (message.type === 'failed') failed(message.message)
        if (message.type !== 'ready') return
        child.off('message', listen)
        child.off('exit', exited)
        resolve(new NodeProcess(child, message, told))
      }
      child.on('message', listen)
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Has the process ended? */
  get over(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    if (this.over) return
    this.#child.kill('SIGKILL')
    await this.exited
  }

  /** Leaves in good order; the process is gone afterwards. */
  async leave(): Promise<void> {
    await this.#ask('leave')
    this.#child.disconnect()
    await this.exited
  }

  members(): Promise<Member[]> {
    return this.#ask('members') as Promise<Member[]>
  }

  ring(): Promise<{ digest: string; members: string[] }> {
    return this.#ask('ring') as Promise<{ digest: string; members: string[] }>
  }

  /** The owners of the load's keys, in its view. */
  owners(keys: number): Promise<(string | undefined)[]> {
    return this.#ask('owners', keys) as Promise<(string | undefined)[]>
  }

  stats(): Promise<NodeStats> {
    return this.#ask('stats') as Promise<NodeStats>
  }

  usage(): Promise<Usage> {
    return this.#ask('usage') as Promise<Usage>
  }

  /** Starts keyed load from this process; counts begin at 0. */
  async load(load: Load): Promise<void> {
    await this.#ask('load', load)
  }

  report(): Promise<LoadReport> {
    return this.#ask('report') as Promise<LoadReport>
  }

  /** Ends the load. */
  unload(): Promise<LoadReport> {
    return this.#ask('unload') as Promise<LoadReport>
  }

  /** Blocks the main loop of that process; when it began. */
  block(ms: number): Promise<At> {
    return this.#ask('block', ms) as Promise<At>
  }

  /** Which keys its handler has answered for, and when. */
  ran(): Promise<Ran[]> {
    return this.#ask('ran') as Promise<Ran[]>
  }

  /** Who answered the calls of its load, and when. */
  heard(): Promise<Heard[]> {
    return this.#ask('heard') as Promise<Heard[]>
  }

  /** Makes one call from that process. */
  call(call: SingleCall): Promise<Outcome> {
    return this.#ask('call', call) as Promise<Outcome>
  }

  forget(): void {
    this.told = []
  }

  #ask(question: Question, detail?: unknown): Promise<unknown> {
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#answers.delete(id)
        reject(new Error(`${this.name} did not answer "${question}" within ${answerMs} ms`))
      }, answerMs)
      this.#answers.set(id, ({ value, error }) => {
        clearTimeout(timer)
        this.#answers.delete(id)
        if (error === undefined) resolve(value)
        else reject(new Error(error))
      })
      this.#child.send({ id, question, detail })
    })
  }
}

/** The processes of one test. */
export class Fleet {
  readonly #defaults: NodeOptions
  readonly #all = new Set<NodeProcess>()

  constructor(defaults: NodeOptions) {
    this.#defaults = defaults
  }

  async start(options: NodeOptions): Promise<NodeProcess> {
    const process = await NodeProcess.start({ port: 0, profile: 'local', ...this.#defaults, ...options })
    this.#all.add(process)
    return process
  }

  /** Starts nodes of these names, the first as seed, and waits until they agree. */
  async cluster(names: readonly string[], options: NodeOptions = {}): Promise<NodeProcess[]> {
    const [first = '', ...rest] = names
    const seed = await this.start({ ...options, name: first })
    const others = await Promise.all(
      rest.map((name) => this.start({ join: [seed.gossip], ...options, name })),
    )
    const nodes = [seed, ...others]
    await agree(nodes)
    return nodes
  }

  /** Kills what is left. A stopped process dies of SIGKILL as well. */
  async end(): Promise<void> {
    await Promise.all([...this.#all].map((process) => process.kill()))
  }
}

/** Waits until these nodes, and no others, are on the ring of each of them. */
export async function agree(nodes: readonly NodeProcess[], timeoutMs = 15_000): Promise<void> {
  const names = nodes.map(({ name }) => name).sort()
  const wanted = JSON.stringify(names)
  await until(
    `a ring of ${names.join(', ')}`,
    async () => {
      const rings = await Promise.all(nodes.map((node) => node.ring()))
      const digests = new Set(rings.map(({ digest }) => digest))
      return (
        digests.size === 1 && rings.every(({ members }) => JSON.stringify([...members].sort()) === wanted)
      )
    },
    timeoutMs,
  )
}
