/** What the RPC benchmark measures: a way to have a body echoed by another process, and how it was set up. */

export type BodyName = 'small' | '10KiB'

/** Has the body echoed by whoever has the key. */
export type Echo = (key: string, body: unknown) => Promise<unknown>

/** One measured stretch. */
export interface Round {
  readonly body: BodyName
  /** Calls kept under way at any time. */
  readonly depth: number
  readonly seconds: number
}

/** What came of it. */
export interface Sample {
  readonly perSecond: number
  readonly p50Us: number
  readonly p99Us: number
  readonly calls: number
  readonly errors: number
  /** Replies that were compared with what was sent, byte for byte; one that differs is an error. */
  readonly checked: number
}

export type Load = (round: Round) => Promise<Sample>

/** What a server tells those who come after it; it crosses a process border as JSON. */
export type Told = Readonly<Record<string, unknown>>

export interface Side {
  readonly name: string
  /** What differs from the defaults, and how bodies travel: for the reader of the table. */
  readonly settings: string
  /** What must be installed in bench/peers. */
  readonly packages: readonly string[]
  /** Each runs in a process of its own, started one after the other; `told` is what the earlier ones said. */
  readonly servers: readonly ((told: readonly Told[]) => Promise<Told>)[]
  /** Runs in a process of its own too. */
  connect(told: readonly Told[]): Promise<Load>
}
