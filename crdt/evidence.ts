/** The last envelopes of a document, as signed: what shows who said two things at one clock. */
import { equalBytes } from '../lib/base/bytes.ts'
import type { Fork } from './fork.ts'
import type { Content, Range } from './update.ts'

/** Envelopes kept, and their bytes: the older ones go first. */
export const EVIDENCE_ENVELOPES_MAX = 256
export const EVIDENCE_BYTES_MAX = 256 * 1024

export class Evidence {
  readonly #kept: { readonly envelope: Uint8Array, readonly ranges: readonly Range[], readonly begin: string }[] = []
  /** By their first clock: every envelope that comes is looked for. */
  readonly #begun = new Map<string, Uint8Array>()
  #bytes = 0

  get bytes (): number {
    return this.#bytes
  }

  /** @param contents of its updates */
  keep (envelope: Uint8Array, contents: readonly Content[]): void {
    const ranges = contents.flatMap(content => content.ranges)
    const [first] = ranges
    if (first === undefined) return
    const begin = `${first.client}/${first.from}`
    const known = this.#begun.get(begin)
    if (known !== undefined && equalBytes(known, envelope)) return
    if (known === undefined) this.#begun.set(begin, envelope)
    this.#kept.push({ envelope, ranges, begin })
    this.#bytes += envelope.byteLength
    while (this.#kept.length > EVIDENCE_ENVELOPES_MAX || this.#bytes > EVIDENCE_BYTES_MAX) this.#forgetOldest()
  }

  #forgetOldest (): void {
    const oldest = this.#kept.shift()
    if (oldest === undefined) return
    this.#bytes -= oldest.envelope.byteLength
    if (this.#begun.get(oldest.begin) === oldest.envelope) this.#begun.delete(oldest.begin)
  }

  /** The first one kept that holds that clock. */
  find ({ client, clock }: Fork): Uint8Array | undefined {
    return this.#kept.find(({ ranges }) => ranges.some(range => range.client === client && range.from <= clock && clock < range.to))?.envelope
  }
}
