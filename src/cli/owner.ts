/** `shoal owner`: where a key lives. */
import type { Command } from './command.ts'
import { asObserver, toolFlags } from './observer.ts'
import { print, printJson } from './output.ts'

export const owner: Command = {
  name: 'owner',
  summary: 'Says which partition a key is in, who owns it, and who would follow.',
  operands: 'KEY',
  flags: toolFlags,
  run: (input) =>
    asObserver(input, async (node) => {
      const [key = ''] = input.operands
      const { partition, owner: name, owners } = node.why(key)
      if (input.on('json')) printJson({ key, partition, owner: name ?? null, owners })
      else if (name === undefined)
        print(`${key}: partition ${partition}, owned by nobody: no member is ready`)
      else print(`${key}: partition ${partition}, owned by ${owners.join(', then ')}`)
    }),
}
