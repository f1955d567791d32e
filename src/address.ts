/** `host:port` as text, the one spelling of an address; IPv6 hosts stand in brackets. */
import type { Address } from './env.ts'

export function joinAddress(host: string, port: number): Address {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** `undefined` for anything but a host and a port of 0 to 65535. */
export function splitAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([\da-fA-F:.%]*:[\w:.%]*)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host !== undefined && port <= 65_535 ? { host, port } : undefined
}

/** The port of an address that shoal made itself. */
export function portOf(address: Address): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}

/** The host of an address that shoal made itself, brackets included. */
export function hostOf(address: Address): string {
  return address.slice(0, address.lastIndexOf(':'))
}
