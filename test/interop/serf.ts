/** Debian's `serf` agent as a test sees it: own loopback ports, profile local, ended by its id. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { pause, until } from '../support/until.ts'

export interface SerfOptions {
  readonly name: string
  readonly join?: string
  /** Base64 of 32 bytes. */
  readonly encrypt?: string
  readonly tags?: Readonly<Record<string, string>>
}

/** A line of `serf members -format=json`. */
export interface SerfMember {
  readonly name: string
  readonly addr: string
  readonly port: number
  readonly tags: Readonly<Record<string, string>>
  readonly status: 'alive' | 'leaving' | 'left' | 'failed'
  readonly protocol: { readonly max: number; readonly min: number; readonly version: number }
}

const startsMax = 3
/** Attempts of one question. */
const asksMax = 5
/** Each look at the members is a process. */
const askEveryMs = 200

/** The first line of `serf version`; undefined where it is not installed. */
export function serfVersion(): string | undefined {
  const { status, stdout } = spawnSync('serf', ['version'], { encoding: 'utf8' })
  return status === 0 ? stdout.split('\n')[0] : undefined
}

export class SerfAgent {
  readonly gossip: string
  readonly name: string
  readonly #rpc: string
  readonly #child: ChildProcess
  #log = ''

  private constructor(options: SerfOptions, gossipPort: number, rpcPort: number) {
    this.name = options.name
    this.gossip = `127.0.0.1:${gossipPort}`
    this.#rpc = `127.0.0.1:${rpcPort}`
    const args = ['agent', '-profile=local', '-log-level=debug', `-node=${options.name}`]
    args.push(`-bind=${this.gossip}`, `-rpc-addr=${this.#rpc}`)
    if (options.join !== undefined) args.push(`-join=${options.join}`)
    if (options.encrypt !== undefined) args.push(`-encrypt=${options.encrypt}`)
    for (const [tag, value] of Object.entries(options.tags ?? {})) args.push('-tag', `${tag}=${value}`)
    this.#child = spawn('serf', args, { stdio: ['ignore', 'pipe', 'pipe'] })
    const read = (text: string): void => {
      this.#log += text
    }
    this.#child.stdout?.setEncoding('utf8').on('data', read)
    this.#child.stderr?.setEncoding('utf8').on('data', read)
  }

  /** Resolves once the agent answers; tries other ports when these were taken in between. */
  static async start(options: SerfOptions): Promise<SerfAgent> {
    for (let attempt = 1; ; attempt++) {
      const agent = new SerfAgent(options, await freePort(), await freePort())
      await until(
        `serf agent ${options.name} runs`,
        () => agent.#log.includes('Serf agent running!') || agent.over,
      )
      if (!agent.over) return agent
      if (attempt === startsMax || !agent.#log.includes('address already in use')) {
        throw new Error(`serf agent ${options.name} did not start:\n${agent.#log}`)
      }
    }
  }

  get over(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  get log(): string {
    return this.#log
  }

  /** Lines of the log that warn or report an error, but for the expected. */
  complaints(expected: readonly RegExp[]): string[] {
    return this.#log
      .split('\n')
      .filter((line) => /\[(WARN|ERR|ERROR)\]/.test(line) && !expected.some((known) => known.test(line)))
  }

  /** Runs `serf COMMAND …` against this agent: its exit code and output. */
  run(command: string, ...args: string[]): Promise<{ readonly code: number; readonly out: string }> {
    return new Promise((resolve) => {
      const child = execFile(
        'serf',
        [command, `-rpc-addr=${this.#rpc}`, ...args],
        { timeout: 30_000 },
        (error, stdout, stderr) => resolve({ code: error ? (child.exitCode ?? 1) : 0, out: stdout + stderr }),
      )
    })
  }

  /** The agent now and then hangs up on its own command line; it is asked again, a few times. */
  async members(): Promise<SerfMember[]> {
    for (let attempt = 1; ; attempt++) {
      const { code, out } = await this.run('members', '-format=json')
      if (code === 0) return (JSON.parse(out) as { members: SerfMember[] }).members
      if (attempt === asksMax || this.over)
        throw new Error(`serf members of ${this.name} failed: ${out}${this.#log.slice(-3000)}`)
      await pause(askEveryMs)
    }
  }

  /** Name and status of every member, sorted. */
  async statuses(): Promise<string> {
    const members = await this.members()
    return members
      .map(({ name, status }) => `${name} ${status}`)
      .sort()
      .join(', ')
  }

  /** Waits until `serf members` says just this. */
  async shows(statuses: string, timeoutMs = 20_000): Promise<void> {
    let seen = ''
    await until(
      () => `serf members of ${this.name} shows "${statuses}", it shows "${seen}"`,
      async () => {
        seen = await this.statuses()
        if (seen !== statuses) await pause(askEveryMs)
        return seen === statuses
      },
      timeoutMs,
    )
  }

  async end(): Promise<void> {
    if (this.over) return
    const exited = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill('SIGKILL')
    await exited
  }
}

/** A port that is free for TCP and UDP on loopback at this moment. */
async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const socket = createSocket('udp4')
    const free = await new Promise<boolean>((resolve) => {
      socket.once('error', () => resolve(false))
      socket.bind(port, '127.0.0.1', () => resolve(true))
    })
    socket.close()
    await new Promise((resolve) => server.close(resolve))
    if (free) return port
  }
}
