/** Arbitrary valid messages for property tests. */
import fc from 'fast-check'
import type {
  Ack,
  Alive,
  Dead,
  ErrorReply,
  IndirectPing,
  Nack,
  PacketMessage,
  Ping,
  Suspect,
  User,
} from '../../src/wire/message.ts'
import type { PushPull, PushPullNode, StreamMessage } from '../../src/wire/stream.ts'

/** Records as plain objects, so that they compare equal to what a decoder makes. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true })
const just = <const T>(value: T) => fc.constant(value)
const u32 = fc.oneof(fc.nat(300), fc.integer({ min: 0, max: 0xffff_ffff }))
const port = fc.integer({ min: 1, max: 65_535 })
/** Names of every length class of header, ASCII and not. */
const name = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ minLength: 30, maxLength: 34 }),
  fc.nat(300).map((length) => 'n'.repeat(length)),
)
const ip = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
)
const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const vsn = fc.uint8Array({ minLength: 6, maxLength: 6 })
const source = { sourceAddr: maybe(ip), sourcePort: fc.nat(65_535), sourceNode: name }

export const ping: fc.Arbitrary<Ping> = record({ type: just('ping'), seqNo: u32, node: name, ...source })
const indirectPing: fc.Arbitrary<IndirectPing> = record({
  ...{ type: just('indirectPing'), seqNo: u32, target: ip, port, node: name, nack: fc.boolean() },
  ...source,
})
const ack: fc.Arbitrary<Ack> = record({ type: just('ack'), seqNo: u32, payload: maybe(bytes(300)) })
const nack: fc.Arbitrary<Nack> = record({ type: just('nack'), seqNo: u32 })
const suspect: fc.Arbitrary<Suspect> = record({
  ...{ type: just('suspect'), incarnation: u32, node: name, from: name },
})
const dead: fc.Arbitrary<Dead> = record({ type: just('dead'), incarnation: u32, node: name, from: name })
const alive: fc.Arbitrary<Alive> = record({
  ...{ type: just('alive'), incarnation: u32, node: name, addr: ip, port, meta: maybe(bytes(600)), vsn },
})
const user: fc.Arbitrary<User> = record({ type: just('user'), body: bytes(400) })
export const errorReply: fc.Arbitrary<ErrorReply> = record({ type: just('error'), error: name })

export const packetMessage: fc.Arbitrary<PacketMessage> = fc.oneof(
  ...[ping, indirectPing, ack, nack, suspect, dead, alive, user],
)

const node: fc.Arbitrary<PushPullNode> = record({
  ...{ name, addr: ip, port, meta: maybe(bytes(600)), incarnation: u32, state: fc.nat(3), vsn },
})
export const pushPull: fc.Arbitrary<PushPull> = record({
  ...{ type: just('pushPull'), join: fc.boolean(), nodes: fc.array(node, { maxLength: 20 }) },
  userState: bytes(500),
})

export const streamMessage: fc.Arbitrary<StreamMessage> = fc.oneof(pushPull, ping, ack, user, errorReply)
