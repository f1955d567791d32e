/**
 * Chat rooms over three servers. Whoever is connected to any of them hears everybody of the room, in one order.
 *
 *     npm run build && node dist/examples/rooms/main.js
 *
 * and open http://127.0.0.1:8080/?room=lobby&name=ann and http://127.0.0.1:8081/?room=lobby&name=bob. With `--once` two people
 * talk on free ports while every server is restarted, and what each has heard is compared.
 */
import { resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { Servers } from '../servers.ts'

/** A message that is not heard by then was lost. */
const patienceMs = 20_000

/** Somebody in a room, as the page does it: connects again when the connection ends, and asks for what was missed. */
class Person {
  readonly heard: string[] = []
  readonly #url: string
  #socket: WebSocket | undefined
  #last = 0
  #isGone = false

  constructor(url: string, room: string, name: string) {
    this.#url = `${url.replace('http', 'ws')}/?room=${room}&name=${name}`
    this.#connect()
  }

  /** Says it once there is a connection. */
  async say(text: string): Promise<void> {
    while (this.#socket?.readyState !== WebSocket.OPEN) await setTimeout(20)
    this.#socket.send(text)
  }

  async hears(count: number): Promise<void> {
    for (const until = Date.now() + patienceMs; this.heard.length < count; ) {
      if (Date.now() > until) throw new Error(`${this.heard.length} of ${count} messages were heard`)
      await setTimeout(20)
    }
  }

  leave(): void {
    this.#isGone = true
    this.#socket?.close()
  }

  #connect(): void {
    const socket = new WebSocket(`${this.#url}&since=${this.#last}`)
    this.#socket = socket
    socket.on('message', (data) => {
      const { number, from, text } = JSON.parse(String(data)) as {
        number: number
        from: string
        text: string
      }
      this.#last = number
      this.heard.push(`${from}: ${text}`)
    })
    socket.on('error', () => {})
    socket.on('close', async () => {
      await setTimeout(100)
      if (!this.#isGone) this.#connect()
    })
  }
}

const runOnce = process.argv.includes('--once')
const servers = new Servers(resolve(import.meta.dirname, 'server.js'), runOnce ? [0, 0] : [8080, 8081, 8082])
await servers.start()
if (runOnce) await talk()
else console.log(`open ${servers.urls[0]}/?room=lobby&name=ann and ${servers.urls[1]}/?room=lobby&name=bob`)

/** People say something before each restart and after the last one. */
async function talk(): Promise<void> {
  const names = ['ann', 'bob']
  const people = servers.urls.map((url, index) => new Person(url, 'lobby', names[index] as string))
  let said = 0
  const all = async (): Promise<void> => {
    for (const person of people) await person.say(`message ${++said}`)
    await Promise.all(people.map((person) => person.hears(said)))
  }
  try {
    await all()
    for (const index of servers.urls.keys()) {
      await servers.restart(index)
      await all()
    }
    const late = new Person(servers.urls[0] as string, 'lobby', 'dan')
    await late.hears(said)
    const [first] = people
    const isSame = [...people, late].every((person) => String(person.heard) === String(first?.heard))
    console.log(`${said} messages, ${new Set(first?.heard).size} heard`)
    console.log(`everybody heard the same in the same order, over ${servers.urls.length} restarts: ${isSame}`)
    for (const person of [...people, late]) person.leave()
  } finally {
    servers.end()
  }
}
