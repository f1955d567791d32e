/**
 * Who is at the other end. The dialler says hello first and learns nothing from a node that refuses it. With
 * keys, both sides prove one by HMAC-SHA256 over both hellos, the dialler first, so that the acceptor signs
 * nothing for strangers; the roles in the text keep a proof from being played back.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { GoawayCode, HelloFrame } from '../wire/frame.ts'
import type { Outbox } from '../wire/outbox.ts'
import type { RpcConfig } from './config.ts'

export type Role = 'dialer' | 'acceptor'

export interface Refusal {
  readonly code: GoawayCode
  readonly message: string
}

export class Handshake {
  /** The peer's hello, once it was found good. */
  peer: HelloFrame | undefined
  /** Both sides know enough: calls may travel. */
  done = false

  readonly #config: RpcConfig
  readonly #role: Role
  readonly #expected: string | undefined
  readonly #own: HelloFrame

  /** `expected`: the name that was dialled. */
  constructor(config: RpcConfig, role: Role, expected: string | undefined, nonce: Uint8Array) {
    this.#config = config
    this.#role = role
    this.#expected = expected
    this.#own = {
      name: config.name,
      boot: config.boot,
      cluster: config.cluster,
      nonce,
      features: 0,
      frameBytesMax: config.limits.frameBytesMax,
      streamWindowBytes: config.limits.streamWindowBytes,
      proves: config.keys.length > 0,
    }
  }

  /** The dialler's first bytes. */
  start(outbox: Outbox): void {
    outbox.preface()
    outbox.hello(this.#own)
  }

  hello(hello: HelloFrame, outbox: Outbox): Refusal | undefined {
    const refusal = this.#judge(hello)
    if (refusal !== undefined) return refusal
    this.peer = hello
    if (this.#role === 'acceptor') this.start(outbox)
    if (!this.#own.proves) this.done = true
    else if (this.#role === 'dialer') outbox.proof(this.#proof('dialer', this.#config.keys[0]!))
    return undefined
  }

  proof(proof: Uint8Array, outbox: Outbox): Refusal | undefined {
    const other = this.#role === 'dialer' ? 'acceptor' : 'dialer'
    if (!this.#config.keys.some((key) => timingSafeEqual(this.#proof(other, key), proof))) {
      return { code: 'unauthenticated', message: `${this.peer?.name} does not know any of our RPC keys` }
    }
    if (this.#role === 'acceptor') outbox.proof(this.#proof('acceptor', this.#config.keys[0]!))
    this.done = true
    return undefined
  }

  #judge(hello: HelloFrame): Refusal | undefined {
    const { name, cluster } = this.#config
    if (hello.cluster !== cluster) {
      return {
        code: 'cluster',
        message: `${name} is of cluster "${cluster}", ${hello.name} of "${hello.cluster}"`,
      }
    }
    if (hello.name === name) return { code: 'self', message: `both ends are named ${name}` }
    if (this.#expected !== undefined && hello.name !== this.#expected) {
      return { code: 'name', message: `${hello.name} answers where ${this.#expected} was expected` }
    }
    if (hello.proves !== this.#own.proves) {
      const [with_, without] = hello.proves ? [hello.name, name] : [name, hello.name]
      return { code: 'unauthenticated', message: `${with_} has an RPC key, ${without} has none` }
    }
    return undefined
  }

  #proof(prover: Role, key: Uint8Array): Uint8Array {
    const peer = this.peer
    if (peer === undefined) return new Uint8Array(0)
    const [dialer, acceptor] = this.#role === 'dialer' ? [this.#own, peer] : [peer, this.#own]
    // Texts are length-prefixed by JSON, nonces are of fixed length: no two pairs of hellos sign the same.
    const text = JSON.stringify([
      'shoal rpc 1',
      prover,
      dialer.cluster,
      dialer.name,
      dialer.boot,
      acceptor.name,
      acceptor.boot,
    ])
    return createHmac('sha256', key).update(dialer.nonce).update(acceptor.nonce).update(text).digest()
  }
}
