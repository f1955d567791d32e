/** What goes into the machine of a connection (`Mux`), and what comes out of it. */
import type { Body } from '../wire/body.ts'
import type { GoawayCode } from '../wire/frame.ts'
import type { CallFailure } from './call.ts'
import type { Incoming } from './incoming.ts'
import type { OutgoingCall } from './outgoing.ts'
import type { StreamReader } from './stream-reader.ts'
import type { StreamWriter } from './stream-writer.ts'
import type { Violation } from './violation.ts'

export type MuxInput =
  /** Dialled streams: the connection is up. */
  | { readonly type: 'connected' }
  /** Nobody may write to the array any more. */
  | { readonly type: 'received'; readonly bytes: Uint8Array }
  | { readonly type: 'call'; readonly call: OutgoingCall }
  | { readonly type: 'cancel'; readonly call: OutgoingCall }
  | {
      readonly type: 'answer'
      readonly call: Incoming
      readonly body: Body | undefined
      readonly failure: CallFailure | undefined
    }
  /** A call of the peer is answered by a stream, which `call.writer` is from then on, unless there are too many. */
  | { readonly type: 'open'; readonly call: Incoming }
  /** Chunks of streams may be written; of what came of keyed calls only where this node may answer. */
  | { readonly type: 'chunks'; readonly mayAnswer: boolean }
  /** Asks the peer for a sign of life. */
  | { readonly type: 'ping' }
  /** The turn is over: what was written goes out. */
  | { readonly type: 'flush' }
  /** What the stream still holds of what was written. */
  | { readonly type: 'backlog'; readonly bytes: number }
  /** Says goodbye: `closing` ends the connection, `leaving` and `duplicate` let calls run out. */
  | { readonly type: 'goaway'; readonly code: GoawayCode; readonly message: string }
  /** The stream is gone. */
  | { readonly type: 'closed'; readonly why: string }
  | { readonly type: 'tick' }

export type MuxOutput =
  /** In this order, and together if the stream can. */
  | { readonly type: 'write'; readonly parts: readonly Uint8Array[] }
  /** The peer said who it is, and proved it where keys are set. */
  | { readonly type: 'open'; readonly name: string; readonly boot: string }
  | OutgoingCall
  | Incoming
  /** An end of a stream has something to tell. */
  | StreamReader
  | StreamWriter
  /** The input of a call may be written. */
  | { readonly type: 'writable'; readonly call: OutgoingCall }
  | { readonly type: 'cancelled'; readonly call: Incoming }
  /** The peer said goodbye, or refuses us. */
  | { readonly type: 'goaway'; readonly code: GoawayCode; readonly message: string }
  | { readonly type: 'pause'; readonly paused: boolean }
  /** Close the stream in good order; every write before it still goes out. */
  | {
      readonly type: 'close'
      readonly code: GoawayCode
      readonly message: string
      readonly violation: Violation | undefined
    }
