/**
 * One lookup: asks those nearest to a key for those they know to be nearer, until the nearest that answer have all been asked.
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

/** Asked at once, those aside that are slow. */
const ASKS_AT_ONCE = 6

/** After so long without an answer the next one is asked beside it, in milliseconds: an address where nothing answers must not hold the rest up. */
const SLOW_MS = 300

/** How long those that are slow are waited for when all others have answered, in milliseconds. */
const LAST_MS = 700

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
 * @returns those nearest to the target that have answered, at most REPLICAS
 * @throws the signal's reason
 */
export async function lookup ({ target, own, clock, start, signal, ask, mayTry }: LookupParts): Promise<PeerId[]> {
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
      const cancel = clock.after(SLOW_MS, () => {
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
      for (const candidate of candidates.slice(0, REPLICAS + slow)) {
        if (running - slow >= ASKS_AT_ONCE || asks >= ASKS_MAX) break
        if (candidate.state === 'new') askOne(candidate)
      }
      cancelEnd?.()
      cancelEnd = undefined
      if (running === 0) end()
      else if (running === slow) cancelEnd = clock.after(LAST_MS, end)
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    goOn()
  })
  return candidates.filter(({ state }) => state === 'answered').slice(0, REPLICAS).map(({ id }) => id)
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
