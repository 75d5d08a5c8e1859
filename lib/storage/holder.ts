import type { JsonObject } from '../base/json.ts'

/** Who holds a data folder, in its own words. */
export interface Holder {
  readonly pid: number
  /** The peer's name, for people. */
  readonly name: string
  /** Milliseconds since 1970 UTC. */
  readonly startedAtMs: number
  /** What others need to talk to the holder, as plain JSON. */
  readonly facts: JsonObject
}

/** The folder is this process's until `release`, or its end. */
export interface FolderLock {
  readonly holder: Holder
  /** Replaces the facts; whole or not at all. @throws SwarmError FOLDER_UNUSABLE, TOO_LARGE, CLOSED after `release` */
  write (facts: JsonObject): Promise<void>
  /** Lets others have the folder; a second call does nothing more. */
  release (): Promise<void>
}
