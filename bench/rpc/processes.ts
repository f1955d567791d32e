/** The processes of one side: its servers and its caller, each on its own, so that none lives in another's heap. */
import { type ChildProcess, fork } from 'node:child_process'
import type { Round, Sample, Side, Told } from './side.ts'
import type { Answer, Order } from './worker.ts'

/** A sample and what it took: microseconds of processor time per call, the caller's and all servers'. */
export interface Measured extends Sample {
  readonly callerUs: number
  readonly serverUs: number
}

const worker = new URL('./worker.js', import.meta.url)
const startMs = 30_000

export class Processes {
  readonly side: Side
  readonly #servers: ChildProcess[] = []
  #caller: ChildProcess | undefined

  constructor(side: Side) {
    this.side = side
  }

  async start(): Promise<void> {
    const told: Told[] = []
    for (const role of this.side.servers.keys()) {
      const server = this.#fork(String(role), told)
      this.#servers.push(server)
      told.push(await ready(server))
    }
    this.#caller = this.#fork('caller', told)
    await ready(this.#caller)
  }

  async run(round: Round): Promise<Measured> {
    const caller = this.#caller as ChildProcess
    const cpu = (): Promise<number[]> => Promise.all([caller, ...this.#servers].map(cpuOf))
    const before = await cpu()
    const sample = await ask(caller, { type: 'run', round })
    const after = await cpu()
    if (sample.type !== 'sample') throw new Error(`${this.side.name}: ${JSON.stringify(sample)}`)
    const [callerUs = 0, ...serverUs] = after.map((us, i) => (us - (before[i] ?? 0)) / sample.sample.calls)
    return { ...sample.sample, callerUs, serverUs: serverUs.reduce((a, b) => a + b, 0) }
  }

  stop(): void {
    for (const child of [...this.#servers, this.#caller]) if (child?.connected) child.disconnect()
  }

  #fork(role: string, told: readonly Told[]): ChildProcess {
    const { execArgv } = process
    return fork(worker, [this.side.name, role, JSON.stringify(told)], { execArgv })
  }
}

async function ready(child: ChildProcess): Promise<Told> {
  const answer = await next(child)
  if (answer.type === 'ready') return answer.told
  throw new Error(answer.type === 'failed' ? answer.message : `expected ready, got ${answer.type}`)
}

async function cpuOf(child: ChildProcess): Promise<number> {
  const answer = await ask(child, { type: 'cpu' })
  return answer.type === 'cpu' ? answer.cpuUs : 0
}

function ask(child: ChildProcess, order: Order): Promise<Answer> {
  const answer = next(child)
  child.send(order)
  return answer
}

function next(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => done(new Error(`no answer within ${startMs} ms`)), startMs)
    const done = (error: Error | undefined, answer?: Answer): void => {
      clearTimeout(timer)
      child.off('message', hear)
      child.off('exit', exit)
      if (error === undefined && answer !== undefined) resolve(answer)
      else reject(error)
    }
    const hear = (answer: unknown): void => done(undefined, answer as Answer)
    const exit = (): void => done(new Error('the process ended'))
    child.once('message', hear)
    child.once('exit', exit)
  })
}
