/**
 * Bytes to messages, from behind the type byte. Each function reads the fields of its struct into locals,
 * in whatever order and spelling they come; what is missing or nil stays zero, what is unknown is stepped
 * over.
 */
import { type Cursor, noBytes } from './cursor.ts'
import type { Ack, Alive, Dead, ErrorReply, IndirectPing, Nack, Ping, Suspect } from './message.ts'
import { readBool, readBytes, readText, readUint, u16Max, u32Max } from './msgpack.ts'
import { skipValue } from './scan.ts'
import { StructShape } from './struct.ts'

// Declaration order in Go; the numbers in the switches below are places in these lists.
const pingShape = new StructShape(['SeqNo', 'Node', 'SourceAddr', 'SourcePort', 'SourceNode'])
const indirectPingShape = new StructShape([
  ...['SeqNo', 'Target', 'Port', 'Node', 'Nack'],
  ...['SourceAddr', 'SourcePort', 'SourceNode'],
])
const ackShape = new StructShape(['SeqNo', 'Payload'])
const nackShape = new StructShape(['SeqNo'])
const accusationShape = new StructShape(['Incarnation', 'Node', 'From'])
const aliveShape = new StructShape(['Incarnation', 'Node', 'Addr', 'Port', 'Meta', 'Vsn'])
const errorShape = new StructShape(['Error'])

/** See `Ping`. */
export function readPing(c: Cursor): Ping {
  let seqNo = 0
  let node = ''
  let sourceAddr: Uint8Array | undefined
  let sourcePort = 0
  let sourceNode = ''
  const fields = pingShape.begin(c)
  for (let i = 0; i < fields; i++) {
    const field = pingShape.next(c, i)
    if (field === 0) seqNo = readUint(c, u32Max)
    else if (field === 1) node = readText(c)
    else if (field === 2) sourceAddr = readBytes(c)
    else if (field === 3) sourcePort = readUint(c, u16Max)
    else if (field === 4) sourceNode = readText(c)
    else skipValue(c)
  }
  return { type: 'ping', seqNo, node, sourceAddr, sourcePort, sourceNode }
}

/** See `IndirectPing`. */
export function readIndirectPing(c: Cursor): IndirectPing {
  let seqNo = 0
  let target = noBytes
  let port = 0
  let node = ''
  let nack = false
  let sourceAddr: Uint8Array | undefined
  let sourcePort = 0
  let sourceNode = ''
  const fields = indirectPingShape.begin(c)
  for (let i = 0; i < fields; i++) {
    const field = indirectPingShape.next(c, i)
    if (field === 0) seqNo = readUint(c, u32Max)
    else if (field === 1) target = readBytes(c) ?? noBytes
    else if (field === 2) port = readUint(c, u16Max)
    else if (field === 3) node = readText(c)
    else if (field === 4) nack = readBool(c)
    else if (field === 5) sourceAddr = readBytes(c)
    else if (field === 6) sourcePort = readUint(c, u16Max)
    else if (field === 7) sourceNode = readText(c)
    else skipValue(c)
  }
  return { type: 'indirectPing', seqNo, target, port, node, nack, sourceAddr, sourcePort, sourceNode }
}

/** See `Ack`. */
export function readAck(c: Cursor): Ack {
  let seqNo = 0
  let payload: Uint8Array | undefined
  const fields = ackShape.begin(c)
  for (let i = 0; i < fields; i++) {
    const field = ackShape.next(c, i)
    if (field === 0) seqNo = readUint(c, u32Max)
    else if (field === 1) payload = readBytes(c)
    else skipValue(c)
  }
  return { type: 'ack', seqNo, payload }
}

/** See `Nack`. */
export function readNack(c: Cursor): Nack {
  let seqNo = 0
  const fields = nackShape.begin(c)
  for (let i = 0; i < fields; i++) {
    if (nackShape.next(c, i) === 0) seqNo = readUint(c, u32Max)
    else skipValue(c)
  }
  return { type: 'nack', seqNo }
}

/** See `Suspect` and `Dead`, which are spelt alike. */
export function readAccusation(c: Cursor, type: 'suspect' | 'dead'): Suspect | Dead {
  let incarnation = 0
  let node = ''
  let from = ''
  const fields = accusationShape.begin(c)
  for (let i = 0; i < fields; i++) {
    const field = accusationShape.next(c, i)
    if (field === 0) incarnation = readUint(c, u32Max)
    else if (field === 1) node = readText(c)
    else if (field === 2) from = readText(c)
    else skipValue(c)
  }
  return { type, incarnation, node, from }
}

/** See `Alive`. */
export function readAlive(c: Cursor): Alive {
  let incarnation = 0
  let node = ''
  let addr = noBytes
  let port = 0
  let meta: Uint8Array | undefined
  let vsn = noBytes
  const fields = aliveShape.begin(c)
  for (let i = 0; i < fields; i++) {
    const field = aliveShape.next(c, i)
    if (field === 0) incarnation = readUint(c, u32Max)
    else if (field === 1) node = readText(c)
    else if (field === 2) addr = readBytes(c) ?? noBytes
    else if (field === 3) port = readUint(c, u16Max)
    else if (field === 4) meta = readBytes(c)
    else if (field === 5) vsn = readBytes(c) ?? noBytes
    else skipValue(c)
  }
  return { type: 'alive', incarnation, node, addr, port, meta, vsn }
}

/** See `ErrorReply`. */
export function readError(c: Cursor): ErrorReply {
  let error = ''
  const fields = errorShape.begin(c)
  for (let i = 0; i < fields; i++) {
    if (errorShape.next(c, i) === 0) error = readText(c)
    else skipValue(c)
  }
  return { type: 'error', error }
}
