/**
 * One process of one side of the benchmark: a server, or the caller. Started by processes.ts with what it is and what
 * the earlier processes of its side said; answers one order at a time.
 */
import type { Load, Round, Sample, Told } from './side.ts'
import { sides } from './sides.ts'

export type Order =
  | { readonly type: 'run'; readonly round: Round }
  /** Processor time so far, user and system, all threads. */
  | { readonly type: 'cpu' }

export type Answer =
  | { readonly type: 'ready'; readonly told: Told }
  | { readonly type: 'sample'; readonly sample: Sample }
  | { readonly type: 'cpu'; readonly cpuUs: number }
  | { readonly type: 'failed'; readonly message: string }

function say(answer: Answer): void {
  process.send?.(answer)
}

async function main([name, role, text]: readonly string[]): Promise<void> {
  const side = sides.find((known) => known.name === name)
  if (side === undefined) throw new Error(`no side is called ${name}`)
  const told = JSON.parse(text ?? '[]') as Told[]
  const load: Load | undefined = role === 'caller' ? await side.connect(told) : undefined
  process.on('message', (order: Order) => {
    if (order.type === 'cpu') {
      const { user, system } = process.cpuUsage()
      say({ type: 'cpu', cpuUs: user + system })
    } else {
      load?.(order.round).then(
        (sample) => say({ type: 'sample', sample }),
        (error: unknown) => say({ type: 'failed', message: String(error) }),
      )
    }
  })
  process.on('disconnect', () => process.exit(0))
  say({ type: 'ready', told: load === undefined ? ((await side.servers[Number(role)]?.(told)) ?? {}) : {} })
}

main(process.argv.slice(2)).catch((error: unknown) => {
  say({ type: 'failed', message: error instanceof Error ? (error.stack ?? '') : String(error) })
  process.exit(1)
})
