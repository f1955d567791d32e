/**
 * Serf's messages on the wire: one type byte and one MessagePack struct, inside memberlist's user messages,
 * push/pull state and query payloads (protocol reference, section 19; Serf's messages.go). None of this is
 * hot, so the structs are tables, and one reader and one writer serve them all.
 */
import { Cursor, noBytes, Writer } from './cursor.ts'
import { WireError } from './error.ts'
import {
  readArrayHeader,
  readBigUint,
  readBool,
  readBytes,
  readMapHeader,
  readText,
  readUint,
  u8Max,
  u16Max,
  u32Max,
  writeArrayHeader,
  writeBigUint,
  writeBool,
  writeBytes,
  writeMapHeader,
  writeText,
  writeUint,
} from './msgpack.ts'
import { skipValue } from './scan.ts'
import type { SerfMessage } from './serf-message.ts'
import { fieldKey, StructShape } from './struct.ts'

/** Elements of any list or map in a Serf message. */
export const serfListMax = 65_535

/** How a field is read and written. Reading nil gives the zero value. */
interface Kind {
  read(c: Cursor): unknown
  /** `value` has the type of the property that the tables below pair with this kind. */
  write(w: Writer, value: unknown): void
}

const uint = (max: number): Kind => ({
  read: (c) => readUint(c, max),
  write: (w, value: number) => writeUint(w, value, max),
})
const u8 = uint(u8Max)
const u16 = uint(u16Max)
const u32 = uint(u32Max)
const u64: Kind = { read: readBigUint, write: writeBigUint }
const text: Kind = { read: readText, write: writeText }
const bool: Kind = { read: readBool, write: writeBool }
/** Bytes where nil means something. */
const bytes: Kind = { read: readBytes, write: writeBytes }
/** Bytes where it does not. */
const address: Kind = { read: (c) => readBytes(c) ?? noBytes, write: writeBytes }

function counted(count: number): number {
  if (count > serfListMax) throw new WireError('limit', `a list of ${count} elements`)
  return count
}

const listOf = (kind: Kind): Kind => ({
  read(c) {
    const count = counted(readArrayHeader(c))
    if (count < 0) return undefined
    const list: unknown[] = []
    for (let i = 0; i < count; i++) list.push(kind.read(c))
    return list
  },
  write(w, list: readonly unknown[] | undefined) {
    if (list === undefined) w.u8(0xc0)
    else {
      writeArrayHeader(w, list.length)
      for (const value of list) kind.write(w, value)
    }
  },
})

const mapOf = (kind: Kind): Kind => ({
  read(c) {
    if (c.bytes[c.at] === 0xc0) {
      c.u8()
      return undefined
    }
    const count = counted(readMapHeader(c))
    const map = new Map<string, unknown>()
    for (let i = 0; i < count; i++) map.set(readText(c), kind.read(c))
    return map
  },
  write(w, map: ReadonlyMap<string, unknown> | undefined) {
    if (map === undefined) w.u8(0xc0)
    else {
      writeMapHeader(w, map.size)
      for (const [key, value] of map) {
        writeText(w, key)
        kind.write(w, value)
      }
    }
  },
})

/** Go's field name, our property, and the kind; in Go's declaration order. */
type Field = readonly [name: string, property: string, kind: Kind]
type Values = Record<string, unknown>

function nilCursor(): Cursor {
  const c = new Cursor()
  c.reset(Uint8Array.of(0xc0), 0, 1)
  return c
}

/** A struct as a nested value, or, with `type`, as a message. */
class Struct implements Kind {
  readonly #fields: readonly Field[]
  readonly #sorted: readonly { readonly key: Uint8Array; readonly property: string; readonly kind: Kind }[]
  readonly #shape: StructShape
  /** What missing fields are: what reading nil gives. */
  readonly #zero: Values

  constructor(fields: readonly Field[]) {
    this.#zero = Object.fromEntries(fields.map(([, property, kind]) => [property, kind.read(nilCursor())]))
    this.#fields = fields
    this.#shape = new StructShape(fields.map(([name]) => name))
    this.#sorted = [...fields]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, property, kind]) => ({ key: fieldKey(name), property, kind }))
  }

