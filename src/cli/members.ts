/**
 * `shoal members`: who is there, as any member sees it. Whoever joins hears only of members that are up
 * (memberlist tells a newcomer nothing of the dead), so the dead and the left are not in the list.
 */
import type { Member, ShoalNode } from '../index.ts'
import type { Command } from './command.ts'
import { asObserver, toolFlags } from './observer.ts'
import { paint, percent, print, printJson, table } from './output.ts'

export const members: Command = {
  name: 'members',
  summary: 'Lists the members of a cluster: address, state, status, lag, share, tags.',
  operands: '',
  flags: toolFlags,
  run: (input) =>
    asObserver(input, async (node) => {
      const others = node.members.filter(({ name }) => name !== node.name)
      const rows = others.map((member) => ({ member, share: shareOf(node, member) }))
      if (input.on('json')) for (const { member, share } of rows) printJson({ ...member, share })
      else for (const line of memberTable(rows)) print(line)
    }),
}

/** The member's share of the partitions in percent. */
function shareOf(node: ShoalNode, { name }: Member): number {
  return percent(node.share(name), node.ring.partitions)
}

function memberTable(rows: readonly { readonly member: Member; readonly share: number }[]): string[] {
  const cells = rows.map(({ member: { name, address, state, status, lag, tags }, share }) => [
    name,
    address,
    state,
    status,
    lag === 0 ? '-' : `>=${lag} ms`,
    `${share.toFixed(1)}%`,
    Object.entries(tags)
      .map(([tag, value]) => `${tag}=${value}`)
      .join(','),
  ])
  const [head = '', ...lines] = table(['name', 'address', 'state', 'status', '>lag', '>share', 'tags'], cells)
  return [paint('bold', head), ...lines]
}
