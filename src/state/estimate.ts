/**
 * How many bytes a state would take as MessagePack, without writing it: a few parts of each collection stand for the rest.
 * Good enough to say which partition is large and whether a node is full; the exact number is known once a state travels.
 */

/** Parts that are looked at, by depth: some two hundred in all. */
const samples = [16, 4, 2, 2]
/** What is nested deeper counts as much. */
const deepBytes = 16

/** Undefined: its parts cannot be looked at. */
export function estimateBytes(value: unknown): number | undefined {
  try {
    return estimate(value, 0)
  } catch {
    return undefined
  }
}

function estimate(value: unknown, depth: number): number {
  switch (typeof value) {
    case 'string':
      return value.length + 2
    case 'number':
    case 'bigint':
      return 5
    case 'object':
      break
    default:
      return 1
  }
  if (value === null) return 1
  if (ArrayBuffer.isView(value)) return value.byteLength + 5
  const most = samples[depth]
  if (most === undefined) return deepBytes
  if (Array.isArray(value)) {
    const step = Math.max(1, value.length / most)
    return scaled(most, value.length, (index) => estimate(value[Math.floor(index * step)], depth + 1))
  }
  if (value instanceof Map || value instanceof Set) {
    const entries = value.entries()
    return scaled(most, value.size, () => {
      const [key, of] = entries.next().value as [unknown, unknown]
      return estimate(key, depth + 1) + (value instanceof Map ? estimate(of, depth + 1) : 0)
    })
  }
  const keys = Object.keys(value)
  return scaled(most, keys.length, (index) => {
    const key = keys[index] as string
    return key.length + 1 + estimate((value as Record<string, unknown>)[key], depth + 1)
  })
}

function scaled(most: number, count: number, of: (index: number) => number): number {
  const taken = Math.min(count, most)
  let bytes = 0
  for (let index = 0; index < taken; index++) bytes += of(index)
  return 3 + (taken === 0 ? 0 : Math.round((bytes / taken) * count))
}
