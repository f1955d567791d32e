/**
 * Serf's network coordinate in the payload of an ack (protocol reference, section 19): byte 1, then a
 * struct of floats. An ack without one is accepted by every peer.
 */
import { Cursor, Writer } from './cursor.ts'
import { WireError } from './error.ts'
import { readArrayHeader, readFloat, writeArrayHeader, writeFloat, writeMapHeader } from './msgpack.ts'
import { skipValue } from './scan.ts'
import { fieldKey, StructShape } from './struct.ts'

/** A place in Vivaldi's space; the unit is seconds. */
export interface Coordinate {
  /** Serf uses 8 dimensions. */
  readonly vec: readonly number[]
  readonly error: number
  readonly adjustment: number
  readonly height: number
}

/** Dimensions of a coordinate that are read. */
export const dimensionsMax = 64

const version = 1
const writer = new Writer()
const cursor = new Cursor()
const keys = {
  adjustment: fieldKey('Adjustment'),
  error: fieldKey('Error'),
  height: fieldKey('Height'),
  vec: fieldKey('Vec'),
} as const
const shape = new StructShape(['Vec', 'Error', 'Adjustment', 'Height'])

/** An ack payload. */
export function encodeCoordinate(coordinate: Coordinate): Uint8Array {
  writer.start()
  writer.u8(version)
  writeMapHeader(writer, 4)
  writer.copy(keys.adjustment)
  writeFloat(writer, coordinate.adjustment)
  writer.copy(keys.error)
  writeFloat(writer, coordinate.error)
  writer.copy(keys.height)
  writeFloat(writer, coordinate.height)
  writer.copy(keys.vec)
  writeArrayHeader(writer, coordinate.vec.length)
  for (const value of coordinate.vec) writeFloat(writer, value)
  return writer.finish()
}

/** The coordinate in an ack payload; throws only WireError. */
export function decodeCoordinate(payload: Uint8Array): Coordinate {
  if (payload.length === 0) throw new WireError('empty', 'a coordinate has no bytes')
  if (payload[0] !== version) throw new WireError('type', `no coordinate has version ${payload[0]}`)
  let vec: number[] = []
  let error = 0
  let adjustment = 0
  let height = 0
  const c = cursor
  c.reset(payload, 1, payload.length)
  const fields = shape.begin(c)
  for (let i = 0; i < fields; i++) {
    const field = shape.next(c, i)
    if (field === 0) vec = readVector(c)
    else if (field === 1) error = readFloat(c)
    else if (field === 2) adjustment = readFloat(c)
    else if (field === 3) height = readFloat(c)
    else skipValue(c)
  }
  return { vec, error, adjustment, height }
}

function readVector(c: Cursor): number[] {
  const count = readArrayHeader(c)
  if (count > dimensionsMax) throw new WireError('limit', `a coordinate of ${count} dimensions`)
  const vec: number[] = []
  for (let i = 0; i < count; i++) vec.push(readFloat(c))
  return vec
}
