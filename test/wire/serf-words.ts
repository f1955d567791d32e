/** Serf messages in the words of the vectors: Go's field names, bytes as hex, Lamport times as numbers. */

import { decodeSerf } from '../../src/wire/serf.ts'
import type { SerfMessage } from '../../src/wire/serf-message.ts'
import { toHex } from './vectors.ts'

const serfTypes = [
  ...['leave', 'join', 'state', 'userEvent', 'query', 'queryResponse'],
  ...['conflictResponse', 'keyRequest', 'keyResponse', 'relay'],
]
const goNames: Readonly<Record<string, string>> = {
  cc: 'CC',
  id: 'ID',
  ip: 'IP',
  lTime: 'LTime',
  eventLTime: 'EventLTime',
  queryLTime: 'QueryLTime',
  statusLTimes: 'StatusLTimes',
  timeoutNs: 'Timeout',
}

function goName(property: string): string {
  return goNames[property] ?? property[0]!.toUpperCase() + property.slice(1)
}

export function serfInVectorWords(message: SerfMessage): {
  serfType: number
  fields: Record<string, unknown>
  relayed?: { serfType: number; fields: Record<string, unknown> }
} {
  const serfType = serfTypes.indexOf(message.type)
  if (message.type === 'relay') {
    const { ip, port, zone, destName, body } = message
    const fields = { DestAddr: { IP: { hex: toHex(ip) }, Port: port, Zone: zone }, DestName: destName }
    return { serfType, fields, relayed: serfInVectorWords(decodeSerf(body)) }
  }
  const { type: _, ...rest } = message
  const fields = words(rest) as Record<string, unknown>
  if (message.type === 'state') {
    const nonNil = (message.events ?? []).flatMap((events, index) =>
      events === undefined ? [] : [{ index, ...(words(events) as object) }],
    )
    fields['Events'] = { arrayLength: message.events?.length ?? 0, nonNil }
  }
  return { serfType, fields }
}

function words(value: unknown): unknown {
  if (value === undefined) return null
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof Uint8Array) return { hex: toHex(value) }
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, one]) => [key, words(one)]))
  if (Array.isArray(value)) return value.map(words)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [goName(key), words(one)]))
}
