/**
 * How a ticket becomes a grant, before anything else is said on a connection.
 *
 * The joiner sends the ticket's pass and a nonce; the inviter, any peer that has the swarm's key, answers with a nonce of its
 * own; the joiner signs with the ticket's secret that this joiner asks this inviter, with both nonces; the inviter counts the
 * use and answers with a grant that is bound to the joiner's proven peer id. So the secret never leaves the joiner, what is
 * seen of one redemption is worth nothing in another or at another inviter, and a copy of a pass is worth nothing at all.
 * Whoever becomes an admin is given the swarm's key too, on the encrypted connection and nowhere else.
 *
 * Invariants: a use is on disk before its grant leaves; the same joiner, asking again, is granted again and counted once; what
 * a stranger without the secret is told is TICKET_INVALID, whatever is wrong; both sides end within REDEEM_MS_MAX, and each says
 * two lines of at most REDEEM_LINE_BYTES_MAX.
 */
import { GRANT_SKEW_MS_MAX, mintGrant, swarmIdOf, verifyGrant } from './grant.ts'
import { REDEEM_LINE_BYTES_MAX, readAnswer, readAsk, readNonce, readProof, signProof, verifyProof, writeLine } from './redeem-lines.ts'
import type { RedeemRefusal } from './redeem-lines.ts'
import { end, listen, send } from './talk.ts'
import type { TalkOptions } from './talk.ts'
import { verifyPass } from './ticket.ts'
import type { Terms, Ticket } from './ticket.ts'
import { fromBase64Url, toBase64Url } from '../base/bytes.ts'
import { deadline } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { ByteStream, Connection } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { keyFromSeed } from '../identity/key.ts'
import type { PrivateKey } from '../identity/key.ts'

/** How long a redemption may take, in milliseconds. */
export const REDEEM_MS_MAX = 5_000

/**
 * How long after its end a ticket is still taken, in milliseconds: the clock of the inviter that is asked need not be that of
 * the one which made the ticket.
 */
export const TICKET_SKEW_MS = 60_000

/** Words kept of the other end: two lines, its end. */
const WORDS_MAX = 3
const NONCE_BYTES = 32

/** What a redemption brings. */
export interface Redeemed {
  /** Bound to this peer, and good by our clock. */
  readonly grant: string
  /** For an admin: the key of the swarm. */
  readonly swarmKey: PrivateKey | undefined
}

/** Counts who has come by which ticket. */
export interface UseCounter {
  /** Whether this peer may come by it. Resolves once that is on disk. @throws SwarmError if it cannot be kept */
  use (terms: Terms, peerId: string): Promise<boolean>
}

export interface RedeemParts {
  readonly clock: Clock
  readonly random: Random
  /** Our own. */
  readonly peerId: string
}

export function joinProtocol (swarmId: string): string {
  return `/mcp-swarm/${swarmId}/join/1.0.0`
}

/**
 * The joiner's side, on a connection to an inviter. The connection is the caller's to close.
 *
 * @throws SwarmError TICKET_INVALID, TICKET_EXPIRED, TICKET_USED, CLOCK_OFF, UNAVAILABLE or VERSION_UNSUPPORTED as the inviter says;
 *   CLOCK_OFF by our own clock; UNREACHABLE if it lets nobody in, or says nothing in time; MALFORMED; ABORTED by the signal
 */
export async function redeem (connection: Connection, ticket: Ticket, { clock, random, peerId }: RedeemParts, signal?: AbortSignal): Promise<Redeemed> {
  const limit = deadline(clock, REDEEM_MS_MAX, signal)
  let stream: ByteStream | undefined
  try {
    stream = await connection.open(joinProtocol(swarmIdOf(ticket.swarmPublicKey)), limit.signal)
    const hear = listen(stream, talk(limit.signal))
    const nonce = toBase64Url(random.bytes(NONCE_BYTES))
    send(stream, writeLine({ pass: ticket.pass, nonce }), gone)
    const theirs = readNonce(await heard(hear), ticket, clock.wallMs())
    const parties = { swarmPublicKey: ticket.swarmPublicKey, joiner: peerId, inviter: connection.peerId, nonces: [nonce, theirs] as const }
    send(stream, writeLine({ proof: toBase64Url(signProof(ticket.key, parties)) }), gone)
    end(stream, gone)
    return checkedAnswer(await heard(hear), ticket, peerId, clock.wallMs())
  } catch (thrown) {
    const error = thrown instanceof SwarmError && limit.signal.aborted ? givenUp(thrown, connection.peerId, signal) : thrown
    stream?.abort(error instanceof Error ? error : gone())
    throw error
  } finally {
    limit.done()
  }
}

/**
 * The inviter's side: for `network.handle(joinProtocol(…), …, { beforeAdmission: true })`. Never rejects for what a stranger
 * does; says why nobody was let in to whoever listens.
 *
 * @returns the terms on which the other end was granted, and whether it is in the ledger; or what was wrong
 */
