/** What a drill asks of the service that it drills, and its own program of each process. */
import type { EntityLevel, NodeOptions, ShoalNode } from '../../index.ts'
import { Failure } from '../command.ts'
import type { KeyBook } from './books.ts'
import type { KeyState } from './verdict.ts'

/** What was typed, for services that can be set up in more than one way. */
export interface Setting {
  readonly level: EntityLevel
  readonly copies: number | undefined
  readonly acks: number | undefined
  readonly merge: boolean
  /** Members of a quorum; none: no quorum. */
  readonly voters: number | undefined
}

/** One process of the service. Clients are processes too, of nodes that are observers. */
export interface Service {
  /** Started. */
  readonly node: ShoalNode
  /** Makes one update of a key. `id` is the update's own. */
  update(key: string, id: string): unknown
  /** The ids that the key's state has, or how many updates. */
  read(key: string): KeyState | Promise<KeyState>
}

/** The module given by `--entry` exports this function as `start`. The options are for `createNode`. */
export type StartService = (options: NodeOptions, setting: Setting) => Promise<Service> | Service

/** The options of one process, as JSON. */
export interface MemberOptions {
  readonly name: string
  readonly port: number
  readonly join: readonly string[]
  readonly cluster: string
  /** A file URL. */
  readonly entry: string
  readonly setting: Setting
  readonly observer?: boolean
  /** Its network can be cut. */
  readonly cuttable: boolean
  readonly leaveMs: number
}

/** What a process answers. */
export interface Answers {
  /** How it sees the ring, and whether state is on the move. */
  view: { readonly digest: string; readonly members: readonly string[]; readonly settled: boolean }
  rpc: string
  cut: undefined
  load: undefined
  lap: Lap
  stop: undefined
  books: readonly KeyBook[]
  read: readonly (readonly [key: string, state: KeyState])[]
}

/** What a process is asked, and with what. */
export interface Questions {
  view: undefined
  rpc: undefined
  /** Gossip and RPC addresses that are out of reach from now on. */
  cut: readonly string[]
  load: { readonly keys: readonly string[]; readonly perSecond: number }
  lap: undefined
  stop: undefined
  books: undefined
  read: { readonly keys: readonly string[]; readonly withinMs: number }
}

/** What a client has done since it was asked last. */
export interface Lap {
  readonly calls: number
  readonly failed: number
  readonly longestMs: number
  /** Some of the failures. */
  readonly failures: readonly string[]
}

export type Ask = {
  [Q in keyof Questions]: { id: number; question: Q; detail: Questions[Q] }
}[keyof Questions]

export interface Answer {
  readonly type: 'answer'
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

/** A node has said that state is gone: with a peer, or one of two states of a key. */
export interface Loss {
  readonly type: 'loss'
  readonly store: string
  readonly peer?: string
  readonly key?: string
  readonly partitions: number
}

/** Loads the module of a service and checks what it exports. */
export async function loadService(entry: string): Promise<StartService> {
  const module = (await import(entry)) as { readonly start?: unknown }
  if (typeof module.start !== 'function') {
    throw new Failure(`${entry} exports no function "start"; see docs/drill.md`)
  }
  return module.start as StartService
}

/** Checks what `start` returned. */
export function checkService(entry: string, found: unknown): Service {
  const { node, update, read } = (found ?? {}) as Partial<Service>
  if (typeof node?.request !== 'function' || typeof update !== 'function' || typeof read !== 'function') {
    throw new Failure(`start() of ${entry} must return { node, update, read }; see docs/drill.md`)
  }
  return found as Service
}

/** Checks what `read` returned. */
export function checkState(key: string, state: unknown): KeyState {
  if (typeof state === 'number') return state
  if (Array.isArray(state) && state.every((id) => typeof id === 'string')) return state as string[]
  throw new Failure(`read(${JSON.stringify(key)}) must return a list of ids or a number`)
}