  read(c: Cursor): Values {
    const values = { ...this.#zero }
    const count = this.#shape.begin(c)
    for (let i = 0; i < count; i++) {
      const field = this.#fields[this.#shape.next(c, i)]
      if (field === undefined) skipValue(c)
      else values[field[1]] = field[2].read(c)
    }
    return values
  }

  write(w: Writer, values: Values): void {
    writeMapHeader(w, this.#sorted.length)
    for (const { key, property, kind } of this.#sorted) {
      w.copy(key)
      kind.write(w, values[property])
    }
  }
}

/** A struct that may be nil, as the empty places in Serf's ring of events. */
const nilOr = (struct: Struct): Kind => ({
  read(c) {
    if (c.bytes[c.at] !== 0xc0) return struct.read(c)
    c.u8()
    return undefined
  },
  write(w, values: Values | undefined) {
    if (values === undefined) w.u8(0xc0)
    else struct.write(w, values)
  },
})

const event = new Struct([
  ['Name', 'name', text],
  ['Payload', 'payload', bytes],
])
const eventsOfTime = new Struct([
  ['LTime', 'lTime', u64],
  ['Events', 'events', listOf(event)],
])
const udpAddress = new Struct([
  ['IP', 'ip', address],
  ['Port', 'port', u16],
  ['Zone', 'zone', text],
])
const relayHeader = new Struct([
  ['DestAddr', 'address', udpAddress],
  ['DestName', 'destName', text],
])
const member = new Struct([
  ['Name', 'name', text],
  ['Addr', 'addr', address],
  ['Port', 'port', u16],
  ['Tags', 'tags', mapOf(text)],
  ['Status', 'status', u8],
  ['ProtocolMin', 'v0', u8],
  ['ProtocolMax', 'v1', u8],
  ['ProtocolCur', 'v2', u8],
  ['DelegateMin', 'v3', u8],
  ['DelegateMax', 'v4', u8],
  ['DelegateCur', 'v5', u8],
])

type Plain = Exclude<SerfMessage['type'], 'relay' | 'conflictResponse'>

const structs: Readonly<Record<Plain, Struct>> = {
  leave: new Struct([
    ['LTime', 'lTime', u64],
    ['Node', 'node', text],
    ['Prune', 'prune', bool],
  ]),
  join: new Struct([
    ['LTime', 'lTime', u64],
    ['Node', 'node', text],
  ]),
  state: new Struct([
    ['LTime', 'lTime', u64],
    ['StatusLTimes', 'statusLTimes', mapOf(u64)],
    ['LeftMembers', 'leftMembers', listOf(text)],
    ['EventLTime', 'eventLTime', u64],
    ['Events', 'events', listOf(nilOr(eventsOfTime))],
    ['QueryLTime', 'queryLTime', u64],
  ]),
  userEvent: new Struct([
    ['LTime', 'lTime', u64],
    ['Name', 'name', text],
    ['Payload', 'payload', bytes],
    ['CC', 'cc', bool],
  ]),
  query: new Struct([
    ['LTime', 'lTime', u64],
    ['ID', 'id', u32],
    ['Addr', 'addr', address],
    ['Port', 'port', u16],
    ['SourceNode', 'sourceNode', text],
    ['Filters', 'filters', listOf(address)],
    ['Flags', 'flags', u32],
    ['RelayFactor', 'relayFactor', u8],
    ['Timeout', 'timeoutNs', u64],
    ['Name', 'name', text],
    ['Payload', 'payload', bytes],
  ]),
  queryResponse: new Struct([
    ['LTime', 'lTime', u64],
    ['ID', 'id', u32],
    ['From', 'from', text],
    ['Flags', 'flags', u32],
    ['Payload', 'payload', bytes],
  ]),
  keyRequest: new Struct([['Key', 'key', bytes]]),
  keyResponse: new Struct([
    ['Result', 'result', bool],
    ['Message', 'message', text],
    ['Keys', 'keys', listOf(text)],
    ['PrimaryKey', 'primaryKey', text],
  ]),
}

/** The place in this list is the type byte. */
const types: readonly SerfMessage['type'][] = [
  ...(['leave', 'join', 'state', 'userEvent', 'query', 'queryResponse'] as const),
  ...(['conflictResponse', 'keyRequest', 'keyResponse', 'relay'] as const),
]

const writer = new Writer()
const cursor = new Cursor()

/**
 * The bytes of a message, type byte included. RangeError for integers and text that do not fit. Maps keep
 * their order.
 */
export function encodeSerf(message: SerfMessage): Uint8Array {
  writer.start()
  writer.u8(types.indexOf(message.type))
  if (message.type === 'relay') {
    relayHeader.write(writer, { address: message, destName: message.destName })
    writer.copy(message.body)
  } else if (message.type === 'conflictResponse') {
    const [v0, v1, v2, v3, v4, v5] = message.vsn
    member.write(writer, { ...message, v0, v1, v2, v3, v4, v5 })
  } else structs[message.type].write(writer, message as unknown as Values)
  return writer.finish()
}

/** The message in these bytes; throws only WireError. Byte fields may be views into `bytes`. */
export function decodeSerf(bytes: Uint8Array): SerfMessage {
  if (bytes.length === 0) throw new WireError('empty', 'a Serf message has no bytes')
  const type = types[bytes[0]!]
  cursor.reset(bytes, 1, bytes.length)
  if (type === undefined) throw new WireError('type', `no Serf message has type ${bytes[0]}`)
  if (type === 'relay') {
    const { address, destName } = relayHeader.read(cursor)
    return { type, ...(address as Values), destName, body: cursor.view(cursor.left) } as SerfMessage
  }
  if (type === 'conflictResponse') {
    const { v0, v1, v2, v3, v4, v5, ...rest } = member.read(cursor)
    return { type, ...rest, vsn: [v0, v1, v2, v3, v4, v5] } as unknown as SerfMessage
  }
  return { type, ...structs[type].read(cursor) } as SerfMessage
}
