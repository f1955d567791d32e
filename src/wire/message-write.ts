/**
 * Messages to bytes. Go writes the fields of a struct sorted by name, and so do these functions; each
 * begins with the type byte. What must not go out is a RangeError: it would be our own bug.
 */
import type { Writer } from './cursor.ts'
import type { Ack, Alive, Dead, ErrorReply, IndirectPing, Nack, Ping, Suspect, User } from './message.ts'
import { messageTypes } from './message-types.ts'
import { u16Max, u32Max, writeBool, writeBytes, writeText, writeUint } from './msgpack.ts'
import { fieldKey } from './struct.ts'

const keys = {
  addr: fieldKey('Addr'),
  error: fieldKey('Error'),
  from: fieldKey('From'),
  incarnation: fieldKey('Incarnation'),
  meta: fieldKey('Meta'),
  nack: fieldKey('Nack'),
  node: fieldKey('Node'),
  payload: fieldKey('Payload'),
  port: fieldKey('Port'),
  seqNo: fieldKey('SeqNo'),
  sourceAddr: fieldKey('SourceAddr'),
  sourceNode: fieldKey('SourceNode'),
  sourcePort: fieldKey('SourcePort'),
  target: fieldKey('Target'),
  vsn: fieldKey('Vsn'),
} as const

function open(w: Writer, type: number, fields: number): void {
  w.u8(type)
  w.u8(0x80 | fields)
}

function writeSeqNo(w: Writer, seqNo: number): void {
  w.copy(keys.seqNo)
  writeUint(w, seqNo, u32Max)
}

function writeNode(w: Writer, node: string): void {
  w.copy(keys.node)
  writeText(w, node)
}

/** Source fields that are empty are left out. */
export function writePing(w: Writer, message: Ping): void {
  open(w, messageTypes.ping, 2 + sourceFields(message))
  writeNode(w, message.node)
  writeSeqNo(w, message.seqNo)
  writeSource(w, message)
}

/** Source fields that are empty are left out; port 0 is refused. */
export function writeIndirectPing(w: Writer, message: IndirectPing): void {
  open(w, messageTypes.indirectPing, 5 + sourceFields(message))
  w.copy(keys.nack)
  writeBool(w, message.nack)
  writeNode(w, message.node)
  w.copy(keys.port)
  writePort(w, message.port)
  writeSeqNo(w, message.seqNo)
  writeSource(w, message)
  w.copy(keys.target)
  writeIp(w, message.target)
}

function sourceFields(message: Ping | IndirectPing): number {
  return (
    (message.sourceAddr ? 1 : 0) + (message.sourceNode !== '' ? 1 : 0) + (message.sourcePort !== 0 ? 1 : 0)
  )
}

function writeSource(w: Writer, message: Ping | IndirectPing): void {
  if (message.sourceAddr !== undefined) {
    w.copy(keys.sourceAddr)
    writeIp(w, message.sourceAddr)
  }
  if (message.sourceNode !== '') {
    w.copy(keys.sourceNode)
    writeText(w, message.sourceNode)
  }
  if (message.sourcePort !== 0) {
    w.copy(keys.sourcePort)
    writeUint(w, message.sourcePort, u16Max)
  }
}

/** Suspect and dead differ by their type byte alone. */
export function writeAccusation(w: Writer, type: number, message: Suspect | Dead): void {
  open(w, type, 3)
  w.copy(keys.from)
  writeText(w, message.from)
  w.copy(keys.incarnation)
  writeUint(w, message.incarnation, u32Max)
  writeNode(w, message.node)
}

/** Address, port and Vsn are checked: this is the message that has killed Go processes. */
export function writeAlive(w: Writer, message: Alive): void {
  open(w, messageTypes.alive, 6)
  w.copy(keys.addr)
  writeIp(w, message.addr)
  w.copy(keys.incarnation)
  writeUint(w, message.incarnation, u32Max)
  w.copy(keys.meta)
  writeBytes(w, message.meta)
  writeNode(w, message.node)
  w.copy(keys.port)
  writePort(w, message.port)
  w.copy(keys.vsn)
  writeVsn(w, message.vsn)
}

/** 0 would mean the receiver's own port, so it is never written. */
export function writePort(w: Writer, port: number): void {
  if (port === 0) throw new RangeError('port 0 is not an address')
  writeUint(w, port, u16Max)
}

/** An IP address of either length, spelt as given. */
export function writeIp(w: Writer, ip: Uint8Array): void {
  if (ip.length !== 4 && ip.length !== 16) {
    throw new RangeError(`an IP address has 4 or 16 bytes, not ${ip.length}`)
  }
  writeBytes(w, ip)
}

/** The six version bytes; any other number of them kills memberlist 0.2.2. */
export function writeVsn(w: Writer, vsn: Uint8Array): void {
  if (vsn.length !== 6) throw new RangeError(`a Vsn has 6 bytes, not ${vsn.length}`)
  writeBytes(w, vsn)
}

/** Without a payload: nil. */
export function writeAck(w: Writer, message: Ack): void {
  open(w, messageTypes.ack, 2)
  w.copy(keys.payload)
  writeBytes(w, message.payload)
  writeSeqNo(w, message.seqNo)
}

/** The sequence number alone. */
export function writeNack(w: Writer, message: Nack): void {
  open(w, messageTypes.nack, 1)
  writeSeqNo(w, message.seqNo)
}

/** Raw bytes behind the type, as in a packet. */
export function writeUser(w: Writer, message: User): void {
  w.u8(messageTypes.user)
  w.copy(message.body)
}

/** For streams. */
export function writeError(w: Writer, message: ErrorReply): void {
  open(w, messageTypes.error, 1)
  w.copy(keys.error)
  writeText(w, message.error)
}
