/**
 * Reads along what one end of a connection sends, frame by frame, and names the byte at which to tear it: in the head of a
 * frame of the wanted type (length, type, flags), in what follows, or between two frames.
 */
import { frameType, prefaceBytes } from '../../src/wire/frame.ts'

/** What a byte stream of the RPC is made of. */
export const pieceNames: readonly string[] = ['preface', ...Object.keys(frameType)]
export type Place = 'head' | 'rest' | 'between'
export const places: readonly Place[] = ['head', 'rest', 'between']

/** Where a connection is to be torn. */
export interface Aim {
  readonly piece: string
  readonly place: Place
  /** How many pieces of that kind pass unharmed before. */
  readonly skip: number
  /** Where in its place, from 0 to 1. */
  readonly share: number
  /** A stream that has carried so many bytes and met no such piece is torn where it is. */
  readonly bytesMax: number
}

const headBytes = 6
const nameOf: readonly string[] = Object.entries(frameType).reduce<string[]>((names, [name, type]) => {
  names[type] = name
  return names
}, [])

export class FrameWatch {
  readonly #aim: Aim
  readonly #hit: (piece: string, place: Place) => void
  #skip: number
  /** Bytes that went by, and where the present piece began and ends. */
  #passed = 0
  #start = 0
  #end = prefaceBytes.length
  #piece = 'preface'
  /** The first bytes of a frame, until its type is known. */
  readonly #head: number[] = []
  #target: number | undefined

  /** `hit`: hears once where the connection is torn. */
  constructor(aim: Aim, hit: (piece: string, place: Place) => void) {
    this.#aim = aim
    this.#hit = hit
    this.#skip = aim.skip
    this.#begin('preface')
  }

  /** How many of these bytes pass; `undefined`: all. */
  passing(bytes: Uint8Array): number | undefined {
    const from = this.#passed
    for (let at = 0; at < bytes.length; ) {
      if (this.#passed === this.#end) {
        // A whole piece went by: the next one says what it is in its first bytes.
        this.#start = this.#end
        this.#end = Number.POSITIVE_INFINITY
        this.#piece = ''
        this.#head.length = 0
      }
      if (this.#piece === '') {
        this.#head.push(bytes[at]!)
        at += 1
        this.#passed += 1
        if (this.#head.length < headBytes - 1) continue
        const [a, b, c, d, type] = this.#head as [number, number, number, number, number]
        this.#end = this.#start + 4 + (a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d)
        this.#begin(nameOf[type] ?? 'unknown')
      } else {
        const step = Math.min(bytes.length - at, this.#end - this.#passed)
        at += step
        this.#passed += step
      }
      if (this.#target !== undefined && this.#target <= this.#passed) return this.#tear(this.#target, from)
      if (this.#passed >= this.#aim.bytesMax) return this.#tear(this.#aim.bytesMax, from)
    }
    return undefined
  }

  #begin(piece: string): void {
    this.#piece = piece
    const { place, share } = this.#aim
    if (piece !== this.#aim.piece) return
    this.#skip -= 1
    if (this.#skip >= 0) return
    const length = this.#end - this.#start
    const head = piece === 'preface' ? length : headBytes
    const within = (from: number, to: number): number => from + Math.floor(share * (to - from))
    // A frame without anything after its head has no rest.
    if (place === 'between' || (place === 'rest' && length <= head + 1))
      this.#target = share < 0.5 ? this.#start : this.#end
    else if (place === 'head') this.#target = this.#start + within(1, Math.min(head, length))
    else this.#target = this.#start + within(head, length)
  }

  /** At that byte, or as near to it as what went by before (`from`) allows. */
  #tear(target: number, from: number): number {
    const at = Math.max(target, from)
    const offset = at - this.#start
    if (this.#piece !== '') {
      const isBetween = offset <= 0 || at === this.#end
      const inHead = offset < (this.#piece === 'preface' ? prefaceBytes.length : headBytes)
      this.#hit(this.#piece, isBetween ? 'between' : inHead ? 'head' : 'rest')
    }
    return at - from
  }
}
