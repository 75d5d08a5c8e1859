/**
 * What an announcement says, closed to everybody who does not know the swarm's id, which only members do: an outsider on the LAN
 * neither reads who announces what, nor can announce anything itself. Whoever was a member once can do both: what is found
 * stays a hint. The tag and the key come from the id by hashes of their own, and lead back neither to it nor to each other.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'
import { sha256 } from '#hash'
import { concatBytes, textOf, utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { isObject, parseObject } from '../../lib/base/json.ts'
import type { Random } from '../../lib/base/random.ts'
import { publicKeyOf } from '../../lib/identity/key.ts'
import { SEALED_BYTES_MAX } from './wire.ts'

/** Addresses in one announcement; further ones are left out. */
export const ADDRESSES_MAX = 16

/** Longest address, in characters; longer ones are left out. */
export const ADDRESS_CHARS_MAX = 512

const TAG_DOMAIN = 'mcp-swarm/mdns/tag/1\n'
const KEY_DOMAIN = 'mcp-swarm/mdns/key/1\n'
const TAG_BYTES = 16
const NONCE_BYTES = 12
const SEAL_BYTES = 16
const CIPHER = 'aes-256-gcm'

/** A peer that can be dialled at addresses, or one that leaves: then it has none. */
export interface Announcement {
  readonly peerId: string
  readonly addresses: readonly string[]
}

/** What a swarm's peers share on a LAN. */
export interface SwarmKey {
  /** 26 characters of [a-z2-7]: the name under which the swarm's peers ask for each other. */
  readonly tag: string
  readonly key: Uint8Array
}

export function swarmKeyOf (swarmId: string): SwarmKey {
  return { tag: base32.baseEncode(sha256(utf8(TAG_DOMAIN + swarmId)).subarray(0, TAG_BYTES)), key: sha256(utf8(KEY_DOMAIN + swarmId)) }
}

/** Closes an announcement; it is worth something only under its label. What does not fit is left out, from the end. */
export function seal ({ tag, key }: SwarmKey, label: string, { peerId, addresses }: Announcement, random: Random): Uint8Array {
  const fitting = addresses.filter(address => address.length <= ADDRESS_CHARS_MAX).slice(0, ADDRESSES_MAX)
  let plain = plainOf(peerId, fitting)
  while (plain.byteLength + NONCE_BYTES + SEAL_BYTES > SEALED_BYTES_MAX) {
    fitting.pop()
    plain = plainOf(peerId, fitting)
  }
  const nonce = random.bytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(utf8(tag + label))
  return concatBytes(nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag())
}

/** @returns undefined if nobody who knows the swarm's id made it, or it says nothing that we understand */
export function open ({ tag, key }: SwarmKey, label: string, sealed: Uint8Array): Announcement | undefined {
  if (sealed.byteLength < NONCE_BYTES + SEAL_BYTES || sealed.byteLength > SEALED_BYTES_MAX) return undefined
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES), { authTagLength: SEAL_BYTES }).setAAD(utf8(tag + label))
  decipher.setAuthTag(sealed.subarray(sealed.byteLength - SEAL_BYTES))
  let plain: Uint8Array
  try {
    plain = concatBytes(decipher.update(sealed.subarray(NONCE_BYTES, sealed.byteLength - SEAL_BYTES)), decipher.final())
  } catch {
    return undefined // not made with this key, or changed since
  }
  return readPlain(plain)
}

function plainOf (peerId: string, addresses: readonly string[]): Uint8Array {
  return utf8(JSON.stringify({ v: 1, peerId, addresses }))
}

function readPlain (plain: Uint8Array): Announcement | undefined {
  try {
    const facts = parseObject(textOf(plain), 'an announcement')
    const { v, peerId, addresses } = facts
    if (!isObject(facts) || v !== 1 || typeof peerId !== 'string' || !Array.isArray(addresses)) return undefined
    publicKeyOf(peerId)
    return { peerId, addresses: addresses.filter((address): address is string => typeof address === 'string' && address.length <= ADDRESS_CHARS_MAX).slice(0, ADDRESSES_MAX) }
  } catch (error) {
    if (error instanceof SwarmError) return undefined
    throw error
  }
}
