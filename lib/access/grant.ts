/**
 * A grant: the swarm's own word that one peer belongs to it. Whoever knows the swarm's public key can check it, offline; its
 * private half, which stays with admins, alone can make one. It is bound to a peer id, so a copy is worth nothing to others,
 * and need not be kept secret.
 *
 * A token is `<base64url of the grant's canonical JSON>.<base64url of the signature>`. What is signed begins with
 * GRANT_DOMAIN: a signature that the swarm key made for any other purpose is no grant. There is one token for one grant;
 * whatever reads differently from how it would be written is refused.
 */
import { base32 } from 'multiformats/bases/base32'
import { concatBytes, fromBase64Url, textOf, toBase64Url, utf8 } from '../base/bytes.ts'
import { SwarmError, assert, messageOf } from '../base/error.ts'
import { sha256 } from '#hash'
import { canonicalJson, parseObject } from '../base/json.ts'
import type { JsonObject } from '../base/json.ts'
import { PUBLIC_KEY_BYTES, publicKeyOf, verify } from '../identity/key.ts'
import type { PrivateKey } from '../identity/key.ts'

/** Longest token read, in bytes; a real one has about 400. */
export const GRANT_BYTES_MAX = 1024

/**
 * How far ahead of our clock a grant that ends may have been issued, in milliseconds. Over it, our clock is so slow that its
 * word on what has ended counts for nothing. A grant that never ends needs no clock. The end itself has no tolerance: no
 * grant outlives it by our clock.
 */
export const GRANT_SKEW_MS_MAX = 5 * 60_000

const GRANT_DOMAIN = utf8('mcp-swarm/grant/1\n')
const SWARM_DOMAIN = utf8('mcp-swarm/swarm/1\n')
const SWARM_ID_BYTES = 16
const SWARM_ID = /^[a-z2-7]{26}$/

/** An admin may do all that a member may. */
export type Role = 'admin' | 'member'

export interface Grant {
  readonly v: 1
  /** The swarm's id. */
  readonly swarm: string
  /** Who is granted: the only peer this admits. */
  readonly peerId: string
  readonly role: Role
  /** Milliseconds since 1970 UTC, by the issuer's clock. */
  readonly issuedAtMs: number
  /** The first moment it no longer admits, in milliseconds since 1970 UTC; null: never ends. */
  readonly memberUntilMs: number | null
}

/** Why a grant does not admit: `details.reason` of NOT_ADMITTED. */
export type GrantReason =
  | 'malformed' // not a token in its one spelling, or over GRANT_BYTES_MAX
  | 'version' // a grant of a later format
  | 'swarm' // of another swarm
  | 'signature' // not signed by this swarm's key, or changed since
  | 'peer' // somebody else's
  | 'early' // issued in the future: one of the clocks is wrong
  | 'expired'

/** The swarm's short name on the wire, 26 characters of [a-z2-7]: a hash, so that nobody can make a key for a given id. */
export function swarmIdOf (swarmPublicKey: Uint8Array): string {
  assert(swarmPublicKey.byteLength === PUBLIC_KEY_BYTES, `a public key has ${PUBLIC_KEY_BYTES} bytes, not ${swarmPublicKey.byteLength}`)
  return base32.baseEncode(sha256(concatBytes(SWARM_DOMAIN, swarmPublicKey)).subarray(0, SWARM_ID_BYTES))
}

/**
 * Makes a token that admits one peer.
 *
 * @param facts times in whole milliseconds since 1970 UTC; the end lies after the issue
 * @throws SwarmError MALFORMED if the peer id is none, INVALID_OPTION if the times or the role are impossible
 */
export function mintGrant (swarmKey: PrivateKey, facts: Pick<Grant, 'peerId' | 'role' | 'issuedAtMs' | 'memberUntilMs'>): string {
  publicKeyOf(facts.peerId)
  const { peerId, role, issuedAtMs, memberUntilMs } = facts
  const grant: Grant = { v: 1, swarm: swarmIdOf(swarmKey.publicKey), peerId, role, issuedAtMs, memberUntilMs }
  if (readGrant({ ...grant }) === undefined) {
    throw new SwarmError('INVALID_OPTION', `no grant for role ${JSON.stringify(role)} from ${issuedAtMs} until ${memberUntilMs}: ` +
      'the role is admin or member, and the end lies after the issue, both in whole milliseconds')
  }
  const bytes = utf8(canonicalJson(grant))
  const token = `${toBase64Url(bytes)}.${toBase64Url(swarmKey.sign(concatBytes(GRANT_DOMAIN, bytes)))}`
  assert(token.length <= GRANT_BYTES_MAX, `a grant of ${token.length} bytes`)
  return token
}

