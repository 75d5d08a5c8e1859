/** What happened, line by line, in one hash: two runs of one seed are the same run if it is equal. */
import { utf8 } from '../base/bytes.ts'

/** Lines kept for a report: the last ones. */
const LINES_MAX = 400

export class Trace {
  #hash = [0x811c9dc5, 0x01234567]
  readonly lines: string[] = []
  readonly #isKept: boolean
  count = 0

  constructor (isKept: boolean) {
    this.#isKept = isKept
  }

  add (nowMs: number, line: string, bytes?: Uint8Array): void {
    this.count++
    this.#mix(utf8(`${nowMs} ${line}`))
    if (bytes !== undefined) this.#mix(bytes)
    if (!this.#isKept) return
    this.lines.push(`${nowMs.toFixed(1).padStart(9)} ${line}`)
    if (this.lines.length > LINES_MAX) this.lines.shift()
  }

  /** 16 hexadecimal digits; no secret, and no defence against anybody. */
  get hash (): string {
    return this.#hash.map(half => (half >>> 0).toString(16).padStart(8, '0')).join('')
  }

  #mix (bytes: Uint8Array): void {
    let [low, high] = this.#hash as [number, number]
    for (const byte of bytes) {
      low = Math.imul(low ^ byte, 0x01000193)
      high = Math.imul(high ^ low, 0x85ebca6b) ^ (high >>> 13)
    }
    this.#hash = [low, high]
  }
}
