/**
 * How a membership with an end goes on: its peer shows its grant to an admin over an admitted connection, before it has ended,
 * and is given one like it that lasts as long again from then. Whoever meets no admin for the whole of it is out.
 */
import { GRANT_BYTES_MAX, mintGrant, verifyGrant } from './grant.ts'
import type { Grant } from './grant.ts'
import { end, listen, send } from './talk.ts'
import { utf8 } from '../base/bytes.ts'
import { deadline } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { parseObject } from '../base/json.ts'
import type { ByteStream, Connection } from '../base/network.ts'
import type { PrivateKey } from '../identity/key.ts'

/** How long an admin may take, in milliseconds. */
export const RENEW_MS_MAX = 5_000

const LINE_BYTES_MAX = 2 * GRANT_BYTES_MAX

export function renewProtocol (swarmId: string): string {
  return `/mcp-swarm/${swarmId}/renew/1.0.0`
}

export interface Renewed {
  readonly grant: string
  readonly terms: Grant
}

/** The like of a grant, from now. */
export function prolong (swarmKey: PrivateKey, { peerId, role, issuedAtMs, memberUntilMs }: Grant, nowWallMs: number): string {
  const nowMs = Math.floor(nowWallMs)
  return mintGrant(swarmKey, { peerId, role, issuedAtMs: nowMs, memberUntilMs: memberUntilMs === null ? null : nowMs + memberUntilMs - issuedAtMs })
}

/**
 * Asks an admin, over an admitted connection.
 *
 * @param own our grant and what it says
 * @throws SwarmError UNREACHABLE if the other end renews nothing, NOT_ADMITTED if what it gives is worse than what we have, MALFORMED, ABORTED
 */
export async function askRenewal (connection: Connection, own: { readonly grant: string, readonly terms: Grant, readonly swarmId: string, readonly swarmPublicKey: Uint8Array }, clock: Clock, signal?: AbortSignal): Promise<Renewed> {
  const limit = deadline(clock, RENEW_MS_MAX, signal)
  let stream: ByteStream | undefined
  try {
    stream = await connection.open(renewProtocol(own.swarmId), limit.signal)
    const hear = listen(stream, { lineBytesMax: LINE_BYTES_MAX, wordsMax: 2, signal: limit.signal, gone })
    send(stream, utf8(`${JSON.stringify({ grant: own.grant })}\n`), gone)
    end(stream, gone)
    const line = await hear()
    const { grant } = line === undefined ? {} : parseObject(line, 'an answer to a renewal')
    if (typeof grant !== 'string') throw gone()
    const terms = verifyGrant(grant, own.swarmPublicKey, own.terms.peerId, clock.wallMs())
    if (terms.role !== own.terms.role || (terms.memberUntilMs !== null && terms.memberUntilMs <= (own.terms.memberUntilMs ?? Infinity))) {
      throw new SwarmError('NOT_ADMITTED', `peer ${connection.peerId} renewed a grant to less than it was`)
    }
    return { grant, terms }
  } catch (thrown) {
    const isLate = limit.signal.aborted && signal?.aborted !== true
    const error = isLate ? new SwarmError('UNREACHABLE', `peer ${connection.peerId} did not renew a grant in ${RENEW_MS_MAX} ms`, { cause: thrown }) : thrown
    stream?.abort(error instanceof Error ? error : gone())
    throw error
  } finally {
    limit.done()
  }
}

/**
 * The admin's side. A grant that does not count, or that needs no renewal, is answered by a reset.
 *
 * @returns what was granted, or why nothing was
 */
export async function answerRenewal (stream: ByteStream, connection: Connection, swarmKey: PrivateKey, clock: Clock): Promise<SwarmError | undefined> {
  const limit = deadline(clock, RENEW_MS_MAX)
  try {
    const line = await listen(stream, { lineBytesMax: LINE_BYTES_MAX, wordsMax: 1, signal: limit.signal, gone })()
    const { grant } = line === undefined ? {} : parseObject(line, 'a renewal')
    if (typeof grant !== 'string') throw new SwarmError('MALFORMED', 'a renewal without a grant')
    const terms = verifyGrant(grant, swarmKey.publicKey, connection.peerId, clock.wallMs())
    send(stream, utf8(`${JSON.stringify({ grant: prolong(swarmKey, terms, clock.wallMs()) })}\n`), gone)
    end(stream, gone)
    return undefined
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    stream.abort(error)
    return error
  } finally {
    limit.done()
  }
}

function gone (cause?: unknown): SwarmError {
  return new SwarmError('UNREACHABLE', 'the other end was gone before the renewal was done', { cause })
}
