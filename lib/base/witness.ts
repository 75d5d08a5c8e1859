/**
 * The port to a witness: beside the storage, it remembers how far each document's log had come when that was acknowledged.
 * A storage that loses the end of a log shows a log that is whole, only shorter: without a witness nobody would notice.
 * `lib/storage/witness.node.ts` keeps one in a file; a page has none.
 */
export interface Witness {
  /** The head last written, undefined if none ever was, 'lost' if what would say so is damaged. */
  read (key: string): Promise<Head | 'lost' | undefined>
  /** Resolves once the heads are on disk; earlier heads of other keys stay. One write at a time. @throws SwarmError FOLDER_UNUSABLE */
  write (heads: ReadonlyMap<string, Head>): Promise<void>
  /** Ends after the write under way; a second call does nothing. */
  close (): Promise<void>
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

/** A witness for tests, and for storages in memory. */
export class MemoryWitness implements Witness {
  readonly #heads = new Map<string, Head>()

  async read (key: string): Promise<Head | 'lost' | undefined> {
    return this.#heads.get(key)
  }

  async write (heads: ReadonlyMap<string, Head>): Promise<void> {
    for (const [key, head] of heads) this.#heads.set(key, head)
  }

  async close (): Promise<void> {
    // Nothing is held.
  }
}
