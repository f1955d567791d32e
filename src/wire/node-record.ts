/**
 * A member's record in a push/pull (protocol reference, section 14; memberlist's pushNodeState). Tables are long and
 * hardly change: 5,000 members are half a megabyte, all of it known to both sides. So a record that we hold keeps its
 * bytes; it is written by copying them, and one that arrives byte for byte as we hold it is not read again but stands
 * for itself. Both only save work: the bytes are the same, and so is what is read.
 */
import { type Cursor, noBytes, Writer } from './cursor.ts'
import { writeIp, writePort, writeVsn } from './message-write.ts'
import {
  readBytes,
  readText,
  readUint,
  u16Max,
  u32Max,
  writeBytes,
  writeMapHeader,
  writeText,
  writeUint,
} from './msgpack.ts'
import { skipValue } from './scan.ts'
import { fieldKey, StructShape } from './struct.ts'
import { decodeText } from './text.ts'

/** A member as one side of a push/pull knows it. */
export interface PushPullNode {
  readonly name: string
  /**
   * 4 or 16 bytes, exactly as its owner spelt them: the two spellings of an IPv4 address are two addresses
   * to Go.
   */
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array | undefined
  readonly incarnation: number
  /** 0 alive, 1 suspect, 2 dead, 3 left. */
  readonly state: number
  /** Empty when the sender gave none. */
  readonly vsn: Uint8Array
}

const writer = new Writer()

/** A record with its bytes. Never changed: who gave it its arrays must not either. */
export class NodeRecord implements PushPullNode {
  readonly name: string
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array | undefined
  readonly incarnation: number
  readonly state: number
  readonly vsn: Uint8Array
  readonly bytes: Uint8Array

  /** RangeError for values the format must not carry. */
  constructor(node: PushPullNode) {
    this.name = node.name
    this.addr = node.addr
    this.port = node.port
    this.meta = node.meta
    this.incarnation = node.incarnation
    this.state = node.state
    this.vsn = node.vsn
    writer.start()
    writeNode(writer, node)
    this.bytes = writer.finish()
  }
}

/** The record that the reader holds of a name, if any. */
export type HeldRecords = (name: string) => NodeRecord | undefined

const keys = {
  addr: fieldKey('Addr'),
  incarnation: fieldKey('Incarnation'),
  meta: fieldKey('Meta'),
  name: fieldKey('Name'),
  port: fieldKey('Port'),
  state: fieldKey('State'),
  vsn: fieldKey('Vsn'),
} as const

/** RangeError for values the format must not carry. */
export function writeNode(w: Writer, node: PushPullNode): void {
  if (node instanceof NodeRecord) {
    w.copy(node.bytes)
    return
  }
  writeMapHeader(w, 7)
  w.copy(keys.addr)
  writeIp(w, node.addr)
  w.copy(keys.incarnation)
  writeUint(w, node.incarnation, u32Max)
  w.copy(keys.meta)
  writeBytes(w, node.meta)
  w.copy(keys.name)
  writeText(w, node.name)
  w.copy(keys.port)
  writePort(w, node.port)
  w.copy(keys.state)
  writeUint(w, node.state, 3)
  w.copy(keys.vsn)
  writeVsn(w, node.vsn)
}

const shape = new StructShape(['Name', 'Addr', 'Port', 'Meta', 'Incarnation', 'State', 'Vsn'])

/** Takes one record; those that are held come out as the very object that is held. Throws only WireError. */
export function readNode(c: Cursor, held?: HeldRecords): PushPullNode {
  if (held !== undefined) {
    const end = recordEnd(c.bytes, c.at, c.end)
    const record = end < 0 ? undefined : held(decodeText(c.bytes, nameFrom, nameTo))
    if (record !== undefined && isAt(record.bytes, c.bytes, c.at, end)) {
      c.at = end
      return record
    }
  }
  return readFields(c)
}

function readFields(c: Cursor): PushPullNode {
  let name = ''
  let addr = noBytes
  let port = 0
  let meta: Uint8Array | undefined
  let incarnation = 0
  let state = 0
  let vsn = noBytes
  const fields = shape.begin(c)
  for (let i = 0; i < fields; i++) {
    const field = shape.next(c, i)
    if (field === 0) name = readText(c)
    else if (field === 1) addr = readBytes(c) ?? noBytes
    else if (field === 2) port = readUint(c, u16Max)
    else if (field === 3) meta = readBytes(c)
    else if (field === 4) incarnation = readUint(c, u32Max)
    else if (field === 5) state = readUint(c, u32Max)
    else if (field === 6) vsn = readBytes(c) ?? noBytes
    else skipValue(c)
  }
  return { name, addr, port, meta, incarnation, state, vsn }
}

function isAt(expected: Uint8Array, bytes: Uint8Array, from: number, end: number): boolean {
  const length = end - from
  if (expected.length !== length) return false
  for (let i = 0; i < length; i++) if (expected[i] !== bytes[from + i]) return false
  return true
}

/** Where `recordEnd` found what should be the name. */
let nameFrom = 0
let nameTo = 0

const fixMap7 = 0x87
const fixRaw = 0xa0
const raw16 = 0xda
const nil = 0xc0

/**
 * Where the record ends that starts at `at`, provided that its values have the sizes and order in which Go and we write
 * them and that it ends by `end`; -1 otherwise, which says nothing. Looks at headers only, not at the keys: enough to
 * step over a struct of seven values, and to guess its name.
 */
export function recordEnd(bytes: Uint8Array, at: number, end: number): number {
  // The shortest such record has more than this, so all headers up to the Meta's are there.
  if (at + 40 > end || bytes[at] !== fixMap7 || bytes[at + 1] !== fixRaw + 4) return -1
  const addrHead = bytes[at + 6]!
  if (addrHead !== fixRaw + 4 && addrHead !== fixRaw + 16) return -1
  let to = at + 7 + (addrHead & 31)
  if (bytes[to] !== fixRaw + 11) return -1
  to = uintEnd(bytes, to + 12)
  if (to < 0 || bytes[to] !== fixRaw + 4) return -1
  to = bytes[to + 5] === nil ? to + 6 : rawEnd(bytes, to + 5)
  if (to < 0 || to >= end || bytes[to] !== fixRaw + 4) return -1
  nameTo = rawEnd(bytes, to + 5)
  nameFrom = to + (bytes[to + 5] === raw16 ? 8 : 6)
  to = nameTo
  if (to < 0 || to >= end || bytes[to] !== fixRaw + 4) return -1
  to = uintEnd(bytes, to + 5)
  if (to < 0 || bytes[to] !== fixRaw + 5 || bytes[to + 6]! > 0x7f) return -1
  to += 7
  if (bytes[to] !== fixRaw + 3 || bytes[to + 4] !== fixRaw + 6) return -1
  to += 11
  return to <= end ? to : -1
}

function uintEnd(bytes: Uint8Array, at: number): number {
  const head = bytes[at]!
  if (head < 0x80) return at + 1
  if (head < 0xcc || head > 0xce) return -1
  return at + 1 + (1 << (head - 0xcc))
}

function rawEnd(bytes: Uint8Array, at: number): number {
  const head = bytes[at]!
  if (head >= fixRaw && head < nil) return at + 1 + (head & 31)
  if (head !== raw16) return -1
  return at + 3 + ((bytes[at + 1]! << 8) | bytes[at + 2]!)
}
