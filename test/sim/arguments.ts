/** What `npm run sim` was asked for. */
import { parseArgs } from 'node:util'
import { type NodeRange, nodesDefault } from './profile.ts'

/** About a minute on two cores. */
export const seedsDefault = 300

export const usage: string = `npm run sim -- [options]: random whole-cluster runs on virtual time

  --seeds N        so many runs, spread over the profiles (default ${seedsDefault}: about a minute)
  --from S         the first seed of them (default 1)
  --seed S         one run again, which prints its trace hash; not with --seeds or --from
  --profile NAME   this profile alone. Without it, --seed S runs the one that --seeds gives S
  --nodes 3-12     how many nodes a run begins with (default ${nodesDefault.min}-${nodesDefault.max}, rpc 2-5); another range is another run
  --bail           ends at the first violation
  --help           this text

The last line is a summary in JSON. Exit code 1: a rule was broken, or 1,000 seeds or more missed a rare state; 2: wrong
arguments.`

/** Arguments without sense; its message is for whoever gave them. */
export class UsageError extends Error {}

export interface Asked {
  readonly isHelp: boolean
  /** End at the first violation. */
  readonly bails: boolean
  /** One run again. */
  readonly seed: number | undefined
  readonly seeds: number
  readonly from: number
  /** Default: the profile's own. */
  readonly nodes: NodeRange | undefined
  readonly profile: string | undefined
}

/** Throws a `UsageError`. */
export function asked(args: readonly string[]): Asked {
  const values = parsed(args)
  const seed = values.seed === undefined ? undefined : numberOf('seed', values.seed)
  const other = values.seeds === undefined ? 'from' : 'seeds'
  if (seed !== undefined && values[other] !== undefined)
    throw new UsageError(`--seed runs one seed again; leave out --${other}`)
  return {
    isHelp: values.help === true,
    bails: values.bail === true,
    seed,
    seeds: values.seeds === undefined ? seedsDefault : numberOf('seeds', values.seeds),
    from: values.from === undefined ? 1 : numberOf('from', values.from),
    nodes: values.nodes === undefined ? undefined : rangeOf(values.nodes),
    profile: values.profile,
  }
}

type Values = Partial<Record<'seeds' | 'from' | 'nodes' | 'profile' | 'seed', string>> & {
  help?: boolean
  bail?: boolean
}

function parsed(args: readonly string[]): Values {
  const text = { type: 'string' } as const
  const options = {
    ...{ seeds: text, from: text, nodes: text, profile: text, seed: text },
    help: { type: 'boolean', short: 'h' },
    bail: { type: 'boolean' },
  } as const
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function numberOf(name: string, text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new UsageError(`--${name} takes a whole number, not ${text}`)
  return Number(text)
}

function rangeOf(text: string): NodeRange {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text)
  const min = Number(match?.[1])
  const max = Number(match?.[2] ?? match?.[1])
  if (match === null || min < 1 || max < min)
    throw new UsageError(`--nodes takes a range like 3-12, not ${text}`)
  return { min, max }
}
