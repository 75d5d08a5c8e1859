/**
 * Questions of peers that have yet to read what they were answered before: kept until they have, the last about each document. Without
 * that, whoever asks for many documents at once would wait for a round of anti-entropy, and another, for all that came too soon.
 */
import { PULLS_MAX } from '../../crdt/sync.ts'

/** Questions kept of one peer: as many as one of ours has under way. */
export const KEPT_MAX = PULLS_MAX

/** Longest question that is kept, in bytes: room for the clocks of a thousand writers. */
export const KEPT_BYTES_MAX = 16 * 1024

export class Questions {
  /** By peer and document. */
  readonly #kept = new Map<string, Map<string, Uint8Array>>()

  /** What is one too many, or too long, is not kept: a comparison shows later what it was about. @param bytes must not change any more */
  keep (peerId: string, document: string, bytes: Uint8Array): void {
    const kept = this.#kept.get(peerId) ?? new Map<string, Uint8Array>()
    if (bytes.byteLength > KEPT_BYTES_MAX || (kept.size >= KEPT_MAX && !kept.has(document))) return
    this.#kept.set(peerId, kept.set(document, bytes))
  }

  /** Takes out all of a peer, in the order in which they were first asked. */
  take (peerId: string): Uint8Array[] {
    const kept = [...this.#kept.get(peerId)?.values() ?? []]
    this.#kept.delete(peerId)
    return kept
  }
}
