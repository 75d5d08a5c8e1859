/**
 * A ticket: an invitation in one line that can be pasted. It holds whom to ask (inviters and their addresses), the swarm's
 * public key, a secret, and a *pass*: the terms of the invitation, signed by the swarm's key. The terms name the public half
 * of the secret, so that any peer with the swarm's key can tell a good ticket without having made it, and whoever has only
 * seen a pass cannot use it (redeem.ts).
 *
 * The line is `mcpswarm1-` and base64url of a body and the first bytes of its hash: a slip of a typist is told as such, and
 * whether somebody has changed a ticket on purpose is what the signature says. What mail and chat put into a line and around it is
 * passed over. A pass is written as a grant is: `<base64url of canonical JSON>.<base64url of the signature>`, of one spelling; in a ticket its
 * terms stand as they are, without the key that the secret gives.
 */
import { concatBytes, equalBytes, fromBase64Url, textOf, toBase64Url, utf8 } from '../base/bytes.ts'
import { SwarmError, assert, messageOf } from '../base/error.ts'
import { sha256 } from '#hash'
import { canonicalJson, isObject, parseObject } from '../base/json.ts'
import type { Json, JsonObject } from '../base/json.ts'
import { PUBLIC_KEY_BYTES, SEED_BYTES, keyFromSeed, peerIdOf, publicKeyOf, verify } from '../identity/key.ts'
import type { PrivateKey } from '../identity/key.ts'
import type { Role } from './grant.ts'

/** Longest ticket written or read, in characters without white space. */
export const TICKET_CHARS_MAX = 1_024

/** Inviters one ticket names, and addresses of each. */
export const INVITERS_MAX = 8
export const INVITER_ADDRESSES_MAX = 8

/** Longest address in a ticket, in characters. */
export const INVITER_ADDRESS_CHARS_MAX = 256

/** Longest pass read, in characters; a real one has about 400. */
export const PASS_CHARS_MAX = 768

/** Peers that one ticket lets in at most. */
export const USES_MAX = 1_000

/** Longest time in which a ticket can be used, in milliseconds: 90 days. */
export const TICKET_MS_MAX = 90 * 86_400_000

/** Shortest and longest membership between renewals, in milliseconds: an hour, ten years. */
export const MEMBER_MS_MIN = 3_600_000
export const MEMBER_MS_MAX = 3_650 * 86_400_000

const PREFIX = 'mcpswarm1-'
const ANY_PREFIX = /mcpswarm(\d{1,4})-/

