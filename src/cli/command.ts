/**
 * What a command is and what it was given. Flags are declared once, with their help; what the user typed is
 * checked by name, so that a mistake is one clear line.
 */
import { parseArgs } from 'node:util'

export interface Flag {
  /** Stands for the value in the help; a flag without it is a switch. */
  readonly value?: string
  /** May be given more than once. */
  readonly multiple?: boolean
  readonly help: string
}

export type Flags = Readonly<Record<string, Flag>>

export interface Command {
  readonly name: string
  readonly summary: string
  /** What stands before the flags, as the help shows it: `KEY`, `METHOD KEY [JSON]`. */
  readonly operands: string
  readonly flags: Flags
  /** Resolves with the exit code. */
  run(input: Input): Promise<number>
}

/** The user typed something wrong: exit code 2 and a hint at the help. */
export class UsageError extends Error {}

/** The command could not do its work: exit code 1. */
export class Failure extends Error {}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** What one command was given. */
export class Input {
  readonly operands: readonly string[]
  readonly #values: Values

  constructor(operands: readonly string[], values: Values) {
    this.operands = operands
    this.#values = values
  }

  /** Whether a switch is on. */
  on(flag: string): boolean {
    return this.#values[flag] === true
  }

  text(flag: string): string | undefined {
    const value = this.#values[flag]
    return typeof value === 'string' ? value : undefined
  }

  needed(flag: string, meaning: string): string {
    const value = this.text(flag)
    if (value === undefined) throw new UsageError(`--${flag} is needed: ${meaning}`)
    return value
  }

  /** All values of a flag that may be repeated. */
  texts(flag: string): readonly string[] {
    const value = this.#values[flag]
    return Array.isArray(value) ? value.map(String) : []
  }

  number(flag: string, min: number, max: number): number | undefined {
    const text = this.text(flag)
    if (text === undefined) return undefined
    const value = text.trim() === '' ? Number.NaN : Number(text)
    if (!(value >= min && value <= max)) {
      throw new UsageError(`--${flag}: expected a number from ${min} to ${max}, got "${text}"`)
    }
    return value
  }

  integer(flag: string, min: number, max: number): number | undefined {
    const value = this.number(flag, min, max)
    if (value !== undefined && !Number.isInteger(value)) {
      throw new UsageError(`--${flag}: expected a whole number, got "${value}"`)
    }
    return value
  }
}

/** Reads what was typed after the command's name; throws a `UsageError`. */
export function readInput(command: Command, args: readonly string[]): Input {
  const options = Object.fromEntries(
    Object.entries(command.flags).map(([name, { value, multiple }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const), multiple: multiple ?? false },
    ]),
  )
  const { values, positionals } = parse(args, options)
  const operands = command.operands.split(' ').filter((operand) => operand !== '')
  const missing = operands[positionals.length]
  if (missing !== undefined && !missing.startsWith('[')) throw new UsageError(`${missing} is missing`)
  const extra = positionals[operands.length]
  if (extra !== undefined) throw new UsageError(`unexpected "${extra}"`)
  return new Input(positionals, values)
}

function parse(
  args: readonly string[],
  options: Record<string, { type: 'boolean' | 'string'; multiple: boolean }>,
): { values: Values; positionals: readonly string[] } {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
  } catch (error) {
    // Its first sentence says what is wrong; the rest explains `--`.
    throw new UsageError((error as Error).message.split('. ')[0], { cause: error })
  }
}

/** The help of one command. */
export function helpOf({ name, summary, operands, flags }: Command): string {
  const rows = Object.entries(flags).map(([flag, { value, multiple, help }]) => [
    `  --${flag}${value === undefined ? '' : ` ${value}`}`,
    multiple === true ? `${help} (may be repeated)` : help,
  ])
  const width = Math.max(...rows.map(([left = '']) => left.length)) + 2
  const usage = ['shoal', name, operands, '[flags]'].filter((word) => word !== '').join(' ')
  const lines = rows.map(([left = '', right = '']) => left.padEnd(width) + right)
  return [`${usage}`, '', summary, '', ...lines, ''].join('\n')
}
