/** The last envelopes of a document, as signed: what shows who said two things at one clock. */
import { equalBytes } from '../lib/base/bytes.ts'
import type { Fork } from './fork.ts'
import type { Content, Range } from './update.ts'

/** Envelopes kept, and their bytes: the older ones go first. */
export const EVIDENCE_ENVELOPES_MAX = 256
export const EVIDENCE_BYTES_MAX = 256 * 1024

export class Evidence {
  readonly #kept: { readonly envelope: Uint8Array, readonly ranges: readonly Range[] }[] = []
  #bytes = 0

  get bytes (): number {
    return this.#bytes
  }

  /** @param contents of its updates */
  keep (envelope: Uint8Array, contents: readonly Content[]): void {
    const ranges = contents.flatMap(content => content.ranges)
    const [first] = ranges
    if (first === undefined) return
    const known = this.find({ client: first.client, clock: first.from })
    if (known !== undefined && equalBytes(known, envelope)) return
    this.#kept.push({ envelope, ranges })
    this.#bytes += envelope.byteLength
    while (this.#kept.length > EVIDENCE_ENVELOPES_MAX || this.#bytes > EVIDENCE_BYTES_MAX) this.#bytes -= this.#kept.shift()?.envelope.byteLength ?? 0
  }

  /** The first one kept that holds that clock. */
  find ({ client, clock }: Fork): Uint8Array | undefined {
    return this.#kept.find(({ ranges }) => ranges.some(range => range.client === client && range.from <= clock && clock < range.to))?.envelope
  }
}
