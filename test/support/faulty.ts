/** A storage and a witness that do what they are told: fail, wait, count; and a disk that keeps only what was flushed. */
import { SwarmError } from '../../lib/base/error.ts'
import type { Change, Storage } from '../../lib/base/storage.ts'
import { MemoryWitness, type Head, type Standing, type Witness } from '../../lib/base/witness.ts'

export class FaultyStorage implements Storage {
  readonly values = new Map<string, Uint8Array>()
  /** What would be there after a power cut. */
  flushed = new Map<string, Uint8Array>()
  readonly writes: { readonly changes: readonly Change[], readonly sync: boolean }[] = []
  /** Whether writes fail, all or those that this says; what they hold may be there all the same. */
  fails: boolean | ((changes: readonly Change[]) => boolean) = false
  keepsFailed = false
  /** Held back until it resolves. */
  gate: Promise<void> = Promise.resolve()

  async get (key: string): Promise<Uint8Array | undefined> {
    return this.values.get(key)?.slice()
  }

  async write (changes: readonly Change[], { sync = false }: { sync?: boolean } = {}): Promise<void> {
    this.writes.push({ changes, sync })
    await this.gate
    const fails = typeof this.fails === 'function' ? this.fails(changes) : this.fails
    if (!fails || this.keepsFailed) this.#apply(changes)
    if (fails) throw new SwarmError('FOLDER_UNUSABLE', 'no space left on device')
    if (sync) this.flushed = new Map(this.values)
  }

  async * entries (prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    for (const [key, value] of [...this.values].filter(([key]) => key.startsWith(prefix)).sort(([left], [right]) => left < right ? -1 : 1)) yield [key, value.slice()]
  }

  async close (): Promise<void> {
    await this.gate
  }

  /** What is found after a power cut. */
  afterCut (): FaultyStorage {
    const copy = new FaultyStorage()
    for (const [key, value] of this.flushed) copy.values.set(key, value)
    copy.flushed = new Map(copy.values)
    return copy
  }

  #apply (changes: readonly Change[]): void {
    for (const { key, value } of changes) {
      if (value === undefined) this.values.delete(key)
      else this.values.set(key, value.slice())
    }
  }
}

export class FaultyWitness extends MemoryWitness implements Witness {
  override boot = 'first'
  /** Whether claims fail, or confirmations. */
  fails: boolean | 'confirm' = false
  isLost = false
  /** Whether claims and confirmations come to nothing: the log gets ahead of what is known here. */
  isDeaf = false
  gate: Promise<void> = Promise.resolve()
  count = 0

  override async read (key: string): Promise<Standing | 'lost' | undefined> {
    return this.isLost ? 'lost' : await super.read(key)
  }

  override async claim (heads: ReadonlyMap<string, Head>): Promise<void> {
    await this.gate
    if (this.fails === true) throw new SwarmError('FOLDER_UNUSABLE', 'input/output error')
    this.count++
    if (!this.isDeaf) await super.claim(heads)
  }

  override async confirm (): Promise<void> {
    if (this.fails === 'confirm') throw new SwarmError('FOLDER_UNUSABLE', 'input/output error')
    if (!this.isDeaf) await super.confirm()
  }
}

/** A promise and what settles it. */
export function held (): { readonly promise: Promise<void>, readonly release: () => void } {
  let release = (): void => {}
  const promise = new Promise<void>(resolve => { release = resolve })
  return { promise, release }
}
