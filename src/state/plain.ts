/**
 * Whether a state would come back from MessagePack as it was. All of it is looked at, when a key is opened and whenever its state is
 * written without a `snapshot` of the entity's own: a `Map` deep inside would arrive as an object that has lost its ways.
 */

const carried: ReadonlySet<unknown> = new Set([
  ...[Object.prototype, Array.prototype, Set.prototype, Error.prototype, ArrayBuffer.prototype, null],
])
/** Deeper than this nothing is written either. */
const depthMax = 200

/** What in it is not plain, and where; undefined: nothing. */
export function whyNotPlain(state: unknown): string | undefined {
  return look(state, '', 0)
}

function look(value: unknown, path: string, depth: number): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return at(path, `a ${typeof value}`)
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!carried.has(prototype)) return isDate(value) ? undefined : at(path, nameOf(prototype))
  if (depth === depthMax) return at(path, 'nested too deeply, or part of itself')
  if (Array.isArray(value) || value instanceof Set) {
    let index = 0
    for (const item of value) {
      const why =
        typeof item === 'string' || typeof item === 'number'
          ? undefined
          : look(item, `${path}[${index}]`, depth + 1)
      if (why !== undefined) return why
      index++
    }
    return undefined
  }
  for (const name in value) {
    const item = (value as Record<string, unknown>)[name]
    if (typeof item !== 'object' && typeof item !== 'function' && typeof item !== 'symbol') continue
    const why = look(item, `${path}.${name}`, depth + 1)
    if (why !== undefined) return why
  }
  return undefined
}

function isDate(value: object): boolean {
  return Object.prototype.toString.call(value) === '[object Date]'
}

function at(path: string, what: string): string {
  return path === '' ? what : `${what} at ${path}`
}

function nameOf(prototype: unknown): string {
  const { name } = (prototype as { readonly constructor?: { readonly name?: unknown } }).constructor ?? {}
  return typeof name === 'string' && name !== '' ? `a ${name}` : 'of a class'
}
