/** What has to move, for anyone who watches. */

/** Partitions on their way to or from one peer, or about to be. */
export interface Progress {
  readonly direction: 'give' | 'take'
  /** '': not known yet. */
  readonly peer: string
  readonly partitions: number
  /** About. */
  readonly bytes: number
}

export interface Sum {
  partitions: number
  bytes: number
}

/** The sum of this peer, made at need. */
export function sumOf(sums: Map<string, Sum>, peer: string): Sum {
  const known = sums.get(peer)
  if (known !== undefined) return known
  const sum = { partitions: 0, bytes: 0 }
  sums.set(peer, sum)
  return sum
}
