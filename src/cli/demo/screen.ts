/** The demo's picture: pure text from a snapshot, and a terminal that redraws it in place. */
import type { Member } from '../../index.ts'
import { type Paint, table } from '../output.ts'
import type { ProcessState } from './fleet.ts'
import type { Figures } from './load.ts'

export interface Row {
  readonly name: string
  readonly pid: number | undefined
  readonly process: ProcessState
  /** As the parent sees it; `undefined` before it joined. */
  readonly member: Pick<Member, 'state' | 'status' | 'incarnation'> | undefined
  /** Percent of the partitions. */
  readonly share: number
}

/** A key that is watched: who owns it now, and who answered it last. */
export interface Watched {
  readonly key: string
  readonly owner: string | undefined
  readonly answeredBy: string | undefined
}

export interface Snapshot {
  readonly seconds: number
  readonly ring: string
  readonly rows: readonly Row[]
  readonly watched: readonly Watched[]
  readonly recent: Figures
  readonly total: Figures
  readonly failedOnLiveOwners: number
  readonly keys: number
  readonly moved: number
  readonly events: readonly string[]
  /** Someone can press keys. */
  readonly keyboard: boolean
}

const colours = {
  alive: 'green',
  suspect: 'yellow',
  dead: 'red',
  left: 'gray',
} as const
const barWidth = 24

export function draw(snapshot: Snapshot, paint: Paint): string[] {
  const { seconds, ring, recent, total, keys, moved, events } = snapshot
  return [
    `${paint('bold', 'shoal')}  one sharded service of ${snapshot.rows.length} processes, ring ${ring}, ${seconds.toFixed(0)} s`,
    '',
    ...memberLines(snapshot.rows, paint),
    '',
    `${recent.requests} requests/s  p50 ${recent.p50Ms} ms  p99 ${recent.p99Ms} ms  slowest ${recent.maxMs} ms`,
    `${total.requests} requests in all, ${errors(snapshot, paint)}, ${moved} moves of ${keys} keys`,
    '',
    ...watchedLines(snapshot.watched, paint),
    '',
    ...events.map((event) => paint('gray', event)),
    '',
    ...(snapshot.keyboard ? [keyLine(paint)] : []),
  ]
}

function keyLine(paint: Paint): string {
  const keys = { a: 'add', k: 'kill', s: 'stop/continue', l: 'leave', q: 'quit' }
  return Object.entries(keys)
    .map(([key, does]) => `${paint('bold', key)} ${does}`)
    .join('  ')
}

function memberLines(rows: readonly Row[], paint: Paint): string[] {
  const [head = '', ...lines] = table(
    ['process', '>pid', 'member', 'status', '>incarnation', '>share', ''],
    rows.map(({ name, pid, process, member, share }) => [
      name,
      String(pid ?? '-'),
      member?.state ?? '-',
      process === 'stopped' ? 'stopped' : (member?.status ?? process),
      String(member?.incarnation ?? '-'),
      `${share.toFixed(1)}%`,
      '#'.repeat(Math.round((share / 100) * barWidth * 2)).slice(0, barWidth),
    ]),
  )
  const paintRow = (line: string, row: Row | undefined): string =>
    row?.member === undefined ? line : paint(colours[row.member.state], line)
  return [paint('bold', head), ...lines.map((line, index) => paintRow(line, rows[index]))]
}

function watchedLines(watched: readonly Watched[], paint: Paint): string[] {
  const [head = '', ...lines] = table(
    ['key', 'owner', 'last answer from'],
    watched.map(({ key, owner, answeredBy }) => [key, owner ?? 'nobody', answeredBy ?? '-']),
  )
  return [paint('bold', head), ...lines]
}

function errors({ total, failedOnLiveOwners }: Snapshot, paint: Paint): string {
  const text = `${total.failed} failed (${failedOnLiveOwners} of them on a live owner)`
  return failedOnLiveOwners > 0 ? paint('red', text) : text
}

/** A terminal's second page, redrawn from its top; the first page comes back at the end. */
export class Screen {
  readonly #out: NodeJS.WriteStream

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    out.write('\x1b[?1049h\x1b[?25l\x1b[?7l')
    process.on('exit', this.close)
  }

  show(lines: readonly string[]): void {
    const fitting = lines.slice(0, Math.max(1, (this.#out.rows || 40) - 1))
    this.#out.write(`\x1b[H${fitting.map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`)
  }

  readonly close = (): void => {
    process.off('exit', this.close)
    this.#out.write('\x1b[?7h\x1b[?25h\x1b[?1049l')
  }
}
