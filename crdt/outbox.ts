/**
 * A peer's own updates on their way to gossip: those that the log has on disk go together into one envelope, one envelope at a time.
 * The first to go may be signed while the log is still on its way to disk: then it can leave as soon as it is there.
 */
import { ENVELOPE_UPDATES_MAX, LENGTH_BYTES, PAYLOAD_BYTES_MAX, signEnvelope, type Signer } from './envelope.ts'

/** Updates that wait, and their bytes. Past that they are dropped: a notice tells others to pull. */
export const OUTBOX_UPDATES_MAX = 4_096
export const OUTBOX_BYTES_MAX = 2 ** 20

/** A signed envelope, what it holds, and the last sequence in it. */
export interface SealedEnvelope { readonly envelope: Uint8Array, readonly updates: readonly Uint8Array[], readonly seq: number }

interface Waiting { readonly seq: number, readonly update: Uint8Array | undefined, readonly incarnation: number }

export class Outbox {
  readonly #signer: Signer
  readonly #swarmId: string
  readonly #document: string
  #waiting: Waiting[] = []
  #bytes = 0
  /** The sequence in the last envelope. */
  #previous: number
  /** Signed ahead: not to be seen by anybody before all of it is on disk. */
  #ahead: { readonly sealed: SealedEnvelope, readonly previous: number, readonly incarnation: number } | undefined
  /** An envelope is with gossip. */
  isBusy = false

  constructor (signer: Signer, swarmId: string, document: string, sequence: number) {
    this.#signer = signer
    this.#swarmId = swarmId
    this.#document = document
    this.#previous = sequence
  }

  get count (): number {
    return this.#waiting.length
  }

  /** @param update undefined for what only a notice can tell */
  add (seq: number, update: Uint8Array | undefined, incarnation: number): void {
    const fits = update !== undefined && update.byteLength + LENGTH_BYTES <= PAYLOAD_BYTES_MAX
    const isFull = this.#waiting.length >= OUTBOX_UPDATES_MAX || this.#bytes + (update?.byteLength ?? 0) > OUTBOX_BYTES_MAX
    if (isFull) {
      this.#waiting = []
      this.#bytes = 0
    }
    if (fits && !isFull) this.#bytes += update.byteLength
    this.#waiting.push({ seq, update: fits && !isFull ? update : undefined, incarnation })
  }

  /** What waits is not to be shown any more: a notice tells others to pull. */
  collapse (): void {
    const last = this.#waiting.at(-1) ?? (this.#ahead === undefined ? undefined : { seq: this.#ahead.sealed.seq, incarnation: this.#ahead.incarnation })
    this.#waiting = last === undefined ? [] : [{ ...last, update: undefined }]
    this.#bytes = 0
    this.#previous = this.#ahead?.previous ?? this.#previous
    this.#ahead = undefined
  }

  /** Signs ahead what waits, as much as one envelope takes, unless one is under way. @returns what was signed now */
  prepare (): SealedEnvelope | undefined {
    const first = this.#waiting[0]
    if (this.isBusy || this.#ahead !== undefined || first === undefined) return undefined
    const previous = this.#previous
    const sealed = this.#sign(first, Infinity)
    this.#ahead = { sealed, previous, incarnation: first.incarnation }
    return sealed
  }

  /** The next envelope, of what is on disk up to `durable`, unless one is under way; `isNew` if it was not signed ahead. */
  seal (durable: number): SealedEnvelope & { readonly isNew: boolean } | undefined {
    const first = this.#waiting[0]
    if (this.isBusy || ((this.#ahead?.sealed ?? first)?.seq ?? Infinity) > durable) return undefined
    const ahead = this.#ahead?.sealed
    this.#ahead = undefined
    this.isBusy = true
    return ahead === undefined ? { ...this.#sign(first as Waiting, durable), isNew: true } : { ...ahead, isNew: false }
  }

  #sign (first: Waiting, durable: number): SealedEnvelope {
    const updates: Uint8Array[] = []
    let [bytes, count, seq] = [0, 0, first.seq]
    for (const { seq: next, update, incarnation } of this.#waiting) {
      if (next > durable || incarnation !== first.incarnation || count === ENVELOPE_UPDATES_MAX) break
      if ((update === undefined) !== (first.update === undefined)) break
      bytes += (update?.byteLength ?? 0) + LENGTH_BYTES
      if (bytes > PAYLOAD_BYTES_MAX) break
      if (update !== undefined) updates.push(update)
      seq = next
      count++
    }
    for (const { update } of this.#waiting.splice(0, count)) this.#bytes -= update?.byteLength ?? 0
    const envelope = signEnvelope(this.#signer, this.#swarmId, {
      document: this.#document, incarnation: first.incarnation, sequence: seq, previous: this.#previous, keyId: 0, updates
    })
    this.#previous = seq
    return { envelope, updates, seq }
  }
}
