/** The handle that an application holds on a document. Several handles of one document share its `ydoc`. */
import type { Copy } from './copy.ts'
import type { DocumentEvents, YDoc } from './events.ts'
import { SwarmError } from '../base/error.ts'
import type { DocumentStatus } from './status.ts'
import type { Json } from '../../crdt/plain.ts'
import { readPlain, writePlain } from '../../crdt/plain.ts'

export interface SyncedOptions {
  /** At how many other peers. Default 1. */
  readonly peers?: number
  readonly signal?: AbortSignal
  /** Milliseconds. Default: waits for ever. */
  readonly timeoutMs?: number
}

export class Document {
  readonly name: string
  readonly #copy: Copy
  readonly #release: () => Promise<void>
  readonly #stops = new Set<() => void>()
  #closing: Promise<void> | undefined

  /** Use `swarm.document`. */
  constructor (copy: Copy, release: () => Promise<void>) {
    this.name = copy.name
    this.#copy = copy
    this.#release = release
  }

  /**
   * The shared state: a plain Y.Doc. What is changed in it is shared; what others change appears in it.
   *
   * It is the same one as long as nobody cheats, or destroys it: see the event `replaced`. A Y.Doc that is no longer shared, because it
   * was replaced or all handles are closed, throws CLOSED out of every transaction that changes it. What a listener of its events
   * throws comes out of the transaction too, once it has ended and all others have heard.
   *
   * @throws SwarmError CLOSED
   */
  get ydoc (): YDoc {
    this.#checkOpen()
    return this.#copy.ydoc
  }

  /**
   * Resolves when all changes so far are on disk here, as the chosen durability has it. Only then do others get to see them.
   *
   * @throws SwarmError DISK_FAILED while nothing can be written; it heals by itself, so call again. TOO_LARGE, CLOSED;
   *   DOCUMENT_DAMAGED where Yjs could not write down a change, until `replaced` tells of a Y.Doc without it
   */
  async flushed (): Promise<void> {
    this.#checkOpen()
    await this.#copy.flushed()
  }

  /**
   * Resolves when all changes so far are on disk at that many other peers.
   *
   * @throws SwarmError TIMEOUT after `timeoutMs`, ABORTED, CLOSED, INVALID_OPTION; as `flushed`
   */
  async synced (options: SyncedOptions = {}): Promise<void> {
    this.#checkOpen()
    await this.#copy.synced(options)
  }

  /** How the document is, now. @throws SwarmError CLOSED */
  status (): DocumentStatus {
    this.#checkOpen()
    return this.#copy.status()
  }

  /**
   * What stands at a path, as plain JSON: keys and indices with slashes between them, the first the name of a shared type.
   * '' is everything. Undefined where there is nothing. Bytes become a list of numbers, a bigint over 2^53 a text.
   *
   * @throws SwarmError INVALID_OPTION for a path that cannot be, CLOSED
   */
  get (path = ''): Json | undefined {
    return readPlain(this.ydoc, path)
  }

  /**
   * Puts plain JSON at a path, and makes the maps on the way where there are none; undefined deletes. A value counts as a whole:
   * of two peers that set one path at the same time one wins. Where they write inside one value, use `ydoc`.
   *
   * @throws SwarmError INVALID_OPTION for a path that cannot be, and for what would come to others as something else: a Date, a
   *   function, the key `__proto__`, a value nested deeper than 256 with its path. CLOSED
   */
  set (path: string, value: Json | undefined): void {
    writePlain(this.ydoc, path, value)
  }

  /** Listens; the returned function stops it, and so does `close`. @throws SwarmError CLOSED */
  on<Name extends keyof DocumentEvents> (name: Name, listener: (event: DocumentEvents[Name]) => void): () => void {
    this.#checkOpen()
    const stop = this.#copy.events.on(name, listener)
    this.#stops.add(stop)
    return () => {
      this.#stops.delete(stop)
      stop()
    }
  }

  /**
   * Gives the handle back; with the last one the document is flushed and closed. A second call waits for the first.
   *
   * @throws SwarmError DISK_FAILED if changes are not on disk; the document is closed all the same
   */
  async close (): Promise<void> {
    if (this.#closing === undefined) {
      for (const stop of this.#stops) stop()
      this.#closing = this.#release()
    }
    await this.#closing
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.close()
  }

  #checkOpen (): void {
    if (this.#closing !== undefined || this.#copy.isClosed) throw new SwarmError('CLOSED', `document ${JSON.stringify(this.name)} is closed`)
  }
}