export async function answerRedemption (stream: ByteStream, connection: Connection, { swarmKey, ledger, clock, random, peerId }: RedeemParts & {
  readonly swarmKey: PrivateKey
  readonly ledger: UseCounter
}): Promise<Terms | SwarmError> {
  const limit = deadline(clock, REDEEM_MS_MAX)
  try {
    const hear = listen(stream, talk(limit.signal))
    const { pass, nonce } = readAsk(await heard(hear))
    const terms = verifyPass(pass, swarmKey.publicKey)
    const ours = toBase64Url(random.bytes(NONCE_BYTES))
    send(stream, writeLine({ nonce: ours }), gone)
    const parties = { swarmPublicKey: swarmKey.publicKey, joiner: connection.peerId, inviter: peerId, nonces: [nonce, ours] as const }
    const proof = readProof(await heard(hear))
    if (!verifyProof(fromBase64Url(terms.key), parties, proof)) {
      throw new SwarmError('TICKET_INVALID', `peer ${connection.peerId} has not the secret of the ticket it shows`, { details: { reason: 'proof' } })
    }
    checkTime(terms, clock.wallMs())
    if (!await ledger.use(terms, connection.peerId)) {
      throw new SwarmError('TICKET_USED', `peer ${connection.peerId} shows a ticket that has let in all ${terms.uses} it may`, { details: { uses: terms.uses } })
    }
    const issuedAtMs = Math.floor(clock.wallMs())
    const memberUntilMs = terms.memberForMs === null ? null : issuedAtMs + terms.memberForMs
    const grant = mintGrant(swarmKey, { peerId: connection.peerId, role: terms.role, issuedAtMs, memberUntilMs })
    send(stream, writeLine(terms.role === 'admin' ? { grant, swarmKey: toBase64Url(swarmKey.seed) } : { grant }), gone)
    end(stream, gone)
    return terms
  } catch (thrown) {
    if (!(thrown instanceof SwarmError)) throw thrown
    refuse(stream, thrown)
    return thrown
  } finally {
    limit.done()
  }
}

/** @throws SwarmError TICKET_EXPIRED, CLOCK_OFF */
function checkTime ({ issuedAtMs, joinBeforeMs }: Terms, nowMs: number): void {
  if (issuedAtMs - nowMs > GRANT_SKEW_MS_MAX) {
    throw new SwarmError('CLOCK_OFF', `a ticket was made ${issuedAtMs - nowMs} ms in the future: compare the clock of this machine with that of whoever made it`, { details: { aheadMs: issuedAtMs - nowMs } })
  }
  if (nowMs >= joinBeforeMs + TICKET_SKEW_MS) throw new SwarmError('TICKET_EXPIRED', `a ticket ended ${nowMs - joinBeforeMs} ms ago`, { details: { joinBeforeMs } })
}

/** Codes of ours that whoever has shown the secret is told; everything else is told as the second. */
const TOLD: readonly (readonly [string, RedeemRefusal])[] = [
  ['TICKET_EXPIRED', 'TICKET_EXPIRED'], ['TICKET_USED', 'TICKET_USED'], ['CLOCK_OFF', 'CLOCK_OFF'],
  ['OVERLOADED', 'UNAVAILABLE'], ['FOLDER_UNUSABLE', 'UNAVAILABLE'], ['CLOSED', 'UNAVAILABLE']
]

function refuse (stream: ByteStream, error: SwarmError): void {
  if (error.details['reason'] === 'gone' || error.code === 'TOO_LARGE') return stream.abort(error)
  const code = TOLD.find(([ours]) => ours === error.code)?.[1] ?? 'TICKET_INVALID'
  try {
    stream.send(writeLine({ error: { code } }))
    end(stream, gone)
  } catch (cause) {
    stream.abort(gone(cause))
  }
}

function checkedAnswer (line: string, ticket: Ticket, peerId: string, nowMs: number): Redeemed {
  const { grant, swarmKey: seed } = readAnswer(line, ticket, nowMs)
  const { role } = judged(grant, ticket.swarmPublicKey, peerId, nowMs)
  if (role !== ticket.terms.role) throw new SwarmError('MALFORMED', `an inviter granted the role of ${role}, not of ${ticket.terms.role}`)
  if (role === 'member') return { grant, swarmKey: undefined }
  const swarmKey = seed === undefined ? undefined : keyFromSeed(seed)
  if (swarmKey === undefined || swarmIdOf(swarmKey.publicKey) !== swarmIdOf(ticket.swarmPublicKey)) throw new SwarmError('MALFORMED', 'an inviter sent no key of the swarm for an admin')
  return { grant, swarmKey }
}

function judged (grant: string, swarmPublicKey: Uint8Array, peerId: string, nowMs: number): ReturnType<typeof verifyGrant> {
  try {
    return verifyGrant(grant, swarmPublicKey, peerId, nowMs)
  } catch (cause) {
    if (!(cause instanceof SwarmError)) throw cause
    const { reason } = cause.details
    if (reason === 'early' || reason === 'expired') {
      throw new SwarmError('CLOCK_OFF', `the grant of the inviter does not count by the clock of this machine: ${cause.message}`, { cause, details: { reason } })
    }
    throw new SwarmError('MALFORMED', `an inviter sent a grant that does not count: ${cause.message}`, { cause })
  }
}

function talk (signal: AbortSignal): TalkOptions {
  return { lineBytesMax: REDEEM_LINE_BYTES_MAX, wordsMax: WORDS_MAX, signal, gone }
}

async function heard (hear: () => Promise<string | undefined>): Promise<string> {
  const line = await hear()
  if (line === undefined) throw gone()
  return line
}

function gone (cause?: unknown): SwarmError {
  return new SwarmError('UNREACHABLE', 'the other end was gone before the redemption was done', { cause, details: { reason: 'gone' } })
}

function givenUp (cause: SwarmError, peerId: string, signal?: AbortSignal): SwarmError {
  if (signal?.aborted === true) return new SwarmError('ABORTED', 'a redemption was given up', { cause })
  return new SwarmError('UNREACHABLE', `peer ${peerId} did not answer the ticket in ${REDEEM_MS_MAX} ms`, { cause })
}
