/**
 * The port to what a peer keeps: ordered keys and values. `lib/storage/` has LevelDB (a folder) and memory.
 * Keys are printable ASCII, at most 512 characters; a prefix ends in `/`.
 */
export interface Storage {
  /** The value, which is the caller's to keep, or undefined. */
  get (key: string): Promise<Uint8Array | undefined>
  /** Applies all changes or none. With `sync` it resolves only after they are on disk. @throws SwarmError FOLDER_UNUSABLE */
  write (changes: readonly Change[], options?: { sync?: boolean }): Promise<void>
  /** Every entry whose key starts with the prefix, in key order. */
  entries (prefix: string): AsyncIterable<readonly [key: string, value: Uint8Array]>
  /** Ends with every earlier write done; a second call does nothing. */
  close (): Promise<void>
}

/** A key to set, or to delete where the value is undefined. */
export interface Change {
  readonly key: string
  readonly value: Uint8Array | undefined
}
