/**
 * Whom a peer keeps links with in a swarm of more than FULL_MAX: a pure core.
 *
 * Each peer picks the PICKS others that a hash of both ids puts first. So everyone draws as if by lot, and yet again the same while the
 * same peers are there: one that joins or leaves moves some 2 * PICKS links in all. With as many that picked it, a peer has some eight
 * links. A graph in which each vertex draws a few others is connected almost surely from two on, and its diameter grows with
 * the logarithm of the peers. Source: Fenner and Frieze, "On the connectivity of random m-orientable graphs and digraphs",
 * Combinatorica 2, 1982.
 *
 * Both ends can work out whose pick a link is. One that is nobody's pick, and that nobody uses, is one too many: it is closed by the
 * end that dialled it, above LINKS_CROWD by either.
 */
import { FULL_MAX } from '../directory/hearsay.ts'

export { FULL_MAX }

/** Peers that each picks. */
export const PICKS = 4

/** Links below which a peer makes some that nobody picked; above which it closes such; above which either end does. */
export const LINKS_MIN = 6
export const LINKS_MAX = 12
export const LINKS_CROWD = 64

/** Peers above which links are closed: a swarm about the size of FULL_MAX does not go back and forth. */
export const CLOSING_MIN = 20

/** How long a link must have been of no use before it is closed, in milliseconds. */
export const UNUSED_MS = 60_000

export interface LinkUse {
  readonly peerId: string
  /** This end has dialled it. */
  readonly isOurs: boolean
  /** Something is under way on it, or it is wanted for itself. */
  readonly isHeld: boolean
  /** How long nothing was, in milliseconds. */
  readonly unusedMs: number
}

export interface Plan {
  /** Peers to be linked with, those that are among them. */
  readonly wanted: ReadonlySet<string>
  /** Links to be closed, as far as the other end agrees. */
  readonly surplus: readonly string[]
}

/** The first others in the order of a peer's own lot. */
export function picksOf (own: string, peers: Iterable<string>, count = PICKS): string[] {
  const seed = fold(own)
  const best: { readonly peerId: string, readonly lot: number }[] = []
  for (const peerId of peers) {
    if (peerId === own) continue
    const lot = mix(seed, fold(peerId))
    if (best.length === count && lot >= (best.at(-1)?.lot ?? 0)) continue
    const index = best.findIndex(other => lot < other.lot)
    best.splice(index === -1 ? best.length : index, 0, { peerId, lot })
    if (best.length > count) best.pop()
  }
  return best.map(({ peerId }) => peerId)
}

/**
 * @param peers that can be linked with, those that are among them
 * @param links that are open
 * @param groups peers that share something with this one alone, and need a graph of their own
 */
export function planLinks (own: string, peers: ReadonlySet<string>, links: readonly LinkUse[], groups: readonly ReadonlySet<string>[] = []): Plan {
  if (peers.size < FULL_MAX) return { wanted: new Set(peers), surplus: [] }
  const wanted = new Set([...picksOf(own, peers), ...groups.flatMap(group => picksOf(own, group))])
  const held = new Set([...wanted, ...links.map(({ peerId }) => peerId)])
  if (held.size < LINKS_MIN) {
    for (const peerId of picksOf(own, peers, LINKS_MIN + PICKS)) {
      if (held.size >= LINKS_MIN) break
      held.add(peerId)
      wanted.add(peerId)
    }
  }
  return { wanted, surplus: peers.size < CLOSING_MIN ? [] : surplusOf(own, peers, links, wanted) }
}

function surplusOf (own: string, peers: ReadonlySet<string>, links: readonly LinkUse[], wanted: ReadonlySet<string>): string[] {
  const isCrowd = links.length > LINKS_CROWD
  let room = links.length - LINKS_MAX
  const surplus: string[] = []
  for (const { isHeld, isOurs, peerId, unusedMs } of [...links].sort((left, right) => right.unusedMs - left.unusedMs)) {
    if (room <= 0) break
    if (isHeld || unusedMs < UNUSED_MS || wanted.has(peerId) || !(isOurs || isCrowd)) continue
    if (peers.has(peerId) && picksOf(peerId, [own, ...peers]).includes(own)) continue
    surplus.push(peerId)
    room--
  }
  return surplus
}

/** FNV-1a over the end of an id, where ids differ. */
function fold (peerId: string): number {
  let hash = 0x811c9dc5
  for (let index = Math.max(0, peerId.length - 12); index < peerId.length; index++) hash = Math.imul(hash ^ peerId.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

/** The finaliser of MurmurHash3, over both. */
function mix (first: number, second: number): number {
  let hash = Math.imul(first, 0x9e3779b1) ^ second
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return (hash ^ hash >>> 16) >>> 0
}
