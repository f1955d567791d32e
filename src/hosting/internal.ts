/**
 * What nodes say to each other for their stores: calls to a named node whose method no user can register. They do not wait
 * among the calls of users, nor count with them: two nodes whose places are all taken by calls that wait for each other's
 * partitions would never get on. Few of them are under way at a time, by what custody and replication allow themselves.
 */

import type { Clock, Millis } from '../env.ts'
import type { CallFailure, CallRequest, CallSink, IncomingCall } from '../rpc/call.ts'
import { internalPrefix } from '../rpc/reserve.ts'
import type { Cancellable } from '../shard/context.ts'
import { failure } from '../shard/methods.ts'
import { type Body, bodyCodec } from '../wire/body.ts'
import {
  CopyReceiver,
  CopySender,
  type CopySource,
  type CopyTarget,
  copyMethod,
  InternalCall,
} from './copying.ts'

const askMethod = 'shoal:ask'

/** How long an answer is waited for before it counts as lost. */
export const askTimeoutMs: Millis = 2_000

export interface InternalPorts {
  readonly clock: Clock
  send(peer: string, request: CallRequest, sink: CallSink): Cancellable
  /** Something that nobody of ours would send; it was dropped. */
  malformed(peer: string): void
}

/** Takes questions of one kind. `answer` is called once, now or later. */
export type AskHandler = (
  store: string,
  from: string,
  message: unknown,
  answer: (reply: unknown) => void,
) => void

/** Takes a copy, or refuses it. */
export type CopyHandler = (
  store: string,
  from: string,
  head: unknown,
  admit: (target: CopyTarget) => void,
  reject: (answer: unknown) => void,
) => void

class Question extends InternalCall implements CallSink {
  readonly method = askMethod
  readonly input = false
  readonly bulk = false
  readonly #then: (reply: unknown, isAnswered: boolean) => void

  constructor(body: Body, deadline: Millis, then: (reply: unknown, isAnswered: boolean) => void) {
    super(body, deadline)
    this.#then = then
  }

  replied(body: Body): void {
    let reply: unknown
    try {
      reply = bodyCodec.decode(body)
    } catch {
      this.#then(undefined, false)
      return
    }
    this.#then(reply, true)
  }

  failed({ code }: CallFailure): void {
    // It knows no such questions: it is a node without stores.
    this.#then(undefined, code === 'ERR_SHOAL_NO_METHOD')
  }
}

export class InternalCalls {
  readonly #ports: InternalPorts
  readonly #handlers = new Map<string, AskHandler>()
  #copies: CopyHandler | undefined

  constructor(ports: InternalPorts) {
    this.#ports = ports
  }

  /** Takes the questions of this kind. */
  on(kind: string, handler: AskHandler): void {
    this.#handlers.set(kind, handler)
  }

  onCopy(handler: CopyHandler): void {
    this.#copies = handler
  }

  /** `then` hears once; `undefined` with `isAnswered`: the peer has no such store. */
  ask(
    kind: string,
    to: string,
    store: string,
    message: unknown,
    then: (reply: unknown, isAnswered: boolean) => void,
  ): void {
    const { clock, send } = this.#ports
    const question = new Question(bodyCodec.encode([kind, store, message]), clock.now() + askTimeoutMs, then)
    send(to, question, question)
  }

  /** Starts to send a copy; `source` is asked for chunk after chunk as there is room. */
  copy(to: string, store: string, head: unknown, source: CopySource): Cancellable {
    const sender = new CopySender(this.#ports.clock, bodyCodec.encode([store, head]), source)
    sender.start(this.#ports.send(to, sender, sender))
    return sender
  }

  /** Takes a call if it is one of ours. */
  receive(incoming: IncomingCall): boolean {
    if (!incoming.method.startsWith(internalPrefix)) return false
    // Its asker has given up, or its connection is gone; it counts as running until it has been answered all the same.
    if (incoming.cancelled) this.#refuse(incoming, true)
    else if (incoming.method === askMethod) this.#asked(incoming)
    else if (incoming.method === copyMethod) this.#copied(incoming)
    else return false
    return true
  }

  #asked(incoming: IncomingCall): void {
    const body = this.#read(incoming)
    const handler = body && this.#handlers.get(body[0] as string)
    if (handler === undefined || typeof body?.[1] !== 'string') {
      this.#refuse(incoming, body !== undefined)
      return
    }
    handler(body[1], incoming.peer, body[2], (reply) => incoming.reply(bodyCodec.encode(reply)))
  }

  #copied(incoming: IncomingCall): void {
    const body = this.#read(incoming)
    const { inputStream } = incoming
    if (this.#copies === undefined || typeof body?.[0] !== 'string' || inputStream === undefined) {
      this.#refuse(incoming, body !== undefined)
      return
    }
    const reject = (answer: unknown): void => {
      inputStream.stop()
      incoming.reply(bodyCodec.encode(answer))
    }
    const admit = (target: CopyTarget): void => new CopyReceiver(incoming, inputStream, target).moved()
    this.#copies(body[0], incoming.peer, body[1], admit, reject)
  }

  #read(incoming: IncomingCall): unknown[] | undefined {
    try {
      const body = bodyCodec.decode(incoming.body)
      if (Array.isArray(body)) return body
    } catch {
      // Told below.
    }
    this.#ports.malformed(incoming.peer)
    return undefined
  }

  #refuse(incoming: IncomingCall, isReadable: boolean): void {
    incoming.inputStream?.stop()
    const code = isReadable ? 'ERR_SHOAL_NO_METHOD' : 'ERR_SHOAL_REMOTE'
    incoming.fail(failure(code, 'there is no such store here', false))
  }
}
