/** What commands write: JSON lines, tables, and colour where a person is looking. */
import { styleText } from 'node:util'
import { isShoalError, type Member, type MemberChange } from '../index.ts'

export type Paint = (style: Parameters<typeof styleText>[0], text: string) => string

/** Whether the output is a terminal that wants colour and redrawing. */
export function isLive(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
}

export const paint: Paint = (style, text) => (isLive(process.stdout) ? styleText(style, text) : text)

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** One JSON object on a line of its own. */
export function printJson(value: object): void {
  print(toJson(value))
}

/** Why something failed, in one line. */
export function reason(error: unknown): string {
  return isShoalError(error) ? `${error.code} ${error.message}` : String(error)
}

/** A change of one member: what changed, and how it is now. */
export interface MemberLine {
  readonly type: 'member'
  readonly name: string
  readonly change: MemberChange
  readonly state: Member['state']
  readonly status: Member['status']
  readonly lag: Member['lag']
  readonly incarnation: number
}

export function memberLine(
  change: MemberChange,
  { name, state, status, lag, incarnation }: Member,
): MemberLine {
  return { type: 'member', name, change, state, status, lag, incarnation }
}

/** In words. What the dead and the left last said of themselves does not count any more. */
export function describeMember({ name, change, state, status, lag, incarnation }: MemberLine): string {
  const is = state === 'left' ? 'has left' : `is ${state}`
  const said = state === 'alive' || state === 'suspect' ? `, ${status}` : ''
  const behind = lag === 0 ? '' : `, ${lag} ms behind`
  const why = change === 'updated' ? 'new tags, ' : ''
  return `${name} ${is}${said}${behind} (${why}incarnation ${incarnation})`
}

/** JSON of anything a reply may hold: bytes as `{"base64"}`, big integers as text. */
export function toJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, replace, indent) ?? 'null'
}

function replace(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') }
  return value
}

/** Columns side by side; those whose heading starts with `>` are aligned to the right. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const right = headings.map((heading) => heading.startsWith('>'))
  const all = [headings.map((heading) => heading.replace(/^>/, '')), ...rows]
  const widths = headings.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all.map((row) =>
    widths
      .map((width, column) => {
        const cell = row[column] ?? ''
        return right[column] === true ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}

/** A share of the whole as a percentage with one decimal. */
export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : Math.round((part / whole) * 1000) / 10
}
