/** The end of a log: what is appended to it, in runs, and how much of that is durable. */
import type { Committer } from './committer.ts'
import { Gathering, RUN_BYTES, type Mark } from './gathering.ts'
import { nameChange, type Place } from './place.ts'
import { checkUpdate, recordBytes } from './run.ts'

export interface TailOptions {
  readonly committer: Committer
  readonly place: Place
  /** Where the log ends that is on disk. */
  readonly mark: Mark
  /** The document's name, where that is still to be written. */
  readonly name: string | undefined
}

export class Tail {
  readonly #committer: Committer
  readonly #place: Place
  #name: string | undefined
  /** Of the last append, sealed or not. */
  #sequence: number
  /** Of all that was ever appended, and that the log held when it was opened. */
  #total: Pick<Mark, 'bytes' | 'records'>
  /** Of the last run that is sealed, and of the last one acknowledged. */
  #sealed: Mark
  #durable: Mark
  /** The run that is not sealed yet, and the last one, while anything of it is not acknowledged. */
  #open: Gathering | undefined
  #last: Gathering | undefined
  #listeners = new Set<(sequence: number) => void>()
  /** Runs acknowledged in this turn, of which nobody was told yet. */
  #reached: Gathering[] = []

  constructor ({ committer, place, mark, name }: TailOptions) {
    this.#committer = committer
    this.#place = place
    this.#name = name
    this.#sequence = mark.sequence
    this.#total = this.#sealed = this.#durable = mark
  }

  get sequence (): number {
    return this.#sequence
  }

  get total (): Pick<Mark, 'bytes' | 'records'> {
    return this.#total
  }

  /** Up to where all is acknowledged: the end of a run. */
  get durable (): Mark {
    return this.#durable
  }

  /** @throws SwarmError TOO_LARGE, OVERLOADED, CLOSED: then nothing was taken */
  append (update: Uint8Array, origin: string): number {
    checkUpdate(update)
    this.#committer.hurry() // may seal the open run: so first
    const bytes = recordBytes(update, origin)
    const open = this.#open?.hasRoom(bytes) === true ? this.#open : undefined
    const gathering = open ?? this.#gathering()
    if (open === undefined) this.#committer.begin(gathering, bytes)
    else this.#committer.grow(open, bytes)
    gathering.push(update, origin)
    this.#open = this.#last = gathering
    this.#total = { bytes: this.#total.bytes + bytes + (open === undefined ? RUN_BYTES : 0), records: this.#total.records + 1 }
    return ++this.#sequence
  }

  /** Tells of the durable sequence when it has grown, once for many records; the returned function stops that. */
  onDurable (listener: (sequence: number) => void): () => void {
    const own = (sequence: number): void => { listener(sequence) }
    this.#listeners.add(own)
    return () => { this.#listeners.delete(own) }
  }

  /** Resolves when all that is appended so far is acknowledged. @throws SwarmError DISK_FAILED */
  async flushed (): Promise<void> {
    const { failure } = this.#committer
    if (failure !== undefined && (this.#last !== undefined || this.#committer.durability !== 'strict')) throw failure
    await this.#last?.flushed
  }

  /** The next run, which goes out as soon as the disk is ready for it; with the first one goes the name. */
  #gathering (): Gathering {
    const gathering = new Gathering({
      place: this.#place,
      first: this.#sequence + 1,
      follows: () => ({ mark: this.#sealed, changes: this.#name === undefined ? [] : [nameChange(this.#place, this.#name)] }),
      sealed: mark => {
        this.#sealed = mark
        this.#name = undefined
        if (this.#open === gathering) this.#open = undefined
      },
      settled: (settled, failure) => { if (failure === undefined) this.#reach(settled); else settled.reject(failure) }
    })
    return gathering
  }

  /** Tells whoever wants to know, once for all runs of a turn. */
  #reach (gathering: Gathering): void {
    this.#durable = gathering.mark
    if (this.#last === gathering) this.#last = undefined
    if (this.#reached.push(gathering) > 1) return
    queueMicrotask(() => {
      const { sequence } = this.#durable
      for (const listener of [...this.#listeners]) listener(sequence)
      for (const reached of this.#reached.splice(0)) reached.resolve()
    })
  }
}
