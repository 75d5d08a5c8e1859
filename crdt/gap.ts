/**
 * Whether an update fits onto a document, and where updates wait that came too early.
 *
 * Yjs keeps what does not fit and tries it again with every update, in time that grows with the square of it (2 MB of forged gaps
 * block it for 35 s), and tells nobody. So Yjs is never given a gap: what is too early waits here, bounded, and is asked for.
 */
import type { Content, Need } from './update.ts'

/** Updates of one author that wait, and their bytes; what is over is dropped, and comes with the next pull. */
export const EARLY_UPDATES_MAX = 64
export const EARLY_BYTES_MAX = 256 * 1024

/** Authors whose updates wait. */
export const EARLY_AUTHORS_MAX = 64

/** What is missing: of that client, all clocks below `clock`; or, where the update needs itself, nothing can help. */
export interface Gap { readonly client: number, readonly clock: number }

/** How far a document, or one with what was found to fit, has come with a client. */
export type Reach = (client: number) => number

/**
 * Looks for what an update needs and neither the document nor the update itself has, in an order in which it could be applied.
 * Time grows with the update's structs alone, whoever made it.
 */
export function findGap (content: Content, reach: Reach): Gap | undefined {
  const ends = new Map<number, number>()
  for (const { client, from, to } of content.ranges) {
    const end = ends.get(client) ?? reach(client)
    if (from > end) return { client, clock: from }
    ends.set(client, Math.max(end, to))
  }
  const blocked = content.needs.filter(need => need.needClock >= reach(need.needClient))
  const gap = blocked.length === 0 ? undefined : orderGap(blocked, ends, reach)
  if (gap !== undefined) return gap
  for (const { client, to } of content.deletes) {
    if (to > (ends.get(client) ?? reach(client))) return { client, clock: to }
  }
  return undefined
}

/** Carries clients on as far as their needs let them; all must come to their end. */
function orderGap (blocked: readonly Need[], ends: ReadonlyMap<number, number>, reach: Reach): Gap | undefined {
  const runs = new Map<number, { needs: Need[], next: number }>()
  for (const need of blocked) {
    const run = runs.get(need.client)
    if (run === undefined) runs.set(need.client, { needs: [need], next: 0 })
    else run.needs.push(need)
  }
  // Those that wait for a client, the earliest clock first.
  const waiting = new Map<number, Heap>()
  const reached = (client: number): number => {
    const run = runs.get(client)
    const need = run?.needs[run.next]
    return need === undefined ? ends.get(client) ?? reach(client) : Math.max(need.clock, reach(client))
  }
  const ready = [...runs.keys()]
  for (let client = ready.pop(); client !== undefined; client = ready.pop()) {
    const run = runs.get(client)
    let need = run?.needs[run.next]
    while (run !== undefined && need !== undefined && reached(need.needClient) > need.needClock) need = run.needs[++run.next]
    if (need !== undefined) {
      const heap = waiting.get(need.needClient) ?? new Heap()
      heap.push(need)
      waiting.set(need.needClient, heap)
    }
    const end = reached(client)
    const heap = waiting.get(client)
    while (heap?.first !== undefined && heap.first.needClock < end) ready.push(heap.pop().client)
  }
  for (const { needs, next } of runs.values()) {
    const need = needs[next]
    if (need !== undefined) return { client: need.needClient, clock: need.needClock + 1 }
  }
  return undefined
}

/** Needs by their `needClock`. */
class Heap {
  readonly #needs: Need[] = []

  get first (): Need | undefined {
    return this.#needs[0]
  }

  push (need: Need): void {
    let at = this.#needs.length
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = this.#needs[above] as Need
      if (other.needClock <= need.needClock) break
      this.#needs[at] = other
      at = above
    }
    this.#needs[at] = need
  }

  pop (): Need {
    const [first, last] = [this.#needs[0] as Need, this.#needs.pop() as Need]
    const length = this.#needs.length
    if (length === 0) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= length) break
      if (below + 1 < length && (this.#needs[below + 1] as Need).needClock < (this.#needs[below] as Need).needClock) below++
      if ((this.#needs[below] as Need).needClock >= last.needClock) break
      this.#needs[at] = this.#needs[below] as Need
      at = below
    }
    this.#needs[at] = last
    return first
  }
}

export interface Early { readonly author: string, readonly update: Uint8Array, readonly content: Content }

export interface EarlyLimits { readonly updatesMax?: number, readonly bytesMax?: number, readonly authorsMax?: number }

/** Updates that came before what they need, by author, so that nobody takes another's room. */
export class EarlyUpdates {
  readonly #authors = new Map<string, { updates: (Early & { gap: Gap })[], bytes: number }>()
  readonly #updatesMax: number
  readonly #bytesMax: number
  readonly #authorsMax: number

  constructor (limits: EarlyLimits = {}) {
    this.#updatesMax = limits.updatesMax ?? EARLY_UPDATES_MAX
    this.#bytesMax = limits.bytesMax ?? EARLY_BYTES_MAX
    this.#authorsMax = limits.authorsMax ?? EARLY_AUTHORS_MAX
  }

  get count (): number {
    let count = 0
    for (const { updates } of this.#authors.values()) count += updates.length
    return count
  }

  get bytes (): number {
    let bytes = 0
    for (const held of this.#authors.values()) bytes += held.bytes
    return bytes
  }

  /** Keeps an update, which must not change. False where there is no room: then it is forgotten. */
  hold (early: Early, gap: Gap): boolean {
    const held = this.#authors.get(early.author) ?? { updates: [], bytes: 0 }
    const { byteLength } = early.update
    if (held.updates.length >= this.#updatesMax || held.bytes + byteLength > this.#bytesMax) return false
    if (held.updates.length === 0 && this.#authors.size >= this.#authorsMax) return false
    held.updates.push({ ...early, gap })
    held.bytes += byteLength
    this.#authors.set(early.author, held)
    return true
  }

  /** Takes out what fits by now, in an order in which it can be applied. */
  take (reach: Reach): Early[] {
    const found: Early[] = []
    const ends = new Map<number, number>()
    const reachNow: Reach = client => Math.max(reach(client), ends.get(client) ?? 0)
    for (let before = -1; before < found.length;) {
      before = found.length
      for (const [author, held] of this.#authors) {
        held.updates = held.updates.filter(early => {
          if (reachNow(early.gap.client) < early.gap.clock) return true
          const gap = findGap(early.content, reachNow)
          if (gap !== undefined) {
            early.gap = gap
            return true
          }
          held.bytes -= early.update.byteLength
          found.push(early)
          for (const { client, to } of early.content.ranges) ends.set(client, Math.max(to, reachNow(client)))
          return false
        })
        if (held.updates.length === 0) this.#authors.delete(author)
      }
    }
    return found
  }

  clear (): void {
    this.#authors.clear()
  }
}
