/** Three ways to watch the demo: a live terminal, plain lines, JSON lines. */
import { isLive, paint, print, printJson } from '../output.ts'
import { draw, Screen, type Snapshot } from './screen.ts'
import { describeEvent, type ShowEvent, type Summary } from './show.ts'

export interface View {
  /** How often it wants a snapshot. */
  readonly everyMs: number
  event(event: ShowEvent): void
  tick(snapshot: Snapshot): void
  end(summary: Summary): void
}

export function chooseView(json: boolean): View {
  if (json) return jsonView
  return isLive(process.stdout) ? new LiveView() : linesView
}

const jsonView: View = {
  everyMs: 1_000,
  event: printJson,
  tick({ seconds, recent, total, failedOnLiveOwners, moved }) {
    printJson({
      type: 'load',
      seconds: Math.round(seconds),
      ...recent,
      total: total.requests,
      failedOnLiveOwners,
      moved,
    })
  },
  end: printJson,
}

const linesView: View = {
  everyMs: 1_000,
  event: (event) => print(describeEvent(event)),
  tick({ rows, recent, failedOnLiveOwners }) {
    const up = rows.filter(({ member }) => member?.state === 'alive').length
    const { requests, failed, p50Ms, p99Ms } = recent
    print(
      `${up} of ${rows.length} alive, ${requests} requests/s, p50 ${p50Ms} ms, p99 ${p99Ms} ms, ` +
        `${failed} failed (${failedOnLiveOwners} on live owners so far)`,
    )
  },
  end: (summary) => print(describeSummary(summary)),
}

class LiveView implements View {
  readonly everyMs = 250
  #screen: Screen | undefined

  /** The picture shows the last events; before there is one, the start is told line by line. */
  event(event: ShowEvent): void {
    if (this.#screen === undefined && event.type === 'process') print(describeEvent(event))
  }

  tick(snapshot: Snapshot): void {
    this.#screen ??= new Screen(process.stdout)
    this.#screen.show(draw(snapshot, paint))
  }

  end(summary: Summary): void {
    this.#screen?.close()
    print(describeSummary(summary))
  }
}

function describeSummary(summary: Summary): string {
  const { requests, failed, failedOnLiveOwners, moved, keys, p50Ms, p99Ms, maxMs, killed } = summary
  const lines = [
    `${requests} requests, ${failed} failed, ${failedOnLiveOwners} of them on a live owner; ` +
      `p50 ${p50Ms} ms, p99 ${p99Ms} ms, slowest ${maxMs} ms; ${moved} moves of ${keys} keys`,
  ]
  if (killed !== null) {
    const { detectMs, answeredByOthersMs, answeredAfterRestartMs } = summary
    lines.push(
      `${killed} was killed: found out after ${ms(detectMs)}, its keys answered by others after ` +
        `${ms(answeredByOthersMs)}, by itself again after ${ms(answeredAfterRestartMs)}`,
    )
  }
  return lines.join('\n')
}

function ms(time: number | null): string {
  return time === null ? 'never' : `${time} ms`
}
