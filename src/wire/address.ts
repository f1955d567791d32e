/** IP addresses between their bytes on the wire and `host:port` text. */
import type { Address } from '../env.ts'

/** The 4 or 16 bytes of an IP address in text; undefined if it is none. A mapped IPv4 address has 4: our own is always spelt short. */
export function packIp(_host: string): Uint8Array | undefined {
  throw new Error('not yet')
}

/** IP bytes as text; 16 bytes that map an IPv4 address read as IPv4. RangeError for other than 4 or 16 bytes. */
export function ipText(_ip: Uint8Array): string {
  throw new Error('not yet')
}

/** `127.0.0.1:7946`, `[::1]:7946`. */
export function formatAddress(_ip: Uint8Array, _port: number): Address {
  throw new Error('not yet')
}

/** Splits `host:port`; the host may be a name, and an IPv6 address must stand in brackets. Undefined if it is not one. */
export function parseAddress(_text: string): { host: string; port: number } | undefined {
  throw new Error('not yet')
}
