/**
 * IP addresses between their bytes on the wire and `host:port` text. The room has no `node:net`, so the
 * text forms of RFC 4291 and 5952 are read and written here.
 */
import { joinAddress } from '../address.ts'
import type { Address } from '../env.ts'

/**
 * The 4 or 16 bytes of an IP address in text; undefined if it is none (a name, a zone). A mapped IPv4
 * address has 4 bytes: Go peers take the two spellings for two addresses, and ours is always the short one.
 */
export function packIp(host: string): Uint8Array | undefined {
  if (!host.includes(':')) return packIpv4(host)
  const bytes = packIpv6(host)
  return bytes !== undefined && isMapped(bytes) ? bytes.slice(12) : bytes
}

function packIpv4(text: string): Uint8Array | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes = new Uint8Array(4)
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!
    // A leading zero could mean octal; nobody agrees, so nobody may write it.
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    bytes[i] = Number(part)
  }
  return bytes
}

function packIpv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const front = packGroups(halves[0]!, halves.length === 1)
  const back = halves.length === 2 ? packGroups(halves[1]!, true) : []
  if (front === undefined || back === undefined) return undefined
  const known = front.length + back.length
  if (halves.length === 1 ? known !== 16 : known > 14) return undefined
  const bytes = new Uint8Array(16)
  bytes.set(front)
  bytes.set(back, 16 - back.length)
  return bytes
}

/** The bytes of groups between colons; the last may be an IPv4 address if it ends the text. */
function packGroups(text: string, ends: boolean): number[] | undefined {
  const bytes: number[] = []
  if (text === '') return bytes
  const groups = text.split(':')
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i]!
    if (/^[0-9a-fA-F]{1,4}$/.test(group)) {
      const value = Number.parseInt(group, 16)
      bytes.push(value >>> 8, value & 255)
      continue
    }
    const ipv4 = ends && i === groups.length - 1 ? packIpv4(group) : undefined
    if (ipv4 === undefined) return undefined
    bytes.push(...ipv4)
  }
  return bytes
}

function isMapped(ip: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (ip[i] !== 0) return false
  return ip[10] === 0xff && ip[11] === 0xff
}

/**
 * IP bytes as text; 16 bytes that map an IPv4 address read as IPv4. RangeError for other than 4 or 16
 * bytes.
 */
export function ipText(ip: Uint8Array): string {
  if (ip.length === 4) return `${ip[0]}.${ip[1]}.${ip[2]}.${ip[3]}`
  if (ip.length !== 16) throw new RangeError(`an IP address has 4 or 16 bytes, not ${ip.length}`)
  if (isMapped(ip)) return ipText(ip.subarray(12))
  const groups: string[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((ip[i]! << 8) | ip[i + 1]!).toString(16))
  const { start, length } = longestZeros(groups)
  if (length < 2) return groups.join(':')
  return `${groups.slice(0, start).join(':')}::${groups.slice(start + length).join(':')}`
}

/** The longest run of zero groups, the first of equals: the one that RFC 5952 shortens. */
function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let i = 0; i < groups.length; i++) {
    let length = 0
    while (groups[i + length] === '0') length++
    if (length > best.length) best = { start: i, length }
  }
  return best
}

/** `127.0.0.1:7946`, `[::1]:7946`. RangeError as for `ipText`, and for a port that is none. */
export function formatAddress(ip: Uint8Array, port: number): Address {
  if (!(Number.isInteger(port) && port >= 0 && port <= 65_535)) throw new RangeError(`${port} is not a port`)
  return joinAddress(ipText(ip), port)
}
