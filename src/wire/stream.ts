/**
 * One exchange over TCP, in one direction: label, encryption and compression around one message (protocol reference, section 8;
 * memberlist's net.go).
 */
import type { Random } from '../env.ts'
import type { Ack, ErrorReply, Ping, User } from './message.ts'
import type { Envelope } from './packet.ts'

/** A member as one side of a push/pull knows it. */
export interface PushPullNode {
  readonly name: string
  /** 4 or 16 bytes, exactly as its owner spelt them: the two spellings of an IPv4 address are two addresses to Go. */
  readonly addr: Uint8Array
  readonly port: number
  readonly meta: Uint8Array | undefined
  readonly incarnation: number
  /** 0 alive, 1 suspect, 2 dead, 3 left. */
  readonly state: number
  /** Empty when the sender gave none. */
  readonly vsn: Uint8Array
}

/** The sender's whole view. `join` asks the receiver to treat it as a newcomer's. */
export interface PushPull {
  readonly type: 'pushPull'
  readonly join: boolean
  readonly nodes: readonly PushPullNode[]
  /** State of the layer above (Serf). */
  readonly userState: Uint8Array
}

/** What a stream can hold. */
export type StreamMessage = PushPull | Ping | Ack | User | ErrorReply

/** Bounds on what one stream may cost. */
export const streamLimits = {
  /** Members in one push/pull; memberlist allows 1,048,576, which its own 20 MiB cannot hold. */
  pushPullNodesMax: 131_072,
  /** Bytes of one struct: a header, or a member with name, Meta and unknown fields. */
  structBytesMax: 65_536,
  /** Bytes of user state in a push/pull, and of a user message. */
  userStateBytesMax: 20_971_520,
  /** Bytes of a whole stream as received, label and encryption included. */
  streamBytesMax: 20_971_520,
  /** Bytes of a message behind a compression. */
  decompressedBytesMax: 41_943_040,
} as const

/** Limits of the shape of `streamLimits`. */
export type StreamLimits = { readonly [Name in keyof typeof streamLimits]: number }

/** Which side of the connection we are. Only the dialer writes the label header. */
export type StreamRole = 'dialer' | 'acceptor'

/** Seals what is written to streams and makes readers for what arrives. */
export class StreamCodec {
  constructor(_envelope: Envelope, _random: Random, _limits: StreamLimits = streamLimits) {}

  /** All the bytes to write for this message. RangeError for values the format must not carry. */
  seal(_message: StreamMessage, _role: StreamRole): Uint8Array {
    throw new Error('not yet')
  }

  /** Reads what the other side writes; `role` is ours. */
  reader(_role: StreamRole): StreamReader {
    throw new Error('not yet')
  }
}

/** Collects one message from chunks of any size. */
export class StreamReader {
  /**
   * Feeds bytes (copied). The message once it is whole, undefined while more is needed or after it was handed out.
   * Throws WireError, then and on every later call, when the bytes can never become a message or pass a limit.
   */
  push(_chunk: Uint8Array): StreamMessage | undefined {
    throw new Error('not yet')
  }
}
