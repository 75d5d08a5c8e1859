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
  const runs: Run[] = []
  let run: Run | undefined
  for (const { client, from, to } of content.ranges) {
    if (run?.client !== client) {
      const known = reach(client)
      run = { client, known, end: known, next: 0, last: 0, waiting: undefined }
      runs.push(run)
    }
    if (from > run.end) return { client, clock: from }
    if (to > run.end) run.end = to
  }
  return orderGap(content.needs, runs, reach) ?? deleteGap(content, runs, reach)
}

/** Finds a client's run: they are in descending order. A table of that many numbers would take five times as long to make. */
function runOf (runs: readonly Run[], client: number): Run | undefined {
  let [low, high] = [0, runs.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((runs[middle] as Run).client > client) low = middle + 1
    else high = middle
  }
  const run = runs[low]
  return run?.client === client ? run : undefined
}

/** Clocks of one client in an update: what was known before, and what is known after it. */
interface Run {
  readonly client: number
  readonly known: number
  end: number
  /** The first of its needs that is not met yet, among all those of the update that are not met at once; and the one behind its last. */
  next: number
  last: number
  /** Needs of other clients for this one's clocks; one, or several. */
  waiting: Waiter | Heap | undefined
}

interface Waiter { readonly run: Run, readonly needClock: number }

/** Carries clients on as far as their needs let them; all must come to their end. */
function orderGap (needs: readonly Need[], runs: readonly Run[], reach: Reach): Gap | undefined {
  // The needs of one client stand together, in the order of its clocks.
  const unmet: { readonly need: Need, readonly of: Run }[] = []
  const ready: Run[] = []
  let run: Run | undefined
  for (const need of needs) {
    const of = runOf(runs, need.needClient)
    if (of === undefined ? need.needClock < reach(need.needClient) : need.needClock < of.known) continue
    if (of === undefined || need.needClock >= of.end) return { client: need.needClient, clock: need.needClock + 1 }
    if (run?.client !== need.client) {
      run = runOf(runs, need.client)
      if (run === undefined) continue
      run.next = unmet.length
      ready.push(run)
    }
    run.last = unmet.push({ need, of })
  }
  const reached = ({ known, end, next, last }: Run): number => {
    const clock = next < last ? unmet[next]?.need.clock ?? end : end
    return clock > known ? clock : known
  }
  const first = [...ready]
  for (let run = ready.pop(); run !== undefined; run = ready.pop()) {
    while (run.next < run.last) {
      const { need: { needClock }, of } = unmet[run.next] as typeof unmet[number]
      if (reached(of) <= needClock) {
        wait(of, { run, needClock })
        break
      }
      run.next++
    }
    wake(run, reached(run), ready)
  }
  for (const { next, last } of first) {
    if (next === last) continue
    const { needClient, needClock } = (unmet[next] as typeof unmet[number]).need
    return { client: needClient, clock: needClock + 1 }
  }
  return undefined
}

function wait (of: Run, waiter: Waiter): void {
  if (of.waiting === undefined) of.waiting = waiter
  else if (of.waiting instanceof Heap) of.waiting.push(waiter)
  else {
    const heap = new Heap()
    heap.push(of.waiting)
    heap.push(waiter)
    of.waiting = heap
  }
}

/** Moves those on that have waited for clocks of a client below `end`. */
function wake (run: Run, end: number, ready: Run[]): void {
  const { waiting } = run
  if (waiting instanceof Heap) while (waiting.first !== undefined && waiting.first.needClock < end) ready.push(waiting.pop().run)
  else if (waiting !== undefined && waiting.needClock < end) {
    run.waiting = undefined
    ready.push(waiting.run)
  }
}

function deleteGap ({ deletes }: Content, runs: readonly Run[], reach: Reach): Gap | undefined {
  for (const { client, to } of deletes) {
    if (to > (runOf(runs, client)?.end ?? reach(client))) return { client, clock: to }
  }
  return undefined
}

/** Those that wait, the one with the earliest clock first. */
class Heap {
  readonly #waiters: Waiter[] = []

  get first (): Waiter | undefined {
    return this.#waiters[0]
  }

  push (waiter: Waiter): void {
    let at = this.#waiters.length
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = this.#waiters[above] as Waiter
      if (other.needClock <= waiter.needClock) break
      this.#waiters[at] = other
      at = above
    }
    this.#waiters[at] = waiter
  }

  pop (): Waiter {
    const [first, last] = [this.#waiters[0] as Waiter, this.#waiters.pop() as Waiter]
    const length = this.#waiters.length
    if (length === 0) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= length) break
      if (below + 1 < length && (this.#waiters[below + 1] as Waiter).needClock < (this.#waiters[below] as Waiter).needClock) below++
      if ((this.#waiters[below] as Waiter).needClock >= last.needClock) break
      this.#waiters[at] = this.#waiters[below] as Waiter
      at = below
    }
    this.#waiters[at] = last
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
