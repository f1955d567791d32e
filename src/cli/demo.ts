/**
 * `shoal demo`, which is `npm start`: a cluster of real processes under keyed load, to be watched and
 * disturbed. With `--seconds` it ends by itself; its exit code says whether every promise was kept.
 */
import { type Command, UsageError } from './command.ts'
import { listenKeys } from './demo/keyboard.ts'
import { Show, type Summary } from './demo/show.ts'
import { chooseView, type View } from './demo/view.ts'
import { outputFlags } from './flags.ts'
import { aborted, pause, quitOnSignal } from './quit.ts'

/** Parts of the run: before the kill, and at least until the restart. */
const killAt = 0.25
const restartAfter = 0.25
/** When the run has no end, or a long one, the kill comes after this. */
const killAfterMsMax = 5_000
/** How much longer a timed run may take until a killed process answers again. */
const graceMs = 15_000

export const demo: Command = {
  name: 'demo',
  summary: 'Runs a cluster of real processes under keyed load and shows what becomes of keys and requests.',
  operands: '',
  flags: {
    nodes: { value: 'N', help: 'processes to start, 1 to 20 (default: 5)' },
    seconds: { value: 'S', help: 'end after this; 0: when told to (default: 0)' },
    kill: { help: 'SIGKILL one process on the way and start it again' },
    ...outputFlags,
  },
  async run(input) {
    const nodes = input.integer('nodes', 1, 20) ?? 5
    if (input.on('kill') && nodes < 2)
      throw new UsageError('--kill needs another process to take over: --nodes 2')
    const run: Run = {
      ms: (input.number('seconds', 0, 86_400) ?? 0) * 1000,
      kill: input.on('kill'),
      quit: quitOnSignal(),
    }
    const view = chooseView(input.on('json'))
    const show = new Show((event) => view.event(event))
    try {
      const started = show.start(nodes)
      started.catch(() => {})
      await Promise.race([started, aborted(run.quit)])
      if (run.quit.aborted) return 0
      const summary = await watch(show, view, run)
      return isAsPromised(summary, run) ? 0 : 1
    } finally {
      await show.close()
    }
  },
}

interface Run {
  /** 0: until told to quit. */
  readonly ms: number
  readonly kill: boolean
  readonly quit: AbortSignal
}

async function watch(show: Show, view: View, run: Run): Promise<Summary> {
  const keyboard = listenKeys(show)
  const ticks = setInterval(() => view.tick(show.snapshot()), view.everyMs)
  const outage = run.kill ? killOne(show, run) : Promise.resolve()
  try {
    await (run.ms === 0 ? aborted(run.quit) : pause(run.ms, run.quit))
    const grace = new AbortController()
    await Promise.race([outage, pause(graceMs, AbortSignal.any([run.quit, grace.signal]))])
    grace.abort()
    if (!run.quit.aborted) await show.drain()
  } finally {
    clearInterval(ticks)
    keyboard.close()
  }
  const summary = show.summary()
  view.end(summary)
  return summary
}

/** Kills one, starts it again, and waits until it answers its keys. */
async function killOne(show: Show, { ms, quit }: Run): Promise<void> {
  const untilKillMs = ms === 0 ? killAfterMsMax : Math.min(killAfterMsMax, ms * killAt)
  await pause(untilKillMs, quit)
  if (quit.aborted) return
  await show.kill(ms === 0 ? undefined : ms * restartAfter)
  while (!quit.aborted && !show.summary().answeredAfterRestart) await pause(50, quit)
}

/** What a run must show for exit code 0. */
function isAsPromised(summary: Summary, { ms, kill, quit }: Run): boolean {
  if (summary.failedOnLiveOwners > 0 || summary.unexpectedExits > 0) return false
  if (!kill || ms === 0 || quit.aborted) return true
  return summary.detectMs !== null && summary.answeredByOthersMs !== null && summary.answeredAfterRestart
}
