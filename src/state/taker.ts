/**
 * Takes what others give: copies that come while the giver still serves, and the rest with the right to serve. A partition is
 * taken only while it is ours by our table; of each `give` the answer is kept until the giver has it, so that one that is
 * repeated because its answer was lost is answered alike and does nothing twice.
 *
 *   input                   partition is             then
 *   copying (begins)        ours, seeking or active  admit; what another copy left, or came whole, is discarded first
 *                           ours, another copies it  reject busy
 *                           not ours                 reject notOwner
 *                           active, and another side reject busy; a give is refused likewise
 *                           of it is not merged yet
 *   received                staged                   whole, or discarded
 *   give, an entry          ours, seeking            accept its chunks, then active at the giver's epoch + 1
 *                           ours, active             the same, behind what runs: merged with what is live (both had it, in a split)
 *                           frozen, or not ours      refused
 *                           its copy is not staged   refused: copy
 *   accepted                ours by now              active; another one's by now: discarded and refused
 *   giver gone              staged                   discarded; what came with a give is accepted to its end
 *   not ours any more       staged                   discarded
 */
import type { Millis } from '../env.ts'
import { bytesIn } from './bytes.ts'
import type { Ask, CustodyInput, GiveEntry, Refusal, RefusalCode, Reply } from './custody-io.ts'
import { type Ground, type Peer, phase } from './ground.ts'

/** What of a partition has been accepted and is not live. */
interface Stage {
  readonly from: Peer
  /** Number that the giver gave the copy. */
  readonly copy: number
  /** `incoming`: under this number of the host. */
  readonly incoming: number
  /** What has travelled of it. */
  bytes: number
  /** `late`: the giver goes on with it, whatever comes of what is being accepted. */
  state: 'receiving' | 'whole' | 'arriving' | 'late'
}

/** One `give` whose entries are not all decided. */
interface Arrival {
  readonly from: Peer
  readonly batch: number
  readonly taken: number[]
  readonly refused: Refusal[]
  readonly left: Map<number, GiveEntry>
  /** Questions that wait for its answer: the same one, asked again. */
  readonly asked: number[]
}

interface Giver {
  below: number
  /** By batch: those that are not decided, and the answers to those that are. */
  readonly batches: Map<number, Arrival>
}

export interface TakerPorts {
  /** It is here: make it live at an epoch above that one. */
  take(entry: GiveEntry, from: Peer, bytes: number, now: Millis): void
  heldBy(partition: number, holder: Peer, now: Millis): void
}

/** Batches of one giver whose answers it may not have heard; for more it is told to ask again. */
export const batchesMax = 16

/** Givers whose last batches are remembered; of more the oldest is forgotten. */
const giversMax = 1_024

type Give = Extract<Ask, { type: 'give' }>
type Copying = Extract<CustodyInput, { type: 'copying' }>

export class Taker {
  readonly #ground: Ground
  readonly #ports: TakerPorts
  readonly #stages = new Map<number, Stage>()
  /** By the host's number of a copy that comes in. */
  readonly #incoming = new Map<number, number>()
  readonly #givers = new Map<Peer, Giver>()
  /** By the number of an `accept`. */
  readonly #accepts = new Map<
    number,
    { readonly arrival: Arrival; readonly entry: GiveEntry; readonly stage: Stage }
  >()

  constructor(ground: Ground, ports: TakerPorts) {
    this.#ground = ground
    this.#ports = ports
  }

  isArriving(partition: number): boolean {
    return this.#stages.get(partition)?.state === 'arriving'
  }

  // ---- copies

  copying(input: Copying, now: Millis): void {
    const { id, partition, after } = input
    const { options } = this.#ground
    const from = this.#ground.life(input.from, input.boot)
    if (from === undefined || input.toBoot !== options.boot) {
      const reason = `"${options.self}" is not the node that is meant, or does not know who asks`
      this.#ground.out({ type: 'reject', id, refusal: refuse('notOwner', reason) })
      return
    }
    const refusal = this.#refusalOf(partition, after, from)
    if (refusal !== undefined) {
      this.#ground.out({ type: 'reject', id, refusal })
      return
    }
    const stage = this.#stages.get(partition)
    const goesOn = after !== 0
    if (stage !== undefined) {
      this.#incoming.delete(stage.incoming)
      if (!goesOn) this.#ground.out({ type: 'discard', partition })
    }
    const bytes = goesOn ? (stage?.bytes ?? 0) : 0
    this.#stages.set(partition, { from, copy: input.copy, incoming: id, bytes, state: 'receiving' })
    this.#incoming.set(id, partition)
    this.#ground.out({ type: 'admit', id, partition, anew: !goesOn })
    this.#ports.heldBy(partition, from, now)
  }

