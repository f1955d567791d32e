/** What has to move, for anyone who watches. */
import type { Ground } from './ground.ts'
import type { Seek } from './seek.ts'

/** Partitions on their way to or from one peer, or about to be. */
export interface Progress {
  readonly direction: 'give' | 'take'
  /** '': not known yet. */
  readonly peer: string
  readonly partitions: number
  /** About. */
  readonly bytes: number
}

interface Sum {
  partitions: number
  bytes: number
}

/** The sum of this peer, made at need. */
function sumOf(sums: Map<string, Sum>, peer: string): Sum {
  const known = sums.get(peer)
  if (known !== undefined) return known
  const sum = { partitions: 0, bytes: 0 }
  sums.set(peer, sum)
  return sum
}

/** What this node has to do with, by peer. */
export function* progressOf(
  { astray, owners, options }: Ground,
  seeks: Iterable<Pick<Seek, 'holder'>>,
): Generator<Progress> {
  const give = new Map<string, Sum>()
  for (const partition of astray) {
    const sum = sumOf(give, owners.ownerOf(partition) ?? '')
    sum.partitions += 1
    sum.bytes += options.size(partition).bytes
  }
  const take = new Map<string, Sum>()
  for (const { holder } of seeks) {
    const sum = sumOf(take, holder?.name ?? '')
    sum.partitions += 1
    sum.bytes += holder?.bytesEach ?? 0
  }
  for (const [peer, sum] of give) yield { direction: 'give', peer, ...sum }
  for (const [peer, sum] of take) yield { direction: 'take', peer, ...sum, bytes: Math.round(sum.bytes) }
}
