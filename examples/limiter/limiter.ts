/**
 * A rate limiter as HTTP middleware, exact over all processes: each key has one bucket, in one of them, and its calls run one
 * at a time. For node:http, Connect and Express.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { entity, type ShoalNode } from 'shoal'

export interface LimiterOptions {
  readonly perSecond: number
  /** How many requests may come at once. */
  readonly burst: number
  /** Who is limited. */
  readonly keyOf: (request: IncomingMessage) => string
  /** How long a request waits for its verdict. */
  readonly timeoutMs: number
}

export type Middleware = (request: IncomingMessage, response: ServerResponse, next: () => void) => void

/** Before the node's start. */
export function limiter(node: ShoalNode, options: LimiterOptions): Middleware {
  const { perSecond, burst, keyOf, timeoutMs } = options
  const everyMs = 1_000 / perSecond
  const Bucket = entity('bucket', {
    open: () => ({ fullAt: 0 }), // when it will be full again; each request puts that off
    calls: {
      take(bucket) {
        const now = Date.now()
        const missingMs = Math.max(bucket.fullAt - now, 0) + everyMs
        const tooMuchMs = missingMs - burst * everyMs
        if (tooMuchMs > 0) return { remaining: 0, retryAfterMs: Math.ceil(tooMuchMs) }
        bucket.fullAt = now + missingMs
        return { remaining: Math.floor(burst - missingMs / everyMs), retryAfterMs: 0 }
      },
    },
    idleMs: burst * everyMs, // a bucket that nobody asked for so long is full, and may be forgotten
  })
  const buckets = node.host(Bucket)

  return async (request, response, next) => {
    try {
      const { remaining, retryAfterMs } = await buckets.get(keyOf(request)).take(undefined, { timeoutMs })
      response.setHeader('RateLimit-Remaining', remaining)
      if (retryAfterMs > 0) {
        response.setHeader('Retry-After', Math.ceil(retryAfterMs / 1_000))
        response.writeHead(429).end('too many requests\n')
        return
      }
    } catch {
      // No verdict in time: better one request too many than none, as long as somebody counts them.
      response.setHeader('RateLimit-Unknown', '1')
    }
    next()
  }
}
