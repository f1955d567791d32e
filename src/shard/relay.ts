/**
 * A stream that passes through this node: what arrives on one connection leaves on another, and is granted anew to its
 * writer only as the further reader takes it.
 */
import type { CallFailure } from '../rpc/call.ts'
import type { ChunkListener, ChunkReader, ChunkWriter } from '../rpc/stream.ts'
import type { Body } from '../wire/body.ts'
import { failure } from './methods.ts'
import { valueMax } from './pump.ts'

export class Relay implements ChunkListener {
  readonly #reader: ChunkReader
  readonly #writer: ChunkWriter
  readonly #failed: (error: CallFailure) => void
  readonly #ended: (() => void) | undefined
  #rest: Body | undefined

  /** `failed`: the stream cannot go on, and the call must end. `ended`: nothing passes any more, for whatever reason. */
  constructor(
    reader: ChunkReader,
    writer: ChunkWriter,
    failed: (error: CallFailure) => void,
    ended?: () => void,
  ) {
    this.#reader = reader
    this.#writer = writer
    this.#failed = failed
    this.#ended = ended
    reader.listener = this
    writer.listener = this
    this.moved()
  }

  moved(): void {
    const reader = this.#reader
    const writer = this.#writer
    while (!writer.closed) {
      this.#rest ??= reader.take()
      const chunk = this.#rest
      if (chunk === undefined) {
        const { over } = reader
        if (over === 'ended') writer.end()
        else if (over !== undefined) this.#failed(over)
        else return
        break
      }
      if (chunk.kind === 'value' && chunk.end - chunk.start > writer.valueBytesMax) {
        const message = `a value of ${chunk.end - chunk.start} bytes; ${valueMax(writer.valueBytesMax)}`
        this.#failed(failure('ERR_SHOAL_TOO_LARGE', message, true))
        break
      }
      this.#rest = writer.write(chunk)
      if (this.#rest !== undefined) return
    }
    this.#over()
  }

  #over(): void {
    this.#reader.listener = undefined
    this.#writer.listener = undefined
    this.#rest = undefined
    this.#reader.stop()
    this.#ended?.()
  }
}
