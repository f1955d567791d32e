/**
 * Whether a value would come back from MessagePack as it was. All of a state is looked at, when a key is opened and whenever it is
 * written without a `snapshot` of the entity's own: a `Map` deep inside would arrive as an object that has lost its ways. So would one
 * in an argument or a reply, whose types say otherwise.
 */

const carried: ReadonlySet<unknown> = new Set([
  ...[Object.prototype, Array.prototype, Set.prototype, RegExp.prototype, ArrayBuffer.prototype, null],
  ...[Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map(
    ({ prototype }) => prototype,
  ),
])
/** Deeper than this nothing is written either. */
const depthMax = 200
const tooDeep = `nested deeper than ${depthMax} levels`

/** What in it is not plain, and where; undefined: nothing. */
export function whyNotPlain(value: unknown): string | undefined {
  const why = look(value, '', 0)
  return why === tooDeep ? (findCycle(value, '', []) ?? why) : why
}

/** Why a reply must not be sent, or an argument. */
export function whyNotSent(value: unknown): string | undefined {
  const why = whyNotPlain(value)
  return why === undefined
    ? undefined
    : `it is ${why}, which would not arrive as it is: make plain data of it`
}

function look(value: unknown, path: string, depth: number): string | undefined {
  if (typeof value === 'function' || typeof value === 'symbol') return at(path, `a ${typeof value}`)
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!carried.has(prototype) && !isOfOtherRealm(value, prototype)) {
    return isDate(value, prototype) ? undefined : at(path, nameOf(prototype))
  }
  if (depth === depthMax) return tooDeep
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

/** Where a value that never ends meets itself. */
function findCycle(value: unknown, path: string, within: readonly object[]): string | undefined {
  if (typeof value !== 'object' || value === null || within.length > depthMax) return undefined
  if (within.includes(value)) return at(path, 'part of itself')
  const isList = Array.isArray(value) || value instanceof Set
  for (const [name, part] of Object.entries(isList ? [...value] : value)) {
    const found = findCycle(part, isList ? `${path}[${name}]` : `${path}.${name}`, [...within, value])
    if (found !== undefined) return found
  }
  return undefined
}

/** A plain object or array that another context of this process has made: test runners have such. */
function isOfOtherRealm(value: object, prototype: unknown): boolean {
  const root: unknown = Array.isArray(value) ? Object.getPrototypeOf(prototype) : prototype
  if (typeof root !== 'object' || root === null || Object.getPrototypeOf(root) !== null) return false
  return Object.hasOwn(root, 'hasOwnProperty')
}

/** One of this context: of another it would arrive as a text. */
function isDate(value: object, prototype: unknown): boolean {
  const isOwn = Object.getPrototypeOf(prototype) === Object.prototype
  return isOwn && Object.prototype.toString.call(value) === '[object Date]'
}

function at(path: string, what: string): string {
  return path === '' ? what : `${what} at ${path}`
}

function nameOf(prototype: unknown): string {
  const { name } = (prototype as { readonly constructor?: { readonly name?: unknown } }).constructor ?? {}
  if (typeof name !== 'string' || name === '') return 'of a class'
  return `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
}
