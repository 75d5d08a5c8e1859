/**
 * What a data folder keeps of the swarm it belongs to, in `swarm.json`: one line of JSON. A folder without it belongs to this
 * user's own swarm.
 */
import { INVITERS_MAX, INVITER_ADDRESSES_MAX, isAddress, type Inviter } from '../access/ticket.ts'
import { fromBase64Url, toBase64Url } from '../base/bytes.ts'
import { SwarmError } from '../base/error.ts'
import { parseObject, type Json } from '../base/json.ts'
import { PUBLIC_KEY_BYTES, publicKeyOf } from '../identity/key.ts'

/** Largest `swarm.json` read, in bytes. */
export const KEPT_BYTES_MAX = 32 * 2 ** 10

const VERSION = 1

export interface Kept {
  readonly swarmPublicKey: Uint8Array
  /** This peer's own. */
  readonly grant: string
  /** Who let it in, and where they were: dialled at each start. */
  readonly inviters: readonly Inviter[]
}

export function writeKept ({ swarmPublicKey, grant, inviters }: Kept): string {
  return `${JSON.stringify({ v: VERSION, swarmPublicKey: toBase64Url(swarmPublicKey), grant, inviters: inviters.slice(0, INVITERS_MAX) })}\n`
}

/** @throws SwarmError VERSION_UNSUPPORTED if a newer release wrote it, FOLDER_UNUSABLE if it is damaged */
export function readKept (text: string, path: string): Kept {
  try {
    const { v, swarmPublicKey, grant, inviters } = parseObject(text, path)
    if (typeof v === 'number' && v > VERSION) throw new SwarmError('VERSION_UNSUPPORTED', `${path} has format ${v}; this release reads ${VERSION}`, { details: { path } })
    const publicKey = typeof swarmPublicKey === 'string' ? fromBase64Url(swarmPublicKey) : undefined
    if (v !== VERSION || publicKey?.byteLength !== PUBLIC_KEY_BYTES || typeof grant !== 'string' || !Array.isArray(inviters)) throw new SwarmError('MALFORMED', `${path} lacks members`)
    return { swarmPublicKey: publicKey, grant, inviters: inviters.slice(0, INVITERS_MAX).map(inviter => readInviter(inviter as Json)) }
  } catch (cause) {
    if (!(cause instanceof SwarmError) || cause.code !== 'MALFORMED') throw cause
    throw new SwarmError('FOLDER_UNUSABLE', `${path} does not say which swarm this folder belongs to: ${cause.message}. Put its backup back, or move it away and join anew`, { cause, details: { path } })
  }
}

function readInviter (value: Json): Inviter {
  const { peerId, addresses } = parseObject(JSON.stringify(value), 'an inviter')
  if (typeof peerId !== 'string' || !Array.isArray(addresses)) throw new SwarmError('MALFORMED', 'an inviter lacks members')
  publicKeyOf(peerId)
  return { peerId, addresses: (addresses as readonly Json[]).filter(isAddress).slice(0, INVITER_ADDRESSES_MAX) }
}
