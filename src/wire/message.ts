/**
 * One message of memberlist: a type byte and a MessagePack struct (protocol reference, sections 2 to 4;
 * memberlist's net.go). The encoder is strict, since a malformed alive has killed Go processes: a value
 * that does not fit is our own bug and a RangeError. The decoder is total: whatever the bytes, it returns a
 * message or throws a WireError. Struct fields are read straight into locals, because this is the hot path
 * of a simulation.
 */
import { Cursor, Writer } from './cursor.ts'
import { WireError } from './error.ts'
import * as read from './message-read.ts'
import { messageTypes } from './message-types.ts'
import * as write from './message-write.ts'

export { type DropReason, WireError } from './error.ts'

/**
 * Are you there? `node` is who should answer; the source fields say where to (undefined, 0, '' when
 * absent).
 */
export interface Ping {
  readonly type: 'ping'
  readonly seqNo: number
  readonly node: string
  readonly sourceAddr: Uint8Array | undefined
  readonly sourcePort: number
  readonly sourceNode: string
}

/** Ask `node` at `target`:`port` for me; `nack` wants a word also if it stays silent. */
export interface IndirectPing {
  readonly type: 'indirectPing'
  readonly seqNo: number
  readonly target: Uint8Array
  readonly port: number
  readonly node: string
  readonly nack: boolean
  readonly sourceAddr: Uint8Array | undefined
  readonly sourcePort: number
  readonly sourceNode: string
}

/** I am. The payload is the ping delegate's (Serf: a coordinate). */
export interface Ack {
  readonly type: 'ack'
  readonly seqNo: number
  readonly payload: Uint8Array | undefined
}

/** A helper's word that it asked and heard nothing. */
export interface Nack {
  readonly type: 'nack'
  readonly seqNo: number
}

/** `from` believes that `node` does not answer. */
export interface Suspect {
  readonly type: 'suspect'
  readonly incarnation: number
  readonly node: string
  readonly from: string
}

/** `from` declares `node` dead; when both are the same, it has left. */
export interface Dead {
  readonly type: 'dead'
  readonly incarnation: number
  readonly node: string
  readonly from: string
}

/**
 * `node` lives at `addr`:`port`. Without Meta: undefined; without versions: an empty `vsn`, for swim to
 * judge.
 */
export interface Alive {
  readonly type: 'alive'
  readonly incarnation: number
  readonly node: string
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array | undefined
  readonly vsn: Uint8Array
}

/** Bytes of the layer above (Serf). On a stream a header with the length goes in front. */
export interface User {
  readonly type: 'user'
  readonly body: Uint8Array
}

/** The answer of a server that could not read its stream. */
export interface ErrorReply {
  readonly type: 'error'
  readonly error: string
}

/** What a datagram can hold. */
export type PacketMessage = Ping | IndirectPing | Ack | Nack | Suspect | Dead | Alive | User

const writer = new Writer()
const cursor = new Cursor()

/**
 * The bytes of a message, type byte included. Throws RangeError for a value the format cannot or must not
 * carry: a Vsn of other than 6 bytes, an IP of other than 4 or 16, an integer out of range, port 0 in an
 * alive or indirect ping, text that is not well-formed.
 */
export function encodeMessage(message: PacketMessage | ErrorReply): Uint8Array {
  writer.start()
  writeMessage(message)
  return writer.finish()
}

/** The same behind other bytes, for sending and not for keeping: see `Writer.take`. */
export function encodeDatagram(front: Uint8Array, message: PacketMessage): Uint8Array {
  writer.start()
  writer.copy(front)
  writeMessage(message)
  return writer.take()
}

function writeMessage(message: PacketMessage | ErrorReply): void {
  switch (message.type) {
    case 'ping':
      write.writePing(writer, message)
      break
    case 'indirectPing':
      write.writeIndirectPing(writer, message)
      break
    case 'ack':
      write.writeAck(writer, message)
      break
    case 'nack':
      write.writeNack(writer, message)
      break
    case 'suspect':
      write.writeAccusation(writer, messageTypes.suspect, message)
      break
    case 'dead':
      write.writeAccusation(writer, messageTypes.dead, message)
      break
    case 'alive':
      write.writeAlive(writer, message)
      break
    case 'user':
      write.writeUser(writer, message)
      break
    case 'error':
      write.writeError(writer, message)
      break
    default:
      message satisfies never
  }
}

/**
 * The message in these bytes, all of them; throws only WireError. Unknown fields are ignored, missing and
 * nil ones are zero. Bytes behind the struct are refused, which Go does not do: no peer sends any, a
 * message is passed on with the bytes it came in, and encrypted packets would sometimes pass for empty
 * messages. Byte fields may be views into `bytes`: copy what is kept.
 */
export function decodeMessage(bytes: Uint8Array): PacketMessage | ErrorReply {
  if (bytes.length === 0) throw new WireError('empty', 'a message has no bytes')
  cursor.reset(bytes, 1, bytes.length)
  const message = decodeBody(bytes[0]!, cursor)
  if (cursor.left > 0) throw new WireError('malformed', `${cursor.left} bytes follow the message`)
  return message
}

function decodeBody(type: number, c: Cursor): PacketMessage | ErrorReply {
  switch (type) {
    case messageTypes.ping:
      return read.readPing(c)
    case messageTypes.indirectPing:
      return read.readIndirectPing(c)
    case messageTypes.ack:
      return read.readAck(c)
    case messageTypes.nack:
      return read.readNack(c)
    case messageTypes.suspect:
      return read.readAccusation(c, 'suspect')
    case messageTypes.dead:
      return read.readAccusation(c, 'dead')
    case messageTypes.alive:
      return read.readAlive(c)
    case messageTypes.user:
      return { type: 'user', body: c.view(c.left) }
    case messageTypes.error:
      return read.readError(c)
    default:
      throw new WireError('type', `no message has type ${type}`)
  }
}