/**
 * Checks a token from outside; cheap checks come first, so that rubbish costs little.
 *
 * @param peerId who showed it, as proven by the connection
 * @param nowWallMs our clock, milliseconds since 1970 UTC
 * @throws SwarmError NOT_ADMITTED with `details.reason`, a GrantReason
 */
export function verifyGrant (token: string, swarmPublicKey: Uint8Array, peerId: string, nowWallMs: number): Grant {
  const { members, signed, signature } = splitToken(token)
  if (typeof members['v'] === 'number' && members['v'] > 1) refuse('version', `its format ${members['v']} is newer than ours`)
  const grant = readGrant(members)
  if (grant === undefined) refuse('malformed', 'its members are not those of a grant')
  const swarm = swarmIdOf(swarmPublicKey)
  if (grant.swarm !== swarm) refuse('swarm', `it is for swarm ${grant.swarm}, not ${swarm}`)
  if (!verify(swarmPublicKey, concatBytes(GRANT_DOMAIN, signed), signature)) refuse('signature', 'it is not signed by this swarm\'s key')
  if (grant.peerId !== peerId) refuse('peer', `it is ${grant.peerId}'s, shown by ${peerId}`)
  if (grant.memberUntilMs !== null) {
    if (grant.issuedAtMs - nowWallMs > GRANT_SKEW_MS_MAX) refuse('early', `it was issued at ${momentOf(grant.issuedAtMs)}, and the clock of this machine says ${momentOf(nowWallMs)}: compare the clocks`)
    if (nowWallMs >= grant.memberUntilMs) refuse('expired', `it ended at ${momentOf(grant.memberUntilMs)}, and the clock of this machine says ${momentOf(nowWallMs)}`)
  }
  return grant
}

function splitToken (token: string): { members: JsonObject, signed: Uint8Array, signature: Uint8Array } {
  if (token.length > GRANT_BYTES_MAX) refuse('malformed', `it has ${token.length} characters; limit ${GRANT_BYTES_MAX}`)
  const [body, tail, ...more] = token.split('.')
  if (body === undefined || tail === undefined || more.length > 0) refuse('malformed', 'it has not two parts')
  try {
    const signed = fromBase64Url(body)
    const text = textOf(signed)
    const members = parseObject(text, 'a grant')
    if (canonicalJson(members) !== text) refuse('malformed', 'it is not written the canonical way')
    return { members, signed, signature: fromBase64Url(tail) }
  } catch (cause) {
    if (cause instanceof SwarmError && cause.code === 'MALFORMED') refuse('malformed', messageOf(cause), cause)
    throw cause
  }
}

/** The grant with exactly these members, or undefined. */
function readGrant (members: JsonObject): Grant | undefined {
  const { v, swarm, peerId, role, issuedAtMs, memberUntilMs, ...others } = members
  if (v !== 1 || Object.keys(others).length > 0) return undefined
  if (typeof swarm !== 'string' || !SWARM_ID.test(swarm) || typeof peerId !== 'string') return undefined
  if (role !== 'admin' && role !== 'member') return undefined
  if (!isMoment(issuedAtMs)) return undefined
  if (memberUntilMs !== null && !(isMoment(memberUntilMs) && memberUntilMs > issuedAtMs)) return undefined
  return { v, swarm, peerId, role, issuedAtMs, memberUntilMs }
}

/** For a person, to the second. A grant may name a moment that no calendar has. */
function momentOf (ms: number): string {
  return Math.abs(ms) > LAST_MS ? `${ms} ms since 1970` : `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** The last moment that a Date can hold. Source: ECMA-262, section 21.4.1.1. */
const LAST_MS = 8.64e15

function isMoment (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function refuse (reason: GrantReason, why: string, cause?: Error): never {
  throw new SwarmError('NOT_ADMITTED', `the grant does not admit: ${why}`, { cause, details: { reason } })
}
