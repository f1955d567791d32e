/**
 * The messages of a stream: bytes to values, values to bytes, and how many bytes a message takes. In a
 * plain stream nothing frames the whole, so the end must be found while the bytes arrive: a meter steps
 * over the structs without decoding them and reads only the headers that say how much follows.
 */
import { Cursor, Writer } from './cursor.ts'
import { WireError } from './error.ts'
import { type Ack, decodeMessage, type ErrorReply, encodeMessage, type Ping, type User } from './message.ts'
import { messageTypes } from './message-types.ts'
import { readBool, readUint, u32Max, writeBool, writeMapHeader, writeUint } from './msgpack.ts'
import {
  type HeldNodes,
  type NodeTable,
  type PushPullNode,
  readNodes,
  readTable,
  recordEnd,
  writeNodes,
} from './node-record.ts'
import { skipValue, ValueScanner } from './scan.ts'
import type { StreamLimits } from './stream-limits.ts'
import { fieldKey, StructShape } from './struct.ts'

/** The sender's whole view. `join` asks the receiver to treat it as a newcomer's. */
export interface PushPull {
  readonly type: 'pushPull'
  readonly join: boolean
  readonly nodes: readonly PushPullNode[]
  /** Given where `nodes` are those of a table that is held, byte for byte. */
  readonly table?: NodeTable
  /** State of the layer above (Serf). */
  readonly userState: Uint8Array
}

/** What a stream can hold. */
export type StreamMessage = PushPull | Ping | Ack | User | ErrorReply

/** Of a push/pull: its type, three names, three values. */
const headerBytesMax = 64

const writer = new Writer()
const cursor = new Cursor()
const keys = {
  join: fieldKey('Join'),
  nodes: fieldKey('Nodes'),
  userMsgLen: fieldKey('UserMsgLen'),
  userStateLen: fieldKey('UserStateLen'),
} as const

/** A message without its wrappers, behind the bytes of `front`. RangeError for values the format must not carry, and over the limits. */
export function encodeStreamMessage(
  message: StreamMessage,
  limits: StreamLimits,
  front: Uint8Array,
): Uint8Array {
  writer.start()
  if (message.type === 'pushPull') writePushPull(message, limits, front)
  else if (message.type === 'user') writeUser(message, limits, front)
  else {
    writer.copy(front)
    writer.copy(encodeMessage(message))
  }
  return writer.finish()
}

function writeUser(message: User, limits: StreamLimits, front: Uint8Array): void {
  writer.copy(front)
  writer.u8(messageTypes.user)
  writeMapHeader(writer, 1)
  writer.copy(keys.userMsgLen)
  writeUint(writer, message.body.length, limits.userStateBytesMax)
  writer.copy(message.body)
}

function writePushPull(message: PushPull, limits: StreamLimits, front: Uint8Array): void {
  const { join, nodes, table, userState } = message
  // A large table gets its room at once.
  if (table !== undefined)
    writer.reserve(front.length + headerBytesMax + table.bytes.length + userState.length)
  writer.copy(front)
  writer.u8(messageTypes.pushPull)
  writeMapHeader(writer, 3)
  writer.copy(keys.join)
  writeBool(writer, join)
  writer.copy(keys.nodes)
  writeUint(writer, nodes.length, limits.pushPullNodesMax)
  writer.copy(keys.userStateLen)
  writeUint(writer, userState.length, limits.userStateBytesMax)
  writeNodes(writer, nodes, table)
  writer.copy(userState)
}

const pushPullShape = new StructShape(['Nodes', 'UserStateLen', 'Join'])
const userShape = new StructShape(['UserMsgLen'])

interface PushPullHeader {
  readonly nodes: number
  readonly userStateBytes: number
  readonly join: boolean
}

function readPushPullHeader(c: Cursor): PushPullHeader {
  let nodes = 0
  let userStateBytes = 0
  let join = false
  const fields = pushPullShape.begin(c)
  for (let i = 0; i < fields; i++) {
    const field = pushPullShape.next(c, i)
    if (field === 0) nodes = readUint(c, u32Max)
    else if (field === 1) userStateBytes = readUint(c, u32Max)
    else if (field === 2) join = readBool(c)
    else skipValue(c)
  }
  return { nodes, userStateBytes, join }
}

function readUserHeader(c: Cursor): number {
  let bodyBytes = 0
  const fields = userShape.begin(c)
  for (let i = 0; i < fields; i++) {
    if (userShape.next(c, i) === 0) bodyBytes = readUint(c, u32Max)
    else skipValue(c)
  }
  return bodyBytes
}

/**
 * The message in these bytes, which are exactly one as a `MessageMeter` measured it (and found to have that table); members that are `held` come out
 * as what is held of them. Throws only WireError.
 */
