/** A peer's documents, loaded and opened when one is first asked for: most peers have none, and Yjs is not theirs to load. */
import type { Documents, DocumentsOptions } from '../documents/documents.ts'
import type { DocumentEntry } from '../documents/status.ts'
import { SwarmError } from '../base/error.ts'
import type { Witness } from '../base/witness.ts'

export interface LateDocumentsOptions extends Omit<DocumentsOptions, 'witness' | 'durability'> {
  /** Undefined: what the platform can promise. */
  readonly durability: DocumentsOptions['durability'] | undefined
  /** The folder of the storage; undefined for memory. */
  readonly folder: string | undefined
}

export class LateDocuments {
  readonly #options: LateDocumentsOptions
  #opening: Promise<Documents> | undefined
  #witness: Witness | undefined
  #opened: Documents | undefined
  #isClosed = false

  constructor (options: LateDocumentsOptions) {
    this.#options = options
  }

  /** Undefined until one was asked for. */
  get opened (): Documents | undefined {
    return this.#opened
  }

  /** The gossip topics of those that are open, as 8 hexadecimal digits; undefined for none. */
  get topics (): string | undefined {
    const topics = this.#opened?.topics ?? 0
    return topics === 0 ? undefined : topics.toString(16).padStart(8, '0')
  }

  /** @throws SwarmError VERSION_UNSUPPORTED, FOLDER_UNUSABLE, CLOSED */
  async open (): Promise<Documents> {
    if (this.#isClosed) throw new SwarmError('CLOSED', 'the swarm is closed')
    this.#opening ??= this.#open()
    try {
      return await this.#opening
    } catch (error) {
      this.#opening = undefined // the folder may be usable the next time
      throw error
    }
  }

  /** As `Documents.list`; loads nothing where none is open. */
  async list (): Promise<DocumentEntry[]> {
    if (this.#opened !== undefined || this.#isClosed) return await (await this.open()).list()
    const { listDocuments } = await import('../../crdt/place.ts')
    const found = await listDocuments(this.#options.storage)
    return found.map(entry => ({ ...entry, status: undefined })).sort((left, right) => (left.name ?? '') < (right.name ?? '') ? -1 : 1)
  }

  /** Flushes and closes all documents. @throws SwarmError DISK_FAILED if something is not on disk */
  async close (): Promise<void> {
    this.#isClosed = true
    const documents = await this.#opening?.catch(() => undefined) // told to whoever opened
    try {
      await documents?.close()
    } finally {
      await this.#witness?.close()
    }
  }

  async #open (): Promise<Documents> {
    const { folder, durability, ...options } = this.#options
    const { Documents } = await import('../documents/documents.ts')
    this.#witness ??= folder === undefined ? undefined : await (await import('#witness')).openWitness(folder)
    // Without a witness nobody would notice a log that lost its end: a page cannot promise what a flushed disk does.
    const promised = folder === undefined ? 'memory' : this.#witness === undefined ? 'interval' : 'strict'
    this.#opened = new Documents({ ...options, witness: this.#witness, durability: durability ?? promised })
    return this.#opened
  }
}
