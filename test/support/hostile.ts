/** A peer played by hand on a real socket: what it sends is up to the test, what it hears is kept. */
import { connect, type Socket } from 'node:net'
import { splitAddress } from '../../src/address.ts'
import { frameType, goawayCodes } from '../../src/wire/frame.ts'
import { FrameReader } from '../../src/wire/frame-reader.ts'
import { Outbox } from '../../src/wire/outbox.ts'

const limits = { keyBytesMax: 4_096, messageBytesMax: 1_024 }
const frameBytesMax = 16 * 1024 * 1024

export class HostilePeer {
  /** Frames to send: write them here, then `send`. */
  readonly outbox: Outbox = new Outbox(limits, frameBytesMax)
  readonly name: string
  /** What the node said when it ended the connection: code and message. */
  goaway: string | undefined
  /** Frames heard, by type. */
  readonly heard: Map<number, number> = new Map()
  /** Milliseconds from the connect to the end; undefined while it lasts. */
  endedMs: number | undefined
  readonly ended: Promise<void>
  readonly #cluster: string
  readonly #socket: Socket
  readonly #reader = new FrameReader()
  readonly #startedAt = performance.now()

  constructor(rpc: string, cluster: string, name: string) {
    this.name = name
    this.#cluster = cluster
    const { host, port } = splitAddress(rpc)!
    this.#socket = connect({ host, port, noDelay: true })
    this.#reader.frameBytesMax = frameBytesMax
    this.#socket.on('data', (bytes) => this.#read(bytes))
    this.#socket.on('error', () => {})
    this.ended = new Promise((resolve) => {
      this.#socket.on('close', () => {
        this.endedMs = performance.now() - this.#startedAt
        resolve()
      })
    })
  }

  get isOver(): boolean {
    return this.endedMs !== undefined
  }

  /** Says who it is, as a peer would. */
  hello(): void {
    this.outbox.preface()
    this.outbox.hello({
      name: this.name,
      boot: 'hostile',
      cluster: this.#cluster,
      nonce: new Uint8Array(32),
      features: 0,
      frameBytesMax,
      streamWindowBytes: 262_144,
      proves: false,
    })
  }

  send(): void {
    for (const bytes of this.outbox.take()) this.#socket.write(bytes)
  }

  sendBytes(...bytes: number[]): void {
    this.#socket.write(Uint8Array.from(bytes))
  }

  /** Hears nothing any more: what the node sends stays in the kernels. */
  stopReading(): void {
    this.#socket.pause()
  }

  close(): void {
    this.#socket.destroy()
  }

  #read(bytes: Uint8Array): void {
    this.#reader.push(bytes)
    for (let type = this.#reader.next(); type !== 0; type = this.#reader.next()) {
      this.heard.set(type, (this.heard.get(type) ?? 0) + 1)
      if (type !== frameType.goaway || !this.#reader.readGoaway()) continue
      this.goaway ??= `${goawayCodes[this.#reader.code]}: ${this.#reader.message}`
    }
  }
}
