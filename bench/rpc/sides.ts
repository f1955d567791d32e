/** All that is measured, in the order of the table. */
import { bare } from './bare.ts'
import { grpc } from './grpc.ts'
import { httpClient, httpPool } from './http.ts'
import { moleculer } from './moleculer.ts'
import { raw } from './raw.ts'
import { forwarded, shoal } from './shoal.ts'
import type { Side } from './side.ts'
import { tentacoli, upring, upringNoDelay } from './tentacoli.ts'

export const sides: readonly Side[] = [
  bare,
  shoal,
  forwarded,
  moleculer,
  tentacoli,
  httpClient,
  httpPool,
  upringNoDelay,
  grpc,
  upring,
  raw,
]
