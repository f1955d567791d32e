/** Loads the captured vectors and says what they should decode to, in the vectors' own words. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Random } from '../../src/env.ts'
import { Keyring } from '../../src/wire/keyring.ts'
import type { ErrorReply, PacketMessage } from '../../src/wire/message.ts'
import type { Envelope } from '../../src/wire/packet.ts'

// Tests run from dist/test/wire; the JSON stays beside the sources.
const folder = join(import.meta.dirname, '../../../test/wire/vectors')

export interface Vector {
  readonly id: string
  readonly what: string
  readonly source: string
  readonly kind: string
  readonly hex: string
  readonly keyHex?: string
  readonly label?: string
  readonly side?: 'dialer' | 'server'
  readonly inputHex?: string
  readonly acceptedBy?: Readonly<Record<string, boolean | string>>
  readonly nodeName?: string
  readonly decoded: Decoded
}

/** The tree of `decoded`: wrappers around leaves. */
export interface Decoded {
  readonly wrapper?: string
  readonly inner?: Decoded
  readonly parts?: readonly Decoded[]
  readonly message?: string
  readonly nonceHex?: string
  readonly plaintextHex?: string
  readonly fields?: Readonly<Record<string, unknown>>
  readonly bytes?: { readonly hex: string }
  readonly serfType?: number
  readonly [other: string]: unknown
}

export function loadVectors(file: string): readonly Vector[] {
  return (JSON.parse(readFileSync(join(folder, `${file}.json`), 'utf8')) as { vectors: Vector[] }).vectors
}

export const packetFiles = ['udp-plain', 'udp-compressed', 'udp-encrypted', 'udp-label'] as const

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** The envelope that opens a vector, and seals it again when `compress` is as it was captured. */
export function envelopeOf(vector: Vector, compress: boolean): Envelope {
  return {
    label: vector.label ?? '',
    keyring: vector.keyHex === undefined ? undefined : new Keyring([fromHex(vector.keyHex)]),
    verifyIncoming: true,
    verifyOutgoing: true,
    compress,
  }
}

/** A random source that answers with these bytes, for the nonce of a capture. */
export function fixedRandom(hex: string): Random {
  return { u32: () => 0, bytes: () => fromHex(hex) }
}

/** Wrappers and leaves of a tree, in order. */
export function flatten(decoded: Decoded): { wrappers: Decoded[]; leaves: Decoded[] } {
  const wrappers: Decoded[] = []
  const leaves: Decoded[] = []
  function walk(node: Decoded): void {
    if (node.wrapper === undefined) leaves.push(node)
    else wrappers.push(node)
    for (const part of node.parts ?? []) walk(part)
    if (node.inner !== undefined) walk(node.inner)
  }
  walk(decoded)
  return { wrappers, leaves }
}

const hexOf = (bytes: Uint8Array | undefined): { hex: string } | null =>
  bytes === undefined ? null : { hex: toHex(bytes) }

/** A message in the words of `decoded`: Go's field names, bytes as hex. */
export function inVectorWords(message: PacketMessage | ErrorReply): Record<string, unknown> {
  switch (message.type) {
    case 'ping':
      return { SeqNo: message.seqNo, Node: message.node, ...sourceOf(message) }
    case 'indirectPing': {
      const { seqNo, target, port, node, nack } = message
      return { SeqNo: seqNo, Target: hexOf(target), Port: port, Node: node, Nack: nack, ...sourceOf(message) }
    }
    case 'ack':
      return { SeqNo: message.seqNo, Payload: hexOf(message.payload) }
    case 'nack':
      return { SeqNo: message.seqNo }
    case 'suspect':
    case 'dead':
      return { Incarnation: message.incarnation, Node: message.node, From: message.from }
    case 'alive': {
      const { incarnation, node, addr, port, meta, vsn } = message
      const bytes = { Addr: hexOf(addr), Meta: hexOf(meta), Vsn: hexOf(vsn) }
      return { Incarnation: incarnation, Node: node, Port: port, ...bytes }
    }
    case 'user':
      return { bytes: hexOf(message.body) }
    case 'error':
      return { Error: message.error }
    default:
      return message satisfies never
  }
}

function sourceOf(message: {
  sourceAddr: Uint8Array | undefined
  sourcePort: number
  sourceNode: string
}): Record<string, unknown> {
  return {
    ...(message.sourceAddr === undefined ? {} : { SourceAddr: hexOf(message.sourceAddr) }),
    ...(message.sourcePort === 0 ? {} : { SourcePort: message.sourcePort }),
    ...(message.sourceNode === '' ? {} : { SourceNode: message.sourceNode }),
  }
}
