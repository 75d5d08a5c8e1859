/**
 * The first words on a connection: each end proves that it belongs to the swarm, before anything else is served.
 *
 * The dialler opens a stream of `helloProtocol` and sends its introduction, one line of JSON; the listener verifies it and
 * answers with its own, which the dialler verifies. The encrypted connection has already proven who the other end is; the
 * grant in the introduction proves that this very peer was let in. Each end calls `connection.admit()` in the same turn in
 * which it has seen the proof, the listener before its answer leaves; the dialler then ends its side of the stream, and only
 * that lets the listener go on. So the first stream that either opens afterwards finds the other end ready.
 *
 * Whoever refuses says only a code, `{"error":{"code":"NOT_ADMITTED"}}`; a line over the limit is answered by a reset. The
 * caller then closes the connection, by `close()` and not by `abort()`, so that the code still leaves. A refused dialler has
 * learnt that code and nothing of the swarm; a listener has seen the dialler's name and its grant, of no use to others.
 *
 * Invariants: a Welcome exists only for a verified grant that is bound to the other end's proven peer id; both functions end
 * within HELLO_MS_MAX whatever the other end does. A connection on which hello is never said is the caller's to close, at
 * the same limit.
 */
import { swarmIdOf } from './grant.ts'
import { HELLO_LINE_BYTES_MAX, REFUSALS, judge, readRefusal, writeIntroduction, writeRefusal } from './introduction.ts'
import type { Membership, Welcome } from './introduction.ts'
import { deadline } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError, assert } from '../base/error.ts'
import type { ByteStream, Connection } from '../base/network.ts'
import { end, listen, send } from './talk.ts'
import type { TalkOptions } from './talk.ts'

export type { Membership, Welcome } from './introduction.ts'

/** How long the other end has for its proof, in milliseconds. */
export const HELLO_MS_MAX = 5_000

/** Words kept of the other end: its line, its verdict, its end. What it says beyond them is not held. */
const WORDS_MAX = 3

/** Why nobody was admitted although no grant was judged: `details.reason` of NOT_ADMITTED. */
export type HelloReason =
  | 'silent' // no proof within HELLO_MS_MAX
  | 'closed' // the other end was gone before its proof
  | 'refused' // the other end did not admit us

export interface HelloOptions {
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** Called just before the connection is admitted: from then on the other end's streams may come, even before we go on. */
  readonly onAdmit?: (welcome: Welcome) => void
}

export function helloProtocol (swarmId: string): string {
  return `/mcp-swarm/${swarmId}/hello/1.0.0`
}

/**
 * The dialler's side, called once on a new connection; admits it.
 *
 * @throws SwarmError NOT_ADMITTED with `details.reason` (a HelloReason or GrantReason), VERSION_UNSUPPORTED, MALFORMED or
 *   TOO_LARGE; UNREACHABLE if the other end serves no such swarm; ABORTED by the signal. The connection is then to be closed.
 */
export async function sayHello (connection: Connection, own: Membership, { clock, signal, onAdmit }: HelloOptions): Promise<Welcome> {
  const introduction = writeIntroduction(checked(own))
  const limit = deadline(clock, HELLO_MS_MAX, signal)
  let stream: ByteStream | undefined
  try {
    stream = await connection.open(helloProtocol(own.swarmId), limit.signal)
    send(stream, introduction, gone)
    const line = await listen(stream, talk(limit.signal))()
    if (line === undefined) throw gone()
    const refusal = readRefusal(line, connection.peerId)
    if (refusal !== undefined) throw refusal
    const welcome = judge(line, own, connection.peerId, clock.wallMs())
    onAdmit?.(welcome)
    admit(connection)
    end(stream, gone)
    return welcome
  } catch (thrown) {
    const error = thrown instanceof SwarmError && limit.signal.aborted ? givenUp(thrown, signal) : thrown
    if (stream !== undefined) leave(stream, error)
    throw error
  } finally {
    limit.done()
  }
}

/** The listener's side: for `network.handle(helloProtocol(…), …, { beforeAdmission: true })`. Admits and throws as `sayHello` does. */
export async function answerHello (stream: ByteStream, connection: Connection, own: Membership, { clock, onAdmit }: Omit<HelloOptions, 'signal'>): Promise<Welcome> {
  const introduction = writeIntroduction(checked(own))
  const limit = deadline(clock, HELLO_MS_MAX)
  try {
    const hear = listen(stream, talk(limit.signal))
    const line = await hear()
    if (line === undefined) throw gone()
    const welcome = judge(line, own, connection.peerId, clock.wallMs())
    onAdmit?.(welcome)
    admit(connection)
    send(stream, introduction, gone)
    end(stream, gone)
    const verdict = await hear()
    if (verdict === undefined) return welcome
    throw readRefusal(verdict, connection.peerId) ?? new SwarmError('MALFORMED', `peer ${connection.peerId} said more than hello`)
  } catch (thrown) {
    const error = thrown instanceof SwarmError && limit.signal.aborted ? givenUp(thrown) : thrown
    leave(stream, error)
    throw error
  } finally {
    limit.done()
  }
}

function checked (own: Membership): Membership {
  assert(swarmIdOf(own.swarmPublicKey) === own.swarmId, `swarm id ${own.swarmId} is not that of its key`)
  return own
}

function talk (signal: AbortSignal): TalkOptions {
  return { lineBytesMax: HELLO_LINE_BYTES_MAX, wordsMax: WORDS_MAX, signal, gone }
}

/** What closes with its last word is not admitted, whatever that word proved. */
function admit (connection: Connection): void {
  connection.admit()
  if (!connection.admitted) throw gone()
}

/** Says our code where it may be told, and ends; else resets. */
function leave (stream: ByteStream, error: unknown): void {
  const code = REFUSALS.find(told => error instanceof SwarmError && error.code === told)
  const reason = error instanceof SwarmError ? error.details['reason'] : undefined
  if (code === undefined || reason === 'refused' || reason === 'closed') {
    stream.abort(error instanceof Error ? error : new Error('hello failed'))
    return
  }
  try {
    stream.send(writeRefusal(code))
    end(stream, gone)
  } catch (cause) {
    stream.abort(gone(cause))
  }
}

/** What a wait that ended with its signal means: the caller's signal, or else our own deadline. */
function givenUp (cause: SwarmError, signal?: AbortSignal): SwarmError {
  if (signal?.aborted === true) return new SwarmError('ABORTED', 'hello was given up', { cause })
  return new SwarmError('NOT_ADMITTED', `no proof in ${HELLO_MS_MAX} ms`, { cause, details: { reason: 'silent' } })
}

function gone (cause?: unknown): SwarmError {
  return new SwarmError('NOT_ADMITTED', 'the other end was gone before its proof', { cause, details: { reason: 'closed' } })
}
