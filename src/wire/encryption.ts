/**
 * The encryption envelope: version, nonce, ciphertext, tag; AES in GCM (protocol reference, section 6;
 * memberlist's security.go). Version 1 is written and read; version 0, which pads the plaintext to 16
 * bytes, is read. There is no replay protection and no sender identity: whoever holds a key is the cluster.
 */
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'
import type { Random } from '../env.ts'
import { noBytes } from './cursor.ts'
import type { Keyring } from './keyring.ts'

const nonceBytes = 12
const tagBytes = 16

/** Bytes that `sealBytes` adds. */
export const sealOverheadBytes = 29

/** Is there a key to seal and open with? */
export function hasKeys(keyring: Keyring | undefined): keyring is Keyring {
  return keyring !== undefined && keyring.size > 0
}

/** Writes the envelope of `plain` into `out` at `at`; it takes `plain.length + sealOverheadBytes` bytes. */
export function sealInto(
  out: Uint8Array,
  at: number,
  plain: Uint8Array,
  keyring: Keyring,
  extra: Uint8Array,
  random: Random,
): void {
  const key = keyring.secret(0)
  if (key === undefined) throw new RangeError('no key to seal with')
  const nonce = random.bytes(nonceBytes)
  const cipher = createCipheriv(algorithm(key), key, nonce, { authTagLength: tagBytes })
  if (extra.length > 0) cipher.setAAD(extra)
  const sealed = cipher.update(plain)
  cipher.final()
  out[at] = 1
  out.set(nonce, at + 1)
  out.set(sealed, at + 1 + nonceBytes)
  out.set(cipher.getAuthTag(), at + 1 + nonceBytes + sealed.length)
}

/** The plaintext in an envelope, by whichever key of the ring opens it; undefined if none does. */
export function openSealed(sealed: Uint8Array, keyring: Keyring, extra: Uint8Array): Uint8Array | undefined {
  const version = sealed[0]
  if (sealed.length < sealOverheadBytes || (version !== 0 && version !== 1)) return undefined
  for (let i = 0; i < keyring.size; i++) {
    const plain = openWith(sealed, keyring.secret(i)!, extra)
    if (plain !== undefined) return version === 0 ? withoutPadding(plain) : plain
  }
  return undefined
}

function openWith(sealed: Uint8Array, key: KeyObject, extra: Uint8Array): Uint8Array | undefined {
  const nonce = sealed.subarray(1, 1 + nonceBytes)
  const decipher = createDecipheriv(algorithm(key), key, nonce, { authTagLength: tagBytes })
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes))
  if (extra.length > 0) decipher.setAAD(extra)
  const plain = decipher.update(sealed.subarray(1 + nonceBytes, sealed.length - tagBytes))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.length)
}

function algorithm(key: KeyObject): 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm' {
  const size = key.symmetricKeySize
  return size === 32 ? 'aes-256-gcm' : size === 24 ? 'aes-192-gcm' : 'aes-128-gcm'
}

/** PKCS7, of which Go checks nothing; here the padding must be one. */
function withoutPadding(plain: Uint8Array): Uint8Array | undefined {
  const padding = plain.at(-1) ?? 0
  if (plain.length % 16 !== 0 || padding < 1 || padding > 16) return undefined
  for (let i = plain.length - padding; i < plain.length; i++) if (plain[i] !== padding) return undefined
  return padding === plain.length ? noBytes : plain.subarray(0, plain.length - padding)
}
