import { SwarmError } from '../base/error.ts'
import type { LineStream } from '../base/line.ts'

/** Bytes of lines held while the other end reads slowly, beyond what the stream itself queues. */
export const HELD_BYTES_MAX = 32 * 2 ** 20

/**
 * Lets lines out in order, as fast as the other end reads. What does not fit yet is held here, up to a limit, and can be
 * taken back: a call that is still held has provably not been sent.
 */
export class Outlet {
  readonly #lines: LineStream
  readonly #lineBytesMax: number
  readonly #held = new Map<number, string>()
  #heldUnits = 0
  #nextKey = -1
  #isFull = false
  #waiting: (() => void)[] = []

  constructor (lines: LineStream, lineBytesMax: number) {
    this.#lines = lines
    this.#lineBytesMax = lineBytesMax
  }

  /** Whether the other end reads too slowly, so that what may be dropped (progress) should be. */
  get isFull (): boolean {
    return this.#isFull
  }

  /**
   * Sends a line, now or when the other end has read.
   *
   * @param key not negative, unique among the lines held: for `withdraw`
   * @throws SwarmError TOO_LARGE over the limit of a line, OVERLOADED over HELD_BYTES_MAX, CLOSED
   */
  send (line: string, key?: number): void {
    if (!this.#isFull) {
      if (this.#lines.send(line)) return
      this.#isFull = true
      void this.#drain()
      return
    }
    if (line.length * 3 > this.#lineBytesMax) {
      const bytes = new TextEncoder().encode(line).byteLength
      if (bytes > this.#lineBytesMax) throw new SwarmError('TOO_LARGE', `message of ${bytes} bytes; limit ${this.#lineBytesMax}`)
    }
    if (this.#heldUnits + line.length > HELD_BYTES_MAX) throw new SwarmError('OVERLOADED', `over ${HELD_BYTES_MAX} bytes wait for a slow reader`)
    this.#held.set(key ?? this.#nextKey--, line)
    this.#heldUnits += line.length
  }

  /** Takes a held line back. @returns false if it has left, or may have */
  withdraw (key: number): boolean {
    this.#heldUnits -= this.#held.get(key)?.length ?? 0
    return this.#held.delete(key)
  }

  holds (key: number): boolean {
    return this.#held.has(key)
  }

  /** Resolves when nothing is held any more, or the stream has closed. */
  async drained (): Promise<void> {
    if (this.#isFull && !this.#lines.isClosed) await new Promise<void>(resolve => { this.#waiting.push(resolve) })
  }

  /** Never rejects: a line that the stream will not take has lost its stream, whose reader hears of that. */
  async #drain (): Promise<void> {
    await this.#lines.drained()
    for (const [key, line] of this.#held) {
      if (this.#lines.isClosed) break
      this.withdraw(key)
      if (!this.#put(line)) await this.#lines.drained()
    }
    this.#isFull = false
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #put (line: string): boolean {
    try {
      return this.#lines.send(line)
    } catch (error) {
      if (error instanceof SwarmError && error.code === 'CLOSED') return true
      throw error
    }
  }
}