export function decodeStreamMessage(bytes: Uint8Array, held?: HeldNodes, known?: NodeTable): StreamMessage {
  cursor.reset(bytes, 1, bytes.length)
  switch (bytes[0]) {
    case messageTypes.user: {
      const length = readUserHeader(cursor)
      return { type: 'user', body: cursor.view(length) }
    }
    case messageTypes.pushPull: {
      const { join, nodes: count, userStateBytes } = readPushPullHeader(cursor)
      const table = known ?? readTable(cursor, count, held)
      if (known !== undefined) cursor.advance(known.bytes.length)
      const nodes = table?.nodes ?? readNodes(cursor, count, held)
      const userState = cursor.view(userStateBytes)
      if (table === undefined) return { type: 'pushPull', join, nodes, userState }
      return { type: 'pushPull', join, nodes, table, userState }
    }
    default:
      return decodeMessage(bytes) as Ping | Ack | ErrorReply
  }
}

/**
 * Finds the end of a message whose bytes are still arriving, and refuses what announces more than the
 * limits.
 */
export class MessageMeter {
  readonly #limits: StreamLimits
  readonly #held: HeldNodes | undefined
  readonly #scanner = new ValueScanner()
  readonly #cursor = new Cursor()
  /** The table that follows, if it is the one that is held. */
  table: NodeTable | undefined
  /** Type byte of the message; -1 before it was seen. */
  #type = -1
  /** Where the struct at hand starts. */
  #structAt = 0
  /** Structs still to come, the one at hand included. */
  #structs = 1
  /** Whether the struct at hand is the header that says what follows. */
  #header = false
  /** The struct at hand is a member's record, and nothing of it was scanned. */
  #isRecord = false
  /** Raw bytes behind the last struct. */
  #rawBytes = 0

  constructor(limits: StreamLimits, held: HeldNodes | undefined) {
    this.#limits = limits
    this.#held = held
  }

  /** Measures the message whose type byte is at `at`. */
  start(at: number): void {
    this.#type = -1
    this.#structAt = at
    this.#rawBytes = 0
    this.table = undefined
  }

  /**
   * Where the message ends, or undefined while bytes are missing. Throws WireError for what can never be a
   * message.
   */
  advance(bytes: Uint8Array, end: number): number | undefined {
    if (this.#type < 0) {
      if (this.#structAt >= end) return undefined
      this.#readType(bytes[this.#structAt]!)
    }
    while (this.#structs > 0) {
      if (this.#isRecord && this.#stepOver(bytes, end)) continue
      const complete = this.#scanner.advance(bytes, end)
      if (this.#scanner.at - this.#structAt > this.#limits.structBytesMax) {
        throw new WireError('limit', `a struct has over ${this.#limits.structBytesMax} bytes`)
      }
      if (!complete) return undefined
      const isHeader = this.#header
      if (isHeader) this.#readHeader(bytes, this.#scanner.at)
      this.#structs--
      this.#structAt = this.#scanner.at
      this.#scanner.start(this.#structAt)
      this.#isRecord = this.#type === messageTypes.pushPull
      if (isHeader && this.#isRecord) this.#recognise(bytes, end)
    }
    const messageEnd = this.#structAt + this.#rawBytes
    return messageEnd <= end ? messageEnd : undefined
  }

  /** A whole table that we hold takes one look. */
  #recognise(bytes: Uint8Array, end: number): void {
    this.#cursor.reset(bytes, this.#structAt, end)
    this.table = readTable(this.#cursor, this.#structs, this.#held)
    if (this.table === undefined) return
    this.#structs = 0
    this.#structAt = this.#cursor.at
  }

  /** A member's record in its usual layout takes one look instead of fifteen. */
  #stepOver(bytes: Uint8Array, end: number): boolean {
    const recordTo = recordEnd(bytes, this.#structAt, end)
    if (recordTo < 0 || recordTo - this.#structAt > this.#limits.structBytesMax) {
      this.#isRecord = false
      return false
    }
    this.#structs--
    this.#structAt = recordTo
    this.#scanner.start(recordTo)
    return true
  }

  #readType(type: number): void {
    const { ping, ack, error, user, pushPull } = messageTypes
    this.#header = type === user || type === pushPull
    if (!this.#header && type !== ping && type !== ack && type !== error) {
      throw new WireError('type', `no stream message has type ${type}`)
    }
    this.#type = type
    this.#isRecord = false
    this.#structs = 1
    this.#scanner.start(++this.#structAt)
  }

  #readHeader(bytes: Uint8Array, end: number): void {
    const { pushPullNodesMax, userStateBytesMax } = this.#limits
    this.#header = false
    this.#cursor.reset(bytes, this.#structAt, end)
    if (this.#type === messageTypes.user) this.#rawBytes = readUserHeader(this.#cursor)
    else {
      const header = readPushPullHeader(this.#cursor)
      if (header.nodes > pushPullNodesMax) throw new WireError('limit', `${header.nodes} members announced`)
      this.#structs += header.nodes
      this.#rawBytes = header.userStateBytes
    }
    if (this.#rawBytes > userStateBytesMax) throw new WireError('limit', `${this.#rawBytes} bytes announced`)
  }
}
