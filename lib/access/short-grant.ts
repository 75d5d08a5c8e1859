/**
 * A grant as a peer's signed record shows it: what of its token does not follow from the record, which names peer and swarm. So it
 * takes some 110 characters where the token has 400: `<a or m>.<issued>.<until>.<signature>`, for admin or member, the times in base 36,
 * the last empty where it never ends.
 */
import { canonicalJson } from '../base/json.ts'
import { textOf, fromBase64Url, toBase64Url, utf8 } from '../base/bytes.ts'
import { SwarmError, assert } from '../base/error.ts'
import { swarmIdOf, verifyGrant, type Grant } from './grant.ts'

const SHORT = /^([am])\.([0-9a-z]{1,11})\.([0-9a-z]{0,11})\.([\w-]{86})$/

/** @param token of this peer's own grant, verified */
export function shortGrant (token: string): string {
  const [body = '', signature] = token.split('.')
  const { issuedAtMs, memberUntilMs, role } = JSON.parse(textOf(fromBase64Url(body))) as Grant
  const short = `${role === 'admin' ? 'a' : 'm'}.${issuedAtMs.toString(36)}.${memberUntilMs?.toString(36) ?? ''}.${signature}`
  assert(SHORT.test(short), 'a grant that was verified can be shortened')
  return short
}

/**
 * Whether a short grant lets a peer in now.
 *
 * @param nowWallMs our clock, milliseconds since 1970 UTC
 */
export function isGranted (short: string, swarmPublicKey: Uint8Array, peerId: string, nowWallMs: number): boolean {
  const [, letter, issued, until, signature] = SHORT.exec(short) ?? []
  if (letter === undefined || issued === undefined) return false
  const grant: Grant = {
    v: 1, swarm: swarmIdOf(swarmPublicKey), peerId, role: letter === 'a' ? 'admin' : 'member',
    issuedAtMs: Number.parseInt(issued, 36), memberUntilMs: until === undefined || until === '' ? null : Number.parseInt(until, 36)
  }
  try {
    verifyGrant(`${toBase64Url(utf8(canonicalJson(grant)))}.${signature}`, swarmPublicKey, peerId, nowWallMs)
    return true
  } catch (error) {
    if (error instanceof SwarmError && error.code === 'NOT_ADMITTED') return false
    throw error
  }
}
