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
  async hear<Type extends Answer['type']>(type: Type): Promise<Of<Type>> {
    for (;;) {
      const [answer] = (await Promise.race([
        once(this.#child, 'message'),
        once(this.#child, 'exit').then(() => {
          throw new Error('a process of the benchmark has ended')
        }),
      ])) as [Answer]
      if (answer.type === 'failed') throw new Error(answer.message)
      if (answer.type === type) return answer as Of<Type>
    }
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
