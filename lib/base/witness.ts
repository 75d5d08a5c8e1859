/**
 * The port to a witness: beside the storage, it remembers how far each document's log had come when that was acknowledged.
 * A storage that loses the end of a log shows a log that is whole, only shorter: without a witness nobody would notice.
 * `lib/storage/witness.node.ts` keeps one in a file; a page has none.
 */
export interface Witness {
  /**
   * Names this start of the machine that the disk belongs to. What a disk said it had flushed can be missing, from log and witness alike,
   * only after it was without power, and so mostly only in another start.
   */
  readonly boot: string
  /** What is known of a log's end, undefined if nothing ever was, 'lost' if what would say so is damaged. */
  read (key: string): Promise<Standing | 'lost' | undefined>
  /**
   * Says how far logs will have come, while they are being written: resolves once that is on disk. What was confirmed is still
   * told beside it. One claim at a time.
   *
   * @throws SwarmError FOLDER_UNUSABLE
   */
  claim (heads: ReadonlyMap<string, Head>): Promise<void>
  /**
   * The last claim has come true: the logs are on disk. Resolves when that would be known after the end of this process; after a
   * power cut it may be a claim again, unless another claim or `close` has ended since.
   *
   * @throws SwarmError FOLDER_UNUSABLE
   */
  confirm (): Promise<void>
  /** Ends after what is under way, with what was confirmed on disk; a second call does nothing. @throws SwarmError FOLDER_UNUSABLE */
  close (): Promise<void>
}

/** How far a log has come. */
export interface Standing {
  /** So far it was acknowledged: START if nothing of it was. */
  readonly sure: Head
  /** So far it may have come, and been acknowledged; undefined if nothing is in doubt. */
  readonly claimed: Head | undefined
}

/** The last record of a log. */
export interface Head {
  /** Counted from 1, without holes. */
  readonly sequence: number
  /** The record's hash, HASH_BYTES long. */
  readonly hash: Uint8Array
}

/** Bytes of a record's hash: SHA-256, its first half. */
export const HASH_BYTES = 16

/** The head of an empty log. */
export const START: Head = { sequence: 0, hash: new Uint8Array(HASH_BYTES) }

/** A witness for tests, and for storages in memory. */
export class MemoryWitness implements Witness {
  readonly boot: string = 'memory'
  readonly #standings = new Map<string, Standing>()
  #claimed: ReadonlyMap<string, Head> = new Map()

  async read (key: string): Promise<Standing | 'lost' | undefined> {
    return this.#standings.get(key)
  }

  async claim (heads: ReadonlyMap<string, Head>): Promise<void> {
    for (const [key, claimed] of heads) this.#standings.set(key, { sure: this.#standings.get(key)?.sure ?? START, claimed })
    this.#claimed = heads
  }

  async confirm (): Promise<void> {
    for (const [key, sure] of this.#claimed) this.#standings.set(key, { sure, claimed: undefined })
    this.#claimed = new Map()
  }

  async close (): Promise<void> {
    // Nothing is held.
  }
}
