/** The processes of the benchmark. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Answer, Order } from './protocol.ts'

type Of<Type extends Answer['type']> = Extract<Answer, { readonly type: Type }>

export class Process {
  readonly #child: ChildProcess

  constructor(name: string, role: 'member' | 'joiner' | 'observer', join: string) {
    const { execArgv } = process
    this.#child = fork(new URL('./member.js', import.meta.url), [name, role, join], {
      execArgv: [...execArgv, '--expose-gc'],
    })
  }

  send(order: Order): void {
    this.#child.send(order)
  }

  onReceived(fn: (received: Of<'received'>) => void): void {
    this.#child.on('message', (answer: Answer) => {
      if (answer.type === 'received') fn(answer)
    })
  }

  /** The next answer of this type. */
  hear<Type extends Answer['type']>(type: Type): Promise<Of<Type>> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const done = (): void => {
        child.off('message', take)
        child.off('exit', gone)
      }
      const take = (answer: Answer): void => {
        if (answer.type !== 'failed' && answer.type !== type) return
        done()
        if (answer.type === 'failed') reject(new Error(answer.message))
        else resolve(answer as Of<Type>)
      }
      const gone = (): void => {
        done()
        reject(new Error('a process of the benchmark has ended'))
      }
      child.on('message', take)
      child.on('exit', gone)
    })
  }

  async ask<Type extends Answer['type']>(order: Order, type: Type): Promise<Of<Type>> {
    const answer = this.hear(type)
    this.send(order)
    return await answer
  }

  stop(): void {
    if (this.#child.connected) this.#child.disconnect()
  }
}

/** Moves so many records by hand; milliseconds. */
export async function moveBare(keys: number): Promise<number> {
  const bare = new URL('./bare.js', import.meta.url)
  const taker = fork(bare, ['taker'])
  const [{ port }] = (await once(taker, 'message')) as [{ port: number }]
  const giver = fork(bare, ['giver', String(port), String(keys)])
  await once(giver, 'message')
  const begun = performance.now()
  giver.send('go')
  const [taken] = (await once(taker, 'message')) as [{ keys: number }]
  const ms = performance.now() - begun
  if (taken.keys !== keys) throw new Error(`${taken.keys} of ${keys} records arrived`)
  giver.disconnect()
  taker.disconnect()
  return ms
}