/** What mail, chat and terminals put into a line: white space, marks of quotation, characters that nobody sees. */
const WRAPPING = /[\s\p{Cf}>"'`]/gu

/** What may stand behind a ticket: a full stop, a bracket. */
const TAIL = /[^\w-]+$/
const CHECK_BYTES = 4
const PASS_DOMAIN = utf8('mcp-swarm/pass/1\n')

/** What the swarm's key says of one ticket. */
export interface Terms {
  readonly v: 1
  /** Public half of the ticket's secret, base64url: names the ticket. */
  readonly key: string
  /** What whoever comes becomes. */
  readonly role: Role
  /** Peers that it lets in: 1 to USES_MAX. */
  readonly uses: number
  /** Milliseconds since 1970 UTC, by the clock of who made it. */
  readonly issuedAtMs: number
  /** The first moment at which nobody joins by it, likewise. */
  readonly joinBeforeMs: number
  /** How long a grant lasts unless an admin renews it; null: for ever. */
  readonly memberForMs: number | null
}

/** A peer that may let others in. */
export interface Inviter {
  readonly peerId: string
  /** Multiaddrs without `/p2p`; a hint. */
  readonly addresses: readonly string[]
}

export interface Ticket {
  readonly swarmPublicKey: Uint8Array
  /** Signed terms. */
  readonly pass: string
  readonly terms: Terms
  /** The secret. */
  readonly key: PrivateKey
  /** From who made it to others; may be empty. */
  readonly inviters: readonly Inviter[]
}

/** Why a text is no ticket of use: `details.reason` of TICKET_INVALID. */
export type TicketReason =
  | 'format' // no ticket at all
  | 'typo' // cut short or mistyped
  | 'signature' // changed since it was made, or made by somebody else
  | 'refused' // the inviter does not know it as one of its swarm's
  | 'proof' // shown by somebody who has not its secret

/**
 * Makes a ticket.
 *
 * @param key its secret, fresh
 * @param inviters as many as fit into TICKET_CHARS_MAX are named, the first before the others
 * @throws SwarmError INVALID_OPTION if the terms are impossible
 */
export function writeTicket (swarmKey: PrivateKey, key: PrivateKey, wanted: Omit<Terms, 'v' | 'key'>, inviters: readonly Inviter[]): string {
  const terms: Terms = { v: 1, key: toBase64Url(key.publicKey), ...wanted }
  if (readTerms({ ...terms }) === undefined) throw new SwarmError('INVALID_OPTION', whyImpossible(wanted))
  const { key: named, ...rest } = terms
  assert(named === toBase64Url(key.publicKey), 'terms name their secret')
  const signature = toBase64Url(swarmKey.sign(concatBytes(PASS_DOMAIN, utf8(canonicalJson(terms)))))
  const write = (some: readonly Inviter[]): string => {
    const body = utf8(canonicalJson({
      swarm: toBase64Url(swarmKey.publicKey), secret: toBase64Url(key.seed), terms: rest, signature,
      inviters: some.map(({ peerId, addresses }) => [toBase64Url(publicKeyOf(peerId)), ...addresses])
    }))
    return PREFIX + toBase64Url(concatBytes(body, checkOf(body)))
  }
  const text = write(fitting(inviters, some => write(some).length <= TICKET_CHARS_MAX))
  assert(text.length <= TICKET_CHARS_MAX, `a ticket of ${text.length} characters`)
  return text
}

/** Names the first of the terms that no ticket may have, with its range. */
function whyImpossible ({ role, uses, issuedAtMs, joinBeforeMs, memberForMs }: Omit<Terms, 'v' | 'key'>): string {
  if (role !== 'admin' && role !== 'member') return `role ${JSON.stringify(role)} of a ticket: member or admin`
  if (!isWhole(uses, 1, USES_MAX)) return `uses ${String(uses)} of a ticket: 1 to ${USES_MAX}`
  if (!isWhole(joinBeforeMs - issuedAtMs, 1, TICKET_MS_MAX)) return `expiresMs ${joinBeforeMs - issuedAtMs} of a ticket: up to ${TICKET_MS_MAX}, 90 days`
  return `memberForMs ${memberForMs} of a ticket: ${MEMBER_MS_MIN} to ${MEMBER_MS_MAX}, an hour to ten years, or null for no end`
}

/** The first inviters with one address each, then with two, and so on, for as long as they fit. */
function fitting (inviters: readonly Inviter[], fits: (some: readonly Inviter[]) => boolean): Inviter[] {
  let some: Inviter[] = []
  for (let count = 1; count <= INVITER_ADDRESSES_MAX; count++) {
    for (const [index, { peerId, addresses }] of inviters.slice(0, INVITERS_MAX).entries()) {
      if (index > some.length || (count > 1 && addresses.length < count)) continue
      const more = some.toSpliced(index, 1, { peerId, addresses: addresses.slice(0, count) })
      if (fits(more)) some = more
    }
  }
  return some
}

/**
 * Reads a ticket as somebody has pasted it. Whether it can still be used, only an inviter knows.
 *
 * @throws SwarmError TICKET_INVALID with `details.reason`, a TicketReason; VERSION_UNSUPPORTED for one of a later release
 */
export function readTicket (pasted: string): Ticket {
  const plain = pasted.slice(0, 4 * TICKET_CHARS_MAX).replaceAll(WRAPPING, '')
  const [, version] = ANY_PREFIX.exec(plain) ?? []
  const text = plain.slice(plain.search(ANY_PREFIX)).replace(TAIL, '')
  if (version === undefined) throw invalid('format', `this is no ticket: one begins with ${PREFIX}`)
  if (!text.startsWith(PREFIX)) throw new SwarmError('VERSION_UNSUPPORTED', `a ticket of format ${version}; this release reads 1`)
  if (text.length > TICKET_CHARS_MAX) throw invalid('typo', `a ticket of ${text.length} characters; limit ${TICKET_CHARS_MAX}`)
  try {
    return readBody(checkedBody(text.slice(PREFIX.length)))
  } catch (cause) {
    if (cause instanceof SwarmError && cause.code === 'MALFORMED') throw invalid('format', `this is no ticket: ${messageOf(cause)}`, cause)
    throw cause
  }
}

/**
 * The terms of a pass that the swarm's key has signed.
 *
 * @throws SwarmError TICKET_INVALID with `details.reason`; VERSION_UNSUPPORTED for one of a later release
 */
export function verifyPass (pass: string, swarmPublicKey: Uint8Array): Terms {
  if (pass.length > PASS_CHARS_MAX) throw invalid('format', `a pass of ${pass.length} characters; limit ${PASS_CHARS_MAX}`)
  const [body, tail, ...more] = pass.split('.')
  if (body === undefined || tail === undefined || more.length > 0) throw invalid('format', 'a pass has two parts')
  let [members, signed, signature]: [JsonObject, Uint8Array, Uint8Array] = [{}, new Uint8Array(), new Uint8Array()]
  try {
    signed = fromBase64Url(body)
    members = parseObject(textOf(signed), 'a pass')
    signature = fromBase64Url(tail)
    if (canonicalJson(members) !== textOf(signed)) throw new SwarmError('MALFORMED', 'it is not written the canonical way')
  } catch (cause) {
    if (cause instanceof SwarmError && cause.code === 'MALFORMED') throw invalid('format', `a pass that cannot be read: ${messageOf(cause)}`, cause)
    throw cause
  }
  if (!verify(swarmPublicKey, concatBytes(PASS_DOMAIN, signed), signature)) throw invalid('signature', 'its terms are not signed by the key of its swarm')
  if (typeof members['v'] === 'number' && members['v'] > 1) throw new SwarmError('VERSION_UNSUPPORTED', `terms of format ${members['v']}; this release reads 1`)
  const terms = readTerms(members)
  if (terms === undefined) throw invalid('format', 'its terms are not those of a ticket')
  return terms
}

function checkedBody (text: string): Uint8Array {
  let bytes: Uint8Array
  try {
    bytes = fromBase64Url(text)
  } catch (cause) {
    throw invalid('typo', 'this ticket is cut short or mistyped: copy all of it', cause)
  }
  const body = bytes.subarray(0, Math.max(0, bytes.byteLength - CHECK_BYTES))
  if (!equalBytes(bytes.subarray(body.byteLength), checkOf(body))) throw invalid('typo', 'this ticket is cut short or mistyped: copy all of it')
  return body
}

function readBody (body: Uint8Array): Ticket {
  const { swarm, terms: said, signature, secret, inviters } = parseObject(textOf(body), 'its body')
  if (typeof swarm !== 'string' || !isObject(said) || typeof signature !== 'string' || typeof secret !== 'string' || !Array.isArray(inviters)) throw invalid('format', 'this is no ticket: members are missing')
  const [swarmPublicKey, seed] = [fromBase64Url(swarm), fromBase64Url(secret)]
  if (swarmPublicKey.byteLength !== PUBLIC_KEY_BYTES || seed.byteLength !== SEED_BYTES) throw invalid('format', 'this is no ticket: its keys have a wrong length')
  const key = keyFromSeed(seed)
  const pass = `${toBase64Url(utf8(canonicalJson({ ...said, key: toBase64Url(key.publicKey) })))}.${signature}`
  const terms = verifyPass(pass, swarmPublicKey)
  return { swarmPublicKey, pass, terms, key, inviters: inviters.slice(0, INVITERS_MAX).map(readInviter) }
}

function readInviter (entry: Json): Inviter {
  const [key, ...addresses] = Array.isArray(entry) ? entry as readonly Json[] : []
  const publicKey = typeof key === 'string' ? fromBase64Url(key) : new Uint8Array()
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES) throw invalid('format', 'this is no ticket: an inviter has no key')
  return { peerId: peerIdOf(publicKey), addresses: addresses.filter(isAddress).slice(0, INVITER_ADDRESSES_MAX) }
}

