/**
 * Whether a state would come back from MessagePack as it was. Only the outermost value is looked at: it is what `open` of an
 * entity without `snapshot` gets wrong, and looking costs the same for every state.
 */

const carried: ReadonlySet<unknown> = new Set([Object.prototype, Array.prototype, Set.prototype, null])

/** What it is; undefined: it is plain. */
export function whyNotPlain(state: unknown): string | undefined {
  if (typeof state === 'function' || typeof state === 'symbol') return `a ${typeof state}`
  if (typeof state !== 'object' || state === null || ArrayBuffer.isView(state)) return undefined
  const prototype: unknown = Object.getPrototypeOf(state)
  if (carried.has(prototype)) return undefined
  const { name } = (prototype as { readonly constructor?: { readonly name?: unknown } }).constructor ?? {}
  return typeof name === 'string' && name !== '' ? `a ${name}` : 'of a class'
}
