/**
 * A member's record in a push/pull (protocol reference, section 14; memberlist's pushNodeState). Tables are long and
 * hardly change: 5,000 members are half a megabyte, all of it known to both sides. So what we hold keeps its bytes, each
 * record and the table of them; it is written by copying them, and what arrives byte for byte as we hold it is not read
 * again but stands for itself. That only saves work: the bytes are the same, and so is what is read.
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

/** Records in the order in which they are sent, and the bytes of them all. */
export class NodeTable {
  readonly nodes: readonly NodeRecord[]
  readonly suspects: readonly NodeRecord[]
  readonly bytes: Uint8Array

  constructor(nodes: readonly NodeRecord[]) {
    this.nodes = nodes
    this.suspects = nodes.filter(({ state }) => state === 1)
    this.bytes = new Uint8Array(nodes.reduce((sum, node) => sum + node.bytes.length, 0))
    let at = 0
    for (const node of nodes) {
      this.bytes.set(node.bytes, at)
      at += node.bytes.length
    }
  }
}

/** What the reader of a table holds already. */
export interface HeldNodes {
  /** How many members are held. */
  readonly count: number
  /** The record of that name. */
  heldNode(name: string): NodeRecord | undefined
  /** All records, unless they are too many for a stream. */
  heldTable(): NodeTable | undefined
}

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
export function writeNodes(w: Writer, nodes: readonly PushPullNode[], table: NodeTable | undefined): void {
  if (table !== undefined) w.copy(table.bytes)
  else for (const node of nodes) writeNode(w, node)
}

function writeNode(w: Writer, node: PushPullNode): void {
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

/** The table that is held, if it is what comes next. */
export function readTable(c: Cursor, count: number, held: HeldNodes | undefined): NodeTable | undefined {
  // Only who holds as many may hold the same; nobody holds nothing.
  if (held?.count !== count) return undefined
  const table = held.heldTable()
  if (table === undefined || !isAt(table.bytes, c)) return undefined
  c.at += table.bytes.length
  return table
}

/** So many records; those that are held come out as what is held. Throws only WireError. */
export function readNodes(c: Cursor, count: number, held: HeldNodes | undefined): PushPullNode[] {
  const nodes: PushPullNode[] = []
  for (let i = 0; i < count; i++) nodes.push(readNode(c, held))
  return nodes
}

function readNode(c: Cursor, held: HeldNodes | undefined): PushPullNode {
  if (held !== undefined) {
    const end = recordEnd(c.bytes, c.at, c.end)
    const record = end < 0 ? undefined : heldAt(c.bytes, held)
    if (record?.bytes.length === end - c.at && isAt(record.bytes, c)) {
      c.at = end
      return record
    }
  }
  return readFields(c)
}

/** Whoever is named where `recordEnd` has found a value for the name. Any other field may hold what is no text. */
function heldAt(bytes: Uint8Array, held: HeldNodes): NodeRecord | undefined {
  for (let i = 0; i < keys.name.length; i++) if (bytes[nameKeyAt + i] !== keys.name[i]) return undefined
  return held.heldNode(decodeText(bytes, nameFrom, nameTo))
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

/** Whether these bytes come next. Sixteen at a time, for a table has megabytes of them. */
function isAt(expected: Uint8Array, { bytes, at, end }: Cursor): boolean {
  const { length } = expected
  if (length > end - at) return false
  const ours = new DataView(expected.buffer, expected.byteOffset, length)
  const theirs = new DataView(bytes.buffer, bytes.byteOffset + at, length)
  let i = 0
  for (; i + 16 <= length; i += 16) {
    const differ =
      (ours.getInt32(i, true) ^ theirs.getInt32(i, true)) |
      (ours.getInt32(i + 4, true) ^ theirs.getInt32(i + 4, true)) |
      (ours.getInt32(i + 8, true) ^ theirs.getInt32(i + 8, true)) |
      (ours.getInt32(i + 12, true) ^ theirs.getInt32(i + 12, true))
    if (differ !== 0) return false
  }
  for (; i < length; i++) if (expected[i] !== bytes[at + i]) return false
  return true
}

/** Where `recordEnd` found what should be the name, and its key. */
let nameKeyAt = 0
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
  nameKeyAt = to
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
