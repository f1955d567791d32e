/** What ends a connection: the peer does not keep to the protocol. */
import type { FrameBreak } from '../wire/frame.ts'

/** How a peer can break the protocol. */
export type Violation =
  | FrameBreak
  | 'early'
  | 'hello'
  | 'method'
  | 'duplicate'
  | 'reply'
  | 'unread'
  | 'stream'
  | 'credit'

/** What the peer and the log are told about it. */
export const violations: Readonly<Record<Violation, string>> = {
  magic: 'not shoal RPC',
  version: 'another version of shoal RPC',
  length: 'a frame longer than frameBytesMax, or too short to be one',
  type: 'a frame of unknown type',
  flags: 'a frame with unknown flags',
  fields: 'a frame whose fields do not fit it',
  early: 'a frame before hello',
  hello: 'a second hello',
  method: 'a method number that was never given, or out of order',
  duplicate: 'a call id used twice',
  reply: 'a reply to nothing',
  unread: 'replies are not read',
  stream: 'a frame of a stream that is not open',
  credit: 'more of a stream than was granted, or more granted than there can be',
}
