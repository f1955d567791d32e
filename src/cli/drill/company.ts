/** The processes of a drill, as they are asked: members that come and go, and clients that stay. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../command.ts'
import { Fleet, type FleetHandler, type Place } from '../demo/fleet.ts'
import type { Answer, Answers, Ask, Loss, MemberOptions, Questions } from './contract.ts'

/** How long a process may take to answer, besides what the question itself takes. */
const answerMs = 15_000
/** How long a process that was told to leave may take after its own deadline. */
const leaveGraceMs = 5_000
const lookAgainMs = 40

export interface CompanyOptions extends Pick<MemberOptions, 'entry' | 'setting' | 'cuttable' | 'leaveMs'> {
  readonly members: number
  readonly clients: number
}

export interface CompanyHandler extends Pick<FleetHandler, 'changed' | 'crashed'> {
  /** A node has said that state is gone. */
  lost(place: Place, loss: Loss): void
}

/** A question that was not answered yet. */
interface Pending {
  readonly place: Place
  settle(answer: Omit<Answer, 'type' | 'id'>): void
}

export class Company {
  readonly members: Place[] = []
  readonly clients: Place[] = []
  readonly #fleet: Fleet
  readonly #options: CompanyOptions
  readonly #pending = new Map<number, Pending>()
  #asked = 0

  constructor(options: CompanyOptions, handler: CompanyHandler) {
    const { entry, setting, cuttable, leaveMs } = options
    this.#options = options
    this.#fleet = new Fleet(
      {
        program: new URL('./child.js', import.meta.url),
        shared: { cluster: `drill-${process.pid}`, entry, setting, cuttable, leaveMs },
      },
      {
        crashed: (place, why) => handler.crashed(place, why),
        changed: (place, what) => {
          if (!place.isUp) this.#giveUp(what, place)
          handler.changed(place, what)
        },
        told: (place, message) => {
          const told = message as Answer | Loss
          if (told.type === 'answer') this.#pending.get(told.id)?.settle(told)
          else handler.lost(place, told)
        },
      },
    )
  }

  /** Starts all: one client first, through which the others join. */
  async start(): Promise<void> {
    const { members, clients } = this.#options
    for (let index = 1; index <= clients; index++) {
      this.clients.push(await this.#fleet.add(`client-${index}`, { observer: true }))
    }
    // One by one: processes that start at once would fight for the CPU, and each joins what is there.
    for (let index = 1; index <= members; index++) this.members.push(await this.#fleet.add(`node-${index}`))
  }

  async ask<Q extends keyof Questions>(
    place: Place,
    question: Q,
    detail: Questions[Q],
    withinMs: number = answerMs,
  ): Promise<Answers[Q]> {
    const { child } = place
    if (child === undefined) throw new Failure(`${place.name} is down and cannot be asked`)
    const id = ++this.#asked
    return new Promise<Answers[Q]>((resolve, reject) => {
      const settle = ({ value, error }: Omit<Answer, 'type' | 'id'>): void => {
        clearTimeout(timer)
        this.#pending.delete(id)
        if (error === undefined) resolve(value as Answers[Q])
        else reject(new Failure(`${place.name}: ${error}`))
      }
      const late = `did not answer "${question}" within ${withinMs} ms`
      const timer = setTimeout(() => settle({ error: late }), withinMs)
      this.#pending.set(id, { place, settle })
      child.send({ id, question, detail } as Ask, (error) => error && settle({ error: error.message }))
    })
  }

  /** Waits until everyone sees one ring of these members and no state is on the move. */
  async together(members: readonly Place[], withinMs: number): Promise<void> {
    const wanted = JSON.stringify(members.map(({ name }) => name).sort())
    const until = performance.now() + withinMs
    let seen = ''
    while (performance.now() < until) {
      const asked = [...this.clients, ...members]
      const views = await Promise.all(asked.map((place) => this.ask(place, 'view', undefined)))
      const digests = new Set(views.map(({ digest }) => digest))
      const isWhole = views.every((view) => JSON.stringify([...view.members].sort()) === wanted)
      if (digests.size === 1 && isWhole && views.every(({ settled }) => settled)) return
      seen = asked.map(({ name }, index) => `${name}: ${describe(views[index])}`).join('; ')
      await sleep(lookAgainMs)
    }
    throw new Failure(`not one settled ring of ${members.length} within ${withinMs} ms: ${seen}`)
  }

  /** SIGTERM, until the process is gone. */
  async leave(place: Place): Promise<void> {
    const { child } = place
    if (child === undefined) return
    const gone = once(child, 'exit')
    this.#fleet.leave(place)
    const ms = this.#options.leaveMs + leaveGraceMs
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, ms)
    await gone
    clearTimeout(timer)
    if (isLate) throw new Failure(`${place.name} has not left ${ms} ms after its SIGTERM`)
  }

  async restart(place: Place): Promise<void> {
    await this.#fleet.start(place)
  }

  kill(place: Place): void {
    this.#fleet.kill(place)
  }

  stop(place: Place): void {
    this.#fleet.stop(place)
  }

  continue(place: Place): void {
    this.#fleet.continue(place)
  }

  /** Cuts the cable between two sides; without sides: puts it back. */
  async cut(sides: readonly [readonly Place[], readonly Place[]] | undefined): Promise<void> {
    const all = [...this.clients, ...this.members]
    const addresses = new Map<Place, readonly string[]>()
    for (const place of all) {
      addresses.set(place, [place.gossip ?? '', await this.ask(place, 'rpc', undefined)])
    }
    const of = (places: readonly Place[]): string[] => places.flatMap((place) => addresses.get(place) ?? [])
    await Promise.all(
      all.map((place) => {
        const beyond = sides === undefined ? [] : sides[0].includes(place) ? of(sides[1]) : of(sides[0])
        return this.ask(place, 'cut', beyond)
      }),
    )
  }

  async close(): Promise<void> {
    await this.#fleet.close()
    this.#giveUp('the drill is over')
  }

  #giveUp(why: string, of?: Place): void {
    for (const { place, settle } of [...this.#pending.values()]) {
      if (of === undefined || of === place) settle({ error: why })
    }
  }
}

function describe(view: Answers['view'] | undefined): string {
  if (view === undefined) return 'unknown'
  return `ring ${view.digest} of ${view.members.length}${view.settled ? '' : ', state on the move'}`
}
