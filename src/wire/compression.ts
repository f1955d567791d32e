/**
 * The compress message: type 9, then {Algo, Buf} around another complete message (protocol reference,
 * section 5; memberlist's util.go).
 */
import { Cursor, noBytes, Writer } from './cursor.ts'
import { WireError } from './error.ts'
import { compress, decompress } from './lzw.ts'
import { readBytes, readUint, u8Max, writeBytes, writeMapHeader, writeUint } from './msgpack.ts'
import { skipValue } from './scan.ts'
import { fieldKey, StructShape } from './struct.ts'

/** First byte of a compress message. */
export const compressType = 9
/** The only algorithm there is. */
const lzw = 0

const shape = new StructShape(['Algo', 'Buf'])
const algoKey = fieldKey('Algo')
const bufKey = fieldKey('Buf')
const cursor = new Cursor()
const writer = new Writer()

/** A compress message around `message`; it may be the larger of the two. */
export function encodeCompressed(message: Uint8Array): Uint8Array {
  const packed = compress(message)
  writer.start()
  writer.u8(compressType)
  writeMapHeader(writer, 2)
  writer.copy(algoKey)
  writeUint(writer, lzw, u8Max)
  writer.copy(bufKey)
  writeBytes(writer, packed)
  return writer.finish()
}

/** The message inside a compress message. WireError 'limit' over `bytesMax` bytes. */
export function decodeCompressed(bytes: Uint8Array, bytesMax: number): Uint8Array {
  let algo = 0
  let packed = noBytes
  cursor.reset(bytes, 1, bytes.length)
  const fields = shape.begin(cursor)
  for (let i = 0; i < fields; i++) {
    const field = shape.next(cursor, i)
    if (field === 0) algo = readUint(cursor, u8Max)
    else if (field === 1) packed = readBytes(cursor) ?? noBytes
    else skipValue(cursor)
  }
  if (algo !== lzw) throw new WireError('type', `no compression has number ${algo}`)
  return decompress(packed, bytesMax)
}