  received(id: number, reason: string | undefined, bytes: number): void {
    const partition = this.#incoming.get(id)
    if (partition === undefined) return
    this.#incoming.delete(id)
    const stage = this.#stages.get(partition)
    if (stage?.incoming !== id || stage.state !== 'receiving') return
    stage.bytes += bytes
    if (reason === undefined) stage.state = 'whole'
    else this.#drop(partition)
  }

  // ---- the right to serve

  give(id: number, peer: string, ask: Give, now: Millis): void {
    const { options } = this.#ground
    const answer = (reply: Reply): void => this.#ground.out({ type: 'answer', id, reply })
    const from = this.#ground.life(peer, ask.boot)
    if (ask.toBoot !== options.boot) {
      answer({ type: 'stranger' })
      return
    }
    if (from === undefined) {
      const refused = ask.entries.map(({ partition }) => ({
        partition,
        ...refuse('notOwner', `"${options.self}" does not know "${peer}"`),
      }))
      answer({ type: 'given', taken: [], refused })
      return
    }
    const giver = this.#giver(from)
    if (ask.below > giver.below) {
      giver.below = ask.below
      for (const batch of giver.batches.keys()) if (batch < ask.below) giver.batches.delete(batch)
    }
    // What is older than all that wait was answered, and the answer heard.
    if (ask.batch < giver.below) {
      answer({ type: 'given', taken: [], refused: [] })
      return
    }
    const known = giver.batches.get(ask.batch)
    if (known !== undefined) {
      known.asked.push(id)
      this.#answerIfDone(known)
      return
    }
    if (giver.batches.size >= batchesMax) {
      answer({ type: 'later' })
      return
    }
    if (ask.along !== undefined) this.#ground.out({ type: 'along', chunk: ask.along })
    this.#begin(id, from, giver, ask, now)
  }

