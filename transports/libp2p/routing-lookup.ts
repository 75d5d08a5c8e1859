/**
 * One lookup: asks those nearest to a key for those they know to be nearer, until the nearest that there are have all been asked.
 *
 * kad-dht has one of its own, which goes on only to peers nearer than the one that named them. Among the few peers of a young
 * swarm that ends before anything is found; here everybody among the nearest is asked, so that in a swarm of up to REPLICAS
 * peers every one of them is. Bounds: asks in all, peers taken from one answer, and failed dials that one peer's word may cost.
 */
import type { PeerId, PeerInfo } from '@libp2p/interface'
import { sha256 } from '#hash'
import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { REPLICAS } from './routing-table.ts'

/** Peers asked by one lookup. */
export const ASKS_MAX = 64

/** How a lookup goes about it. */
export interface Pace {
  /** So many of the nearest are asked in any case; the others only if they are not known to be there. */
  readonly width: number
  /** Asked at once, those aside that are slow. */
  readonly asksAtOnce: number
  /** After so long without an answer the next one is asked beside it, in milliseconds: an address where nothing answers must not hold the rest up. */
  readonly slowMs: number
  /** How long those that are slow are waited for when all others have answered, in milliseconds. */
  readonly lastMs: number
}

/** Where somebody waits for what is found. */
export const AWAITED: Pace = { width: REPLICAS, asksAtOnce: 3, slowMs: 150, lastMs: 700 }

/** Where nobody does: a peer looks up itself, to know those around it. When a swarm starts that falls due everywhere at once. */
export const UNHURRIED: Pace = { width: REPLICAS, asksAtOnce: 2, slowMs: 2_000, lastMs: 2_000 }

/** The same, of a peer that knows those around it: for each of the keys that it provides, of which there may be a hundred. */
export const NARROW: Pace = { ...UNHURRIED, width: 3 }

/** Longest wait for one peer's answer, dialling it included, in milliseconds. */
const ASK_MS_MAX = 5_000

export interface Answer {
  readonly closer: readonly PeerInfo[]
}

export interface LookupParts {
  /** Peer id, or multihash of a key, as bytes. */
  readonly target: Uint8Array
  readonly own: PeerId
  readonly clock: Clock
  /** Those of our table that are nearest. */
  readonly start: readonly PeerId[]
  readonly signal: AbortSignal
  readonly pace: Pace
  /** Whether a peer is known to be there, without being asked. */
  readonly isKnown?: (peerId: PeerId) => boolean
  /** @throws if there is no answer */
  readonly ask: (peerId: PeerId, signal: AbortSignal) => Promise<Answer>
  /** Whether a peer that another has named may be tried. */
  readonly mayTry: (peer: PeerInfo, namedBy: PeerId) => boolean
}

interface Candidate {
  readonly id: PeerId
  readonly distance: Uint8Array
  state: 'new' | 'asked' | 'answered'
}

/**
 * @returns those nearest to the target that have answered or are known to be there, at most REPLICAS
 * @throws the signal's reason
 */
export async function lookup ({ target, own, clock, start, signal, pace, ask, mayTry, isKnown = () => false }: LookupParts): Promise<PeerId[]> {
  const point = sha256(target)
  const known = new Set([own.toString()])
  let candidates: Candidate[] = []
  let asks = 0
  const learn = (id: PeerId): void => {
    const name = id.toString()
    if (known.has(name)) return
    known.add(name)
    candidates.push({ id, distance: distanceOf(id, point), state: 'new' })
    candidates.sort((one, other) => compare(one.distance, other.distance))
  }
  for (const id of start) learn(id)

  await new Promise<void>((resolve, reject) => {
    let [running, slow] = [0, 0]
    let cancelEnd: (() => void) | undefined
    const onAbort = (): void => { reject(signal.reason as Error) }
    const end = (): void => {
      cancelEnd?.()
      signal.removeEventListener('abort', onAbort)
      resolve()
    }
    const askOne = (candidate: Candidate): void => {
      candidate.state = 'asked'
      asks += 1
      running += 1
      let isSlow = false
      const cancel = clock.after(pace.slowMs, () => {
        isSlow = true
        slow += 1
        goOn()
      })
      const bound = deadline(clock, ASK_MS_MAX, signal)
      void ask(candidate.id, bound.signal).then(({ closer }) => {
        candidate.state = 'answered'
        for (const peer of closer.slice(0, REPLICAS + 1)) if (mayTry(peer, candidate.id)) learn(peer.id)
      }, () => {
        candidates = candidates.filter(each => each !== candidate)
        known.delete(candidate.id.toString()) // whoever names it after that may know another way to it
      }).finally(() => {
        bound.done()
        cancel()
        running -= 1
        if (isSlow) slow -= 1
        goOn()
      })
    }
    const goOn = (): void => {
      if (signal.aborted) return
      for (const [index, candidate] of candidates.slice(0, REPLICAS + slow).entries()) {
        if (running - slow >= pace.asksAtOnce || asks >= ASKS_MAX) break
        if (candidate.state === 'new' && (index < pace.width || !isKnown(candidate.id))) askOne(candidate)
      }
      cancelEnd?.()
      cancelEnd = undefined
      if (running === 0) end()
      else if (running === slow) cancelEnd = clock.after(pace.lastMs, end)
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    goOn()
  })
  return candidates.filter(({ id, state }) => state === 'answered' || (state === 'new' && isKnown(id))).slice(0, REPLICAS).map(({ id }) => id)
}

function distanceOf (id: PeerId, point: Uint8Array): Uint8Array {
  const place = sha256(id.toMultihash().bytes)
  return place.map((byte, index) => byte ^ (point[index] ?? 0))
}

function compare (one: Uint8Array, other: Uint8Array): number {
  for (const [index, byte] of one.entries()) {
    const difference = byte - (other[index] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
