/**
 * Reaches a peer by the first of its addresses that answers as that peer.
 *
 * Addresses are tried one after another, a new one every DIAL_STAGGER_MS or as soon as the last has failed, and the first
 * finished connection wins: an address on a network that swallows packets costs a quarter of a second, not its timeout.
 * Source: RFC 8305, "Happy Eyeballs", section 5.
 */
import { isPage } from '#platform'
import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError, messageOf } from '../../lib/base/error.ts'
import { DIAL_MS_MAX } from '../bounds.ts'
import { ADDRESSES_MAX, isRelayed, peerNamedBy, readAddress, withoutPeer } from './address.ts'
import type { Components } from './guard.ts'

/** What stands before an address that nothing here dials. */
const NOT_DIALLED = isPage ? 'a page dials WebSockets alone (…/ws, …/wss), and not' : 'no transport here dials'

/** Wait for one address before the next is tried beside it. */
const DIAL_STAGGER_MS = 250

/** An address that was tried for less is not called silent when a dial is given up, in milliseconds. */
const SILENT_MS_MIN = 1_000

/**
 * @param dialable what a transport here can dial
 * @throws SwarmError ADDRESS_INVALID if there are addresses but none can be dialled
 */
export function readTargets (peerId: string, addresses: readonly string[], dialable: (address: Multiaddr) => boolean): Multiaddr[] {
  const targets = new Map<string, Multiaddr>()
  const refused: string[] = []
  for (const text of addresses) {
    try {
      const address = readAddress(text)
      const named = peerNamedBy(address)
      const bare = withoutPeer(address)
      if (named !== undefined && named !== peerId) refused.push(`${text} names another peer`)
      else if (!dialable(address)) refused.push(`${NOT_DIALLED} ${text}`)
      else if (targets.size < ADDRESSES_MAX) targets.set(bare, readAddress(`${bare}/p2p/${peerId}`))
    } catch (error) {
      refused.push(messageOf(error))
    }
  }
  if (targets.size === 0 && refused.length > 0) throw new SwarmError('ADDRESS_INVALID', `dial ${peerId}: ${refused.slice(0, 3).join('; ')}`)
  return [...targets.values()].sort((one, other) => Number(isRelayed(one)) - Number(isRelayed(other))) // others' lines last
}

/**
 * @param targets ending in the peer's id, so that the handshake fails for anyone else
 * @throws SwarmError UNREACHABLE, ABORTED; both with `details.causes`: what came of each address that was tried
 */
export async function dialFirst (peerId: string, targets: readonly Multiaddr[], transports: Components['transportManager'], clock: Clock, signal: AbortSignal): Promise<Connection> {
  const attempts = new AbortController()
  const failures: string[] = []
  /** Since when each is being tried. */
  const pending = new Map<Multiaddr, number>()
  let winner: Connection | undefined
  return await new Promise<Connection>((resolve, reject) => {
    let next = 0
    let cancelStagger = (): void => {}
    const settle = (finish: () => void): void => {
      cancelStagger()
      signal.removeEventListener('abort', onAbort)
      finish()
      attempts.abort(new SwarmError('ABORTED', `dial ${peerId} is over`))
    }
    const onAbort = (): void => {
      const silent = [...pending].map(([target, sinceMs]) => ({ target, ms: clock.nowMs() - sinceMs })).filter(({ ms }) => ms >= SILENT_MS_MIN)
      const causes = [...failures, ...silent.map(({ target, ms }) => `${withoutPeer(target)} ${silentFor(ms)}`)]
      const why = causes.length === 0 ? '' : `: ${causes.join('; ')}`
      settle(() => { reject(new SwarmError('ABORTED', `dial ${peerId} was given up${why}`, { cause: signal.reason, details: { peerId, causes } })) })
    }
    const startNext = (): void => {
      cancelStagger()
      const target = targets[next++]
      if (target === undefined) {
        if (pending.size === 0) settle(() => { reject(unreachable(peerId, failures)) })
        return
      }
      pending.set(target, clock.nowMs())
      cancelStagger = clock.after(DIAL_STAGGER_MS, () => { if (next < targets.length) startNext() })
      void attempt(target).then(connection => {
        if (winner !== undefined || attempts.signal.aborted) return connection.abort(new SwarmError('CLOSED', 'another address answered first'))
        winner = connection
        settle(() => { resolve(connection) })
      }, (error: unknown) => {
        pending.delete(target)
        failures.push(`${withoutPeer(target)} ${inPlainWords(error)}`)
        if (!attempts.signal.aborted) startNext()
      })
    }
    const attempt = async (target: Multiaddr): Promise<Connection> => {
      const bound = deadline(clock, DIAL_MS_MAX, attempts.signal)
      try {
        return await transports.dial(target, { signal: bound.signal })
      } catch (error) {
        throw bound.signal.aborted ? bound.signal.reason : error
      } finally {
        bound.done()
      }
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    startNext()
  })
}

function unreachable (peerId: string, failures: readonly string[]): SwarmError {
  const why = failures.length === 0 ? 'no address is known' : failures.join('; ')
  return new SwarmError('UNREACHABLE', `dial ${peerId}: ${why}`, { details: { peerId, causes: [...failures] } })
}

const PLAIN_WORDS: readonly (readonly [RegExp, string])[] = [
  [/ECONNREFUSED/, 'refuses connections: nothing listens there'],
  [/EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL/, 'cannot be reached from this network'],
  [/ENOTFOUND|EAI_AGAIN/, 'has a name that cannot be resolved'],
  [/does not match expected|UnexpectedPeer/, 'answers as another peer'],
  [/ETIMEDOUT|no answer in|[Tt]imed? ?out/, silentFor(DIAL_MS_MAX)],
  [/ECONNRESET|EPIPE|[Cc]losed|[Rr]eset|ended|UnexpectedEOF|end of/, 'hangs up during the handshake: not a peer of this kind, or too busy'],
  [/Missing newline|InvalidMessage|InvalidDataLength|UnsupportedProtocol|Encrypt|InvalidCrypto|Unexpected server response|Invalid WebSocket/, 'answers otherwise than a peer of this kind']
]

function silentFor (ms: number): string {
  return `does not answer within ${Math.round(ms / 100) / 10} s`
}

function inPlainWords (error: unknown): string {
  const text = error instanceof Error ? `${error.name} ${error.message}` : messageOf(error)
  return PLAIN_WORDS.find(([pattern]) => pattern.test(text))?.[1] ?? `failed: ${messageOf(error)}`
}
