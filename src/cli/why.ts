/** `shoal why`: how the ring came to give a key to its owner. */
import type { RingCandidate } from '../index.ts'
import type { Command } from './command.ts'
import { asObserver, toolFlags } from './observer.ts'
import { paint, print, printJson, table } from './output.ts'

const reasons: Readonly<Record<RingCandidate['verdict'], string>> = {
  owner: 'owns it',
  full: 'nearer, but owns its most of partitions that are nearer still',
  gave: 'nearer, but the owner was short of its least and took it over',
  next: 'further along the ring',
}

export const why: Command = {
  name: 'why',
  summary: 'Explains the owner of a key: the candidates in ring order, and why each was passed over.',
  operands: 'KEY',
  flags: toolFlags,
  run: (input) =>
    asObserver(input, async (node) => {
      const [key = ''] = input.operands
      const { partition, owner = null, owners, candidates } = node.why(key)
      if (input.on('json')) {
        printJson({ key, partition, owner, owners, candidates })
        return
      }
      print(`${key} hashes to partition ${partition} of ${node.ring.partitions}; ring ${node.ring.digest}`)
      const cells = candidates.map(({ name, zone, verdict }, index) => [
        String(index + 1),
        name,
        zone,
        reasons[verdict],
      ])
      const [head = '', ...lines] = table(['>#', 'member', 'zone', 'verdict'], cells)
      print(paint('bold', head))
      for (const line of lines) print(line)
      print(`next owners, should it go: ${owners.slice(1).join(', ') || 'nobody'}`)
    }),
}
