/** What happened on all connections of a node, counted since it was made. Each number only grows. */
export interface RpcCounters {
  callsSent: number
  repliesReceived: number
  callsReceived: number
  callsTimedOut: number
  callsCancelled: number
  /** Calls refused here because a limit was reached, ours and the peers'. */
  callsShed: number
  /** Replies to calls that had been given up. */
  lateReplies: number
  /** Replies that were too long or came when the queue to the peer was full: it got an error instead. */
  repliesDropped: number
  /** Streams in either direction of calls, ours and the peers'. */
  streamsOpened: number
  /** Bytes of their chunks. */
  streamBytesIn: number
  streamBytesOut: number
  /** Frames of streams whose call was over here already. */
  streamFramesLate: number
  /** How often a breaker opened. */
  breakersOpened: number
  /** Calls of ours that an open breaker failed at once. */
  callsBroken: number
  bytesIn: number
  bytesOut: number
  writes: number
  dials: number
  dialsFailed: number
  accepted: number
  /** Accepted connections closed because they had not said hello when too many others came. */
  halfOpenShed: number
  /** By `GoawayCode`: connections we refused or ended, and that peers refused or ended. */
  readonly goawaysSent: Record<string, number>
  readonly goawaysReceived: Record<string, number>
  /** By `Violation`: connections closed because the peer broke the protocol. */
  readonly violations: Record<string, number>
}

export function newCounters(): RpcCounters {
  return {
    callsSent: 0,
    repliesReceived: 0,
    callsReceived: 0,
    callsTimedOut: 0,
    callsCancelled: 0,
    callsShed: 0,
    lateReplies: 0,
    repliesDropped: 0,
    streamsOpened: 0,
    streamBytesIn: 0,
    streamBytesOut: 0,
    streamFramesLate: 0,
    breakersOpened: 0,
    callsBroken: 0,
    bytesIn: 0,
    bytesOut: 0,
    writes: 0,
    dials: 0,
    dialsFailed: 0,
    accepted: 0,
    halfOpenShed: 0,
    goawaysSent: {},
    goawaysReceived: {},
    violations: {},
  }
}

export function count(record: Record<string, number>, name: string): void {
  record[name] = (record[name] ?? 0) + 1
}
