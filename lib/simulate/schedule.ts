/** What happens next: events in order of their time, then of their making. Time is virtual and moves only from event to event. */
import { assert } from '../base/error.ts'

interface Entry { readonly atMs: number, readonly order: number, readonly run: () => void, cancelled: boolean }

export class Schedule {
  readonly #heap: Entry[] = []
  #nowMs = 0
  #order = 0

  get nowMs (): number {
    return this.#nowMs
  }

  /** Events that have happened. */
  happened = 0

  /** Returns the way to take it back. */
  after (delayMs: number, run: () => void): () => void {
    assert(delayMs >= 0, 'nothing happens in the past')
    const entry: Entry = { atMs: this.#nowMs + delayMs, order: this.#order++, run, cancelled: false }
    this.#push(entry)
    return () => { entry.cancelled = true }
  }

  /** Lets everything happen up to a time. */
  runUntil (atMs: number): void {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= atMs; next = this.#heap[0]) {
      this.#pop()
      if (next.cancelled) continue
      this.#nowMs = next.atMs
      this.happened++
      next.run()
    }
    this.#nowMs = atMs
  }

  #push (entry: Entry): void {
    const heap = this.#heap
    let at = heap.length
    for (let above = (at - 1) >> 1; at > 0 && isBefore(entry, heap[above] as Entry); above = (at - 1) >> 1) {
      heap[at] = heap[above] as Entry
      at = above
    }
    heap[at] = entry
  }

  #pop (): void {
    const heap = this.#heap
    const last = heap.pop() as Entry
    if (heap.length === 0) return
    let at = 0
    for (let below = 1; below < heap.length; below = 2 * at + 1) {
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Entry, heap[below] as Entry)) below++
      if (!isBefore(heap[below] as Entry, last)) break
      heap[at] = heap[below] as Entry
      at = below
    }
    heap[at] = last
  }
}

function isBefore (left: Entry, right: Entry): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.order < right.order)
}
