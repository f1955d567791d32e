/**
 * Meta as Serf's tags: byte 255, then a map of text to text (protocol reference, section 19; Serf's
 * serf.go). Every Serf tool can read them.
 */
import { Cursor, Writer } from './cursor.ts'
import { WireError } from './error.ts'
import { readMapHeader, readText, writeMapHeader, writeText } from './msgpack.ts'

/** Bytes of Meta that memberlist allows. */
export const metaBytesMax = 512

const tagsType = 255
const writer = new Writer()
const cursor = new Cursor()
const lossy = new TextDecoder('utf-8', { ignoreBOM: true })

/** Tags as Meta, keys sorted. RangeError over `metaBytesMax`. */
export function encodeTags(tags: Readonly<Record<string, string>>): Uint8Array {
  const names = Object.keys(tags).sort()
  writer.start()
  writer.u8(tagsType)
  writeMapHeader(writer, names.length)
  for (const name of names) {
    writeText(writer, name)
    writeText(writer, tags[name]!)
  }
  if (writer.at > metaBytesMax) {
    throw new RangeError(`tags take at most ${metaBytesMax} bytes, these take ${writer.at}`)
  }
  return writer.finish()
}

/**
 * The tags in a Meta, on an object without prototype; never throws. No Meta has none, Meta without the byte
 * 255 is the tag `role` (old Serf), Meta that is broken behind it has none.
 */
export function decodeTags(meta: Uint8Array | undefined): Record<string, string> {
  const tags: Record<string, string> = Object.create(null)
  if (meta === undefined || meta.length === 0) return tags
  if (meta[0] !== tagsType) {
    tags.role = lossy.decode(meta)
    return tags
  }
  try {
    cursor.reset(meta, 1, meta.length)
    const count = readMapHeader(cursor)
    for (let i = 0; i < count; i++) {
      const name = readText(cursor)
      tags[name] = readText(cursor)
    }
    return tags
  } catch (error) {
    if (error instanceof WireError) return Object.create(null)
    throw error
  }
}
