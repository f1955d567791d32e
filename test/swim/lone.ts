/** One machine among members that exist only in what it is told: a test says every word of theirs. */
import type { Address } from '../../src/env.ts'
import { SeededRandom } from '../../src/sim/random.ts'
import { type SwimNode, type SwimNodeOptions, SwimWorld } from '../../src/sim/swims.ts'
import type { SwimOutput } from '../../src/swim/events.ts'
import { encodeMessage, type PacketMessage } from '../../src/wire/message.ts'
import { PacketCodec } from '../../src/wire/packet.ts'
import { type PushPullNode, StreamCodec } from '../../src/wire/stream.ts'

const envelope = { label: '', keys: [], verifyIncoming: true, verifyOutgoing: true, compress: false }
const packets = new PacketCodec({ ...envelope, keyring: undefined }, new SeededRandom(1))
const streams = new StreamCodec({ ...envelope, keyring: undefined }, new SeededRandom(1))
const vsn = Uint8Array.of(1, 5, 2, 0, 0, 0)

/** Where strangers live. */
export const addressOf = (place: number): Address => `10.66.0.${place}:7946`

export class Lone {
  readonly world: SwimWorld
  readonly node: SwimNode
  /** All that it put out since the last `forget`. */
  outputs: SwimOutput[] = []
  #streams = 0

  constructor(options: SwimNodeOptions = {}) {
    this.world = new SwimWorld(1, { envelope, ...options })
    this.node = this.world.node('me')
    this.world.onOutput = (_, output) => void this.outputs.push(output)
  }

  /** Its own incarnation. */
  get incarnation(): number {
    return this.node.swim.member('me')?.incarnation ?? 0
  }

  /** State and incarnation it has for a member. */
  holds(name: string): string {
    const member = this.node.swim.member(name)
    return member === undefined ? 'unknown' : `${member.state} ${member.incarnation}`
  }

  /** A packet with these messages arrives. */
  tell(from: Address, ...messages: readonly PacketMessage[]): void {
    const parts = messages.map((message) => encodeMessage(message))
    this.node.input({ type: 'packet', bytes: packets.seal(parts, false), from })
  }

  alive(name: string, place: number, incarnation: number): void {
    const addr = Uint8Array.of(10, 66, 0, place)
    const message = {
      type: 'alive',
      incarnation,
      node: name,
      addr,
      port: 7946,
      meta: undefined,
      vsn,
    } as const
    this.tell(addressOf(place), message)
  }

  suspect(name: string, incarnation: number, by: string, from: Address = addressOf(250)): void {
    this.tell(from, { type: 'suspect', incarnation, node: name, from: by })
  }

  /** Dead, or left if `by` is the name itself. */
  dead(name: string, incarnation: number, by: string, from: Address = addressOf(250)): void {
    this.tell(from, { type: 'dead', incarnation, node: name, from: by })
  }

  ping(node: string, sourceNode: string, place: number): void {
    const sourceAddr = Uint8Array.of(10, 66, 0, place)
    const from = addressOf(place)
    this.tell(from, { type: 'ping', seqNo: 9, node, sourceAddr, sourcePort: 7946, sourceNode })
  }

  /** Somebody dials and sends its table. */
  exchange(nodes: readonly PushPullNode[]): void {
    this.#streams -= 1
    const request = { type: 'pushPull', join: false, nodes, userState: new Uint8Array(0) } as const
    this.node.input({ type: 'accepted', stream: this.#streams, from: addressOf(250) })
    this.node.input({ type: 'data', stream: this.#streams, bytes: streams.seal(request, 'dialer') })
  }

  /** The last stream it dialled comes about, and brings this table. */
  answer(nodes: readonly PushPullNode[]): void {
    const dials = this.outputs.filter((output) => output.type === 'dial')
    const stream = dials.at(-1)?.stream ?? 0
    const reply = { type: 'pushPull', join: false, nodes, userState: new Uint8Array(0) } as const
    this.forget()
    this.node.input({ type: 'connected', stream })
    this.node.input({ type: 'data', stream, bytes: streams.seal(reply, 'acceptor') })
  }

  record(name: string, place: number, incarnation: number, state: number): PushPullNode {
    const addr = Uint8Array.of(10, 66, 0, place)
    return { name, addr, port: 7946, meta: undefined, incarnation, state, vsn }
  }

  forget(): void {
    this.outputs = []
  }

  /** Messages that went to this address since the last `forget`. */
  sentTo(address: Address): PacketMessage[] {
    const found: PacketMessage[] = []
    for (const output of this.outputs) {
      if (output.type === 'packet' && output.to === address)
        packets.open(output.bytes, (message) => void found.push(message))
    }
    return found
  }
}