/** Whether a ticket can carry it. */
export function isAddress (address: unknown): address is string {
  return typeof address === 'string' && address.startsWith('/') && address.length <= INVITER_ADDRESS_CHARS_MAX
}

function readTerms (members: JsonObject): Terms | undefined {
  const { v, key, role, uses, issuedAtMs, joinBeforeMs, memberForMs, ...others } = members
  if (v !== 1 || Object.keys(others).length > 0) return undefined
  if (typeof key !== 'string' || key.length !== KEY_CHARS) return undefined
  if (role !== 'admin' && role !== 'member') return undefined
  if (!isWhole(uses, 1, USES_MAX) || !isWhole(issuedAtMs, 0, Number.MAX_SAFE_INTEGER)) return undefined
  if (!isWhole(joinBeforeMs, issuedAtMs + 1, issuedAtMs + TICKET_MS_MAX)) return undefined
  if (memberForMs !== null && !isWhole(memberForMs, MEMBER_MS_MIN, MEMBER_MS_MAX)) return undefined
  return { v, key, role, uses, issuedAtMs, joinBeforeMs, memberForMs }
}

/** Characters of 32 bytes in base64url. */
const KEY_CHARS = 43

function isWhole (value: unknown, from: number, to: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= from && (value as number) <= to
}

function checkOf (body: Uint8Array): Uint8Array {
  return sha256(concatBytes(utf8(PREFIX), body)).subarray(0, CHECK_BYTES)
}

function invalid (reason: TicketReason, message: string, cause?: unknown): SwarmError {
  return new SwarmError('TICKET_INVALID', message, { cause, details: { reason } })
}
