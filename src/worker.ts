/** Where the thread of membership starts (host/thread.ts): membership on the real world, spoken to over the border. */
import { serveMembership } from './border.ts'
import { systemEnv } from './host/env.ts'
import { serveThread } from './host/thread.ts'

serveThread((port) => serveMembership(systemEnv, port))