  #begin(id: number, from: Peer, giver: Giver, { batch, entries }: Give, now: Millis): void {
    const arrival: Arrival = { from, batch, taken: [], refused: [], left: new Map(), asked: [id] }
    giver.batches.set(batch, arrival)
    for (const entry of entries) {
      const { partition, chunks, copy } = entry
      const refusal = this.#refusalOf(partition, copy, from)
      const may = refusal === undefined ? this.#mayMerge(entry) : 'merge'
      if (may === 'wait') {
        arrival.refused.push({ partition, ...refuse('busy', 'what is here is given up first') })
        continue
      }
      if (may === 'drop') {
        this.#drop(partition)
        arrival.taken.push(partition)
        continue
      }
      if (refusal !== undefined) {
        arrival.refused.push({ partition, ...refusal })
        continue
      }
      const stage = this.#stages.get(partition)
      if (stage !== undefined && copy === 0) this.#drop(partition)
      const bytes = bytesIn(chunks) + (copy === 0 ? 0 : (stage?.bytes ?? 0))
      const arriving: Stage = { from, copy, incoming: 0, bytes, state: 'arriving' }
      this.#stages.set(partition, arriving)
      // What runs on a state that is live here ends first, whatever comes.
      if (chunks.length === 0 && this.#ground.phases[partition] !== phase.active) {
        arrival.taken.push(partition)
        this.#stages.delete(partition)
        this.#ports.take(entry, from, bytes, now)
        continue
      }
      arrival.left.set(partition, entry)
      const accept = this.#ground.id()
      this.#accepts.set(accept, { arrival, entry, stage: arriving })
      this.#ground.out({ type: 'accept', id: accept, partition, chunks })
    }
    if (arrival.left.size > 0) {
      this.#ground.later.add(now + this.#ground.limits.acceptMs, () => this.#late(arrival))
    }
    this.#answerIfDone(arrival)
  }

  accepted(id: number, reason: string | undefined, now: Millis): void {
    const found = this.#accepts.get(id)
    if (found === undefined) return
    this.#accepts.delete(id)
    const { arrival, entry } = found
    const { partition } = entry
    const stage = this.#stages.get(partition)
    const isHere = stage === found.stage
    if (!arrival.left.delete(partition)) {
      // It was late: the giver has it back.
      if (isHere && stage?.state === 'late') this.#drop(partition)
      return
    }
    let refusal = this.#mayTake(partition, arrival.from)
    if (!isHere) refusal = refuse('copy', 'it was forgotten meanwhile')
    if (reason !== undefined) refusal = refuse('unreadable', reason)
    if (refusal !== undefined) {
      if (isHere) this.#drop(partition)
      arrival.refused.push({ partition, ...refusal })
    } else {
      this.#stages.delete(partition)
      arrival.taken.push(partition)
      this.#ports.take(entry, arrival.from, stage?.bytes ?? 0, now)
    }
    this.#answerIfDone(arrival)
  }

  /** Accepting takes too long: the giver goes on with what is not here. */
  #late(arrival: Arrival): void {
    for (const partition of arrival.left.keys()) {
      const stage = this.#stages.get(partition)
      if (stage !== undefined) stage.state = 'late'
      arrival.refused.push({ partition, ...refuse('late', 'it was not read in time') })
    }
    arrival.left.clear()
    this.#answerIfDone(arrival)
  }

  // ---- the view

  /** Partitions that are not ours any more. */
  lost(partitions: readonly number[]): void {
    for (const partition of partitions) {
      const stage = this.#stages.get(partition)
      if (stage?.state === 'receiving' || stage?.state === 'whole') this.#drop(partition)
    }
  }

  peersChanged(gone: readonly Peer[]): void {
    if (gone.length === 0) return
    for (const [partition, stage] of this.#stages) {
      const isAside = stage.state === 'receiving' || stage.state === 'whole'
      if (isAside && !stage.from.isThere) this.#drop(partition)
    }
  }

  /** The partition was opened, or released: what lies aside is of no use. */
  forget(partition: number): void {
    if (this.#stages.has(partition)) this.#drop(partition)
  }

  /** `copy`: what it goes on from; 0: nothing. */
  #refusalOf(partition: number, copy: number, from: Peer): Pick<Refusal, 'code' | 'reason'> | undefined {
    const refusal = this.#mayTake(partition, from)
    if (refusal !== undefined) return refusal
    const stage = this.#stages.get(partition)
    if (stage?.state === 'arriving' || stage?.state === 'late') return refuse('busy', 'it is being taken')
    if (copy === 0) return undefined
    const isStaged = stage?.from === from && stage.copy === copy && stage.state === 'whole'
    return isStaged ? undefined : refuse('copy', 'what was copied before is not here')
  }

  /** Where it is active, whether what comes has anything that is not here. */
  #mayMerge({ partition, list }: GiveEntry): 'merge' | 'drop' | 'wait' {
    const { options, phases } = this.#ground
    if (phases[partition] !== phase.active) return 'merge'
    return options.copies?.mayMerge(partition, list) ?? 'merge'
  }

  #mayTake(partition: number, from: Peer): Pick<Refusal, 'code' | 'reason'> | undefined {
    const { options, phases } = this.#ground
    if (!this.#ground.isOurs(partition)) {
      return refuse('notOwner', `"${options.self}" does not own it by its table`)
    }
    if (phases[partition] !== phase.seeking && phases[partition] !== phase.active) {
      return refuse('busy', `"${options.self}" is giving it away`)
    }
    // What is accepted and discarded meanwhile would be that side's, too.
    if (phases[partition] === phase.active && options.copies?.isMerging(partition)) {
      return refuse('busy', 'what is here is merged first')
    }
    const stage = this.#stages.get(partition)
    // What came whole and was not followed by its `give` may never be: its giver has thought better of it, and gave elsewhere.
    if (stage !== undefined && stage.state !== 'whole' && stage.from !== from && stage.from.isThere) {
      return refuse('busy', `"${stage.from.name}" is giving it to "${options.self}"`)
    }
    return undefined
  }

  #drop(partition: number): void {
    const stage = this.#stages.get(partition)
    if (stage === undefined) return
    this.#stages.delete(partition)
    this.#incoming.delete(stage.incoming)
    this.#ground.out({ type: 'discard', partition })
  }

  #answerIfDone(arrival: Arrival): void {
    if (arrival.left.size > 0) return
    const { taken, refused } = arrival
    for (const id of arrival.asked.splice(0)) {
      this.#ground.out({ type: 'answer', id, reply: { type: 'given', taken, refused } })
    }
  }

  #giver(peer: Peer): Giver {
    const known = this.#givers.get(peer)
    if (known !== undefined) return known
    if (this.#givers.size >= giversMax) {
      for (const oldest of this.#givers.keys()) {
        this.#givers.delete(oldest)
        break
      }
    }
    const giver = { below: 0, batches: new Map() }
    this.#givers.set(peer, giver)
    return giver
  }
}

function refuse(code: RefusalCode, reason: string): Pick<Refusal, 'code' | 'reason'> {
  return { code, reason }
}
