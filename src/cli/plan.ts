/** `shoal plan`: what would move if members came or went, computed by the members' own code. */
import type { Plan } from '../index.ts'
import type { Command } from './command.ts'
import { UsageError } from './command.ts'
import { asObserver, toolFlags } from './observer.ts'
import { paint, percent, print, printJson, table } from './output.ts'

export const plan: Command = {
  name: 'plan',
  summary:
    'Shows what would move if members were added or removed: from whom to whom, load before and after.',
  operands: '',
  flags: {
    add: { value: 'N', help: 'so many new members of weight 1' },
    remove: { value: 'NAME', multiple: true, help: 'take this member away' },
    ...toolFlags,
  },
  run(input) {
    const add = input.integer('add', 0, 1_000) ?? 0
    const remove = input.texts('remove')
    if (add === 0 && remove.length === 0) throw new UsageError('--add N or --remove NAME is needed')
    return asObserver(input, async (node) => {
      const found = node.plan({ add, remove })
      const { partitions } = node.ring
      if (input.on('json')) printJson({ ...found, partitions })
      else for (const line of planLines(found, partitions)) print(line)
    })
  },
}

function planLines({ moved, moves, loads }: Plan, partitions: number): string[] {
  const share = (part: number): string => `${percent(part, partitions).toFixed(1)}%`
  const [loadHead = '', ...loadRows] = table(
    ['member', '>before', '>after'],
    loads.map(({ name, before, after }) => [name, share(before), share(after)]),
  )
  const [moveHead = '', ...moveRows] = table(
    ['from', 'to', '>partitions'],
    moves.map(({ from, to, partitions: count }) => [from, to, String(count)]),
  )
  return [
    `${moved} of ${partitions} partitions would move (${share(moved)})`,
    '',
    paint('bold', loadHead),
    ...loadRows,
    '',
    paint('bold', moveHead),
    ...moveRows,
  ]
}
