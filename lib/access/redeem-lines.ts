/** The lines of a redemption, as data, and what its proof signs. Nothing here sends or waits. */
import { swarmIdOf } from './grant.ts'
import { PASS_CHARS_MAX } from './ticket.ts'
import type { Ticket } from './ticket.ts'
import { concatBytes, fromBase64Url, utf8 } from '../base/bytes.ts'
import { SwarmError } from '../base/error.ts'
import { canonicalJson, isObject, parseObject } from '../base/json.ts'
import type { JsonObject } from '../base/json.ts'
import { SEED_BYTES, SIGNATURE_BYTES, verify } from '../identity/key.ts'
import type { PrivateKey } from '../identity/key.ts'

/** Longest line of a redemption, in bytes: the longest that is meant has half of it. */
export const REDEEM_LINE_BYTES_MAX = 2_048

/** Codes that an inviter tells. A code that is none of them counts as TICKET_INVALID. */
export const REDEEM_REFUSALS = ['TICKET_INVALID', 'TICKET_EXPIRED', 'TICKET_USED', 'CLOCK_OFF', 'UNAVAILABLE'] as const

export type RedeemRefusal = typeof REDEEM_REFUSALS[number]

/** Characters of 32 bytes in base64url. */
const NONCE = /^[\w-]{43}$/
const DOMAIN = utf8('mcp-swarm/join/1\n')

/** Whom a proof is from and for. */
export interface Parties {
  readonly swarmPublicKey: Uint8Array
  readonly joiner: string
  readonly inviter: string
  /** The joiner's, the inviter's. */
  readonly nonces: readonly [string, string]
}

/** With its newline. */
export function writeLine (line: { pass: string, nonce: string } | { nonce: string } | { proof: string } | { grant: string, swarmKey?: string } | { error: { code: RedeemRefusal } }): Uint8Array {
  return utf8(`${JSON.stringify(line)}\n`)
}

export function signProof (key: PrivateKey, parties: Parties): Uint8Array {
  return key.sign(proven(parties))
}

/** @param key public half of the ticket's secret */
export function verifyProof (key: Uint8Array, parties: Parties, proof: Uint8Array): boolean {
  return verify(key, proven(parties), proof)
}

function proven ({ swarmPublicKey, joiner, inviter, nonces }: Parties): Uint8Array {
  return concatBytes(DOMAIN, utf8(canonicalJson({ swarm: swarmIdOf(swarmPublicKey), joiner, inviter, nonces })))
}

/** The joiner's first line. @throws SwarmError MALFORMED */
export function readAsk (line: string): { pass: string, nonce: string } {
  const { pass, nonce } = parseObject(line, 'a joiner\'s line')
  if (typeof pass !== 'string' || pass.length > PASS_CHARS_MAX || !isNonce(nonce)) throw new SwarmError('MALFORMED', 'a joiner\'s line without pass or nonce')
  return { pass, nonce }
}

/** The joiner's second line. @throws SwarmError MALFORMED */
export function readProof (line: string): Uint8Array {
  const { proof } = parseObject(line, 'a joiner\'s proof')
  const bytes = typeof proof === 'string' ? fromBase64Url(proof) : undefined
  if (bytes?.byteLength !== SIGNATURE_BYTES) throw new SwarmError('MALFORMED', 'a joiner\'s proof is no signature')
  return bytes
}

/** The inviter's first line. @throws SwarmError as it refuses; MALFORMED */
export function readNonce (line: string, ticket: Ticket, nowMs: number): string {
  const { nonce } = accepted(line, ticket, nowMs)
  if (!isNonce(nonce)) throw new SwarmError('MALFORMED', 'an inviter\'s line without a nonce')
  return nonce
}

/** The inviter's second line. @throws SwarmError as it refuses; MALFORMED */
export function readAnswer (line: string, ticket: Ticket, nowMs: number): { grant: string, swarmKey: Uint8Array | undefined } {
  const { grant, swarmKey } = accepted(line, ticket, nowMs)
  if (typeof grant !== 'string') throw new SwarmError('MALFORMED', 'an inviter\'s answer without a grant')
  if (swarmKey === undefined) return { grant, swarmKey }
  const seed = typeof swarmKey === 'string' ? fromBase64Url(swarmKey) : new Uint8Array()
  if (seed.byteLength !== SEED_BYTES) throw new SwarmError('MALFORMED', 'an inviter\'s answer with a key that is none')
  return { grant, swarmKey: seed }
}

function isNonce (value: unknown): value is string {
  return typeof value === 'string' && NONCE.test(value)
}

function accepted (line: string, ticket: Ticket, nowMs: number): JsonObject {
  const members = parseObject(line, 'an inviter\'s line')
  if (members['error'] === undefined) return members
  const told = isObject(members['error']) ? members['error']['code'] : undefined
  const code = REDEEM_REFUSALS.find(known => known === told) ?? 'TICKET_INVALID'
  throw new SwarmError(code, SENTENCES[code](ticket, nowMs), { details: { reason: 'refused' } })
}

const SENTENCES: Readonly<Record<RedeemRefusal, (ticket: Ticket, nowMs: number) => string>> = {
  TICKET_INVALID: () => 'the inviter does not take this ticket: it was changed, or made for another swarm',
  TICKET_EXPIRED: ({ terms: { joinBeforeMs } }, nowMs) => {
    const until = `it was good until ${new Date(joinBeforeMs).toISOString()}`
    return nowMs < joinBeforeMs ? `the inviter says that this ticket has ended; ${until}, and by the clock of this machine that is to come: compare the clocks` : `this ticket has ended: ${until}`
  },
  TICKET_USED: ({ terms: { uses } }) => `this ticket has let in all it may: ${uses} ${uses === 1 ? 'peer' : 'peers'}`,
  CLOCK_OFF: () => 'the clock of the inviter is behind that of whoever made this ticket: compare them',
  UNAVAILABLE: () => 'the inviter cannot let anybody in for now: it could not write down that it did'
}
