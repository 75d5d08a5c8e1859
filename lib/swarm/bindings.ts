/**
 * Which provider each gateway name belongs to, remembered on disk: a client that has learned a name must never reach another
 * provider by it, also after a restart, or when the first has gone.
 *
 * A name is bound when it is first shown. Names of different spaces are strangers: those of tools and of prompts, by each
 * prefix mode, those of resources and of templates. On disk a binding is an entry of its own: its key ends in the hash of
 * space, name and provider; its value is the wall clock of its last use, in milliseconds, a checksum of the rest of the entry (CRC-32C
 * of key and pair), by which what is damaged is seen, dropped and counted, and [name, provider] as JSON. A failing disk costs the memory of names and nothing else.
 *
 * Invariants: a name bound is bound to one provider until it is dropped; dropped are only names whose provider shows nothing
 * by that name now, the longest unused first, and only for others that need the room.
 */
import { textOf, toBase64Url, utf8 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { assert } from '../base/error.ts'
import { sha256 } from '#hash'
import type { Change, Storage } from '../base/storage.ts'
import { crc32c } from '../storage/crc32c.ts'

/** Names remembered at once: bounds the work at start, and with resources of 2,048 characters the memory. */
export const BINDINGS_MAX = 20_000

/** How long names are gathered before they are written together, in milliseconds. */
export const BINDINGS_MS = 50

/** A use is written down if the last one that was is so much older, in milliseconds: one day. */
export const USED_MS_STEP = 86_400_000

export const BINDINGS_PREFIX = 'gateway/name/'

/** What names are unique within: `tool/auto`, `resource` and the like; of letters and slashes. */
export type Space = `${'tool' | 'prompt'}/${'auto' | 'always' | 'never'}` | 'resource' | 'template'

export interface BindingsOptions {
  readonly storage: Storage
  readonly clock: Clock
  /** Told of a read or a write that failed. */
  readonly onFailure: (error: unknown) => void
  /** Told when a name cannot be remembered, since BINDINGS_MAX others are in use. */
  readonly onFull: () => void
  /** Default BINDINGS_MAX. */
  readonly max?: number
}

/** A name, and whose it is. */
export interface Named {
  readonly name: string
  readonly provider: string
}

/** What was found on disk. */
export interface Found {
  readonly bindings: number
  /** Entries that could not be read, now deleted. */
  readonly damaged: number
  /** Entries over the limit, now deleted. */
  readonly pruned: number
}

interface Binding extends Named {
  readonly space: Space
  /** On disk. */
  readonly key: string
  usedMs: number
}

export class Bindings {
  readonly #options: BindingsOptions
  readonly #max: number
  readonly #spaces = new Map<Space, Map<string, Binding>>()
  /** What `bound` gives. */
  readonly #providers = new Map<Space, Map<string, string>>()
  /** The providers on show, last seen of each space. */
  readonly #shown = new Map<Space, ReadonlySet<string>>()
  #size = 0
  #pending = new Map<string, Uint8Array | undefined>()
  #cancelTimer: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()
  #isClosed = false

  constructor (options: BindingsOptions) {
    this.#options = options
    this.#max = options.max ?? BINDINGS_MAX
  }

  /** Remembers what is on disk. Once, before anything is bound. */
  async load (): Promise<Found> {
    const counts = { bindings: 0, damaged: 0, pruned: 0 }
    const all: Binding[] = []
    try {
      for await (const [key, bytes] of this.#options.storage.entries(BINDINGS_PREFIX)) {
        const binding = read(key, bytes)
        if (binding !== undefined) all.push(binding)
        else {
          counts.damaged++
          this.#put(key, undefined)
        }
      }
    } catch (error) {
      this.#options.onFailure(error)
    }
    all.sort((left, right) => right.usedMs - left.usedMs)
    for (const binding of all) {
      if (this.#size < this.#max && this.#get(binding.space, binding.name) === undefined) {
        this.#add(binding)
        counts.bindings++
      } else {
        counts.pruned++
        this.#put(binding.key, undefined)
      }
    }
    return counts
  }

  /** The names of a space, each with its provider. It changes with the next `bind`. */
  bound (space: Space): ReadonlyMap<string, string> {
    return this.#providers.get(space) ?? new Map()
  }

  /**
   * Binds every name that is on show, and notes that it is in use. Names that were bound keep their providers.
   *
   * @param shown all that these spaces show now, each name with its provider
   */
  bind (shown: ReadonlyMap<Space, readonly Named[]>): void {
    for (const [space, names] of shown) this.#shown.set(space, new Set(names.map(({ provider }) => provider)))
    for (const [space, names] of shown) this.#bind(space, names)
  }

  /** Writes what is waiting; resolves when the storage has it, or has failed. */
  async flush (): Promise<void> {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const changes: Change[] = [...this.#pending].map(([key, value]) => ({ key, value }))
    this.#pending = new Map()
    if (changes.length > 0) this.#writing = this.#write(this.#writing, changes)
    await this.#writing
  }

  /** Writes what is waiting, and takes no more. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.flush()
  }

  #bind (space: Space, shown: readonly Named[]): void {
    const nowMs = Math.floor(this.#options.clock.wallMs())
    const fresh: Binding[] = []
    for (const { name, provider } of shown) {
      const held = this.#get(space, name)
      assert(held === undefined || held.provider === provider, 'a name is shown for another than it is bound to')
      if (held === undefined) fresh.push({ space, name, provider, key: keyOf(space, name, provider), usedMs: nowMs })
      else if (nowMs - held.usedMs >= USED_MS_STEP) {
        held.usedMs = nowMs
        this.#save(held)
      }
    }
    this.#makeRoom(fresh.length)
    const room = this.#max - this.#size
    for (const binding of fresh.slice(0, room)) {
      this.#add(binding)
      this.#save(binding)
    }
    if (fresh.length > room) this.#options.onFull()
  }

  #get (space: Space, name: string): Binding | undefined {
    return this.#spaces.get(space)?.get(name)
  }

  #add (binding: Binding): void {
    const { space, name, provider } = binding
    if (!this.#spaces.has(space)) {
      this.#spaces.set(space, new Map())
      this.#providers.set(space, new Map())
    }
    this.#spaces.get(space)?.set(name, binding)
    this.#providers.get(space)?.set(name, provider)
    this.#size++
  }

  /** Drops names that nobody shows, of this space or another. */
  #makeRoom (wanted: number): void {
    let over = this.#size + wanted - this.#max
    if (over <= 0) return
    const unused = [...this.#spaces.values()].flatMap(names => [...names.values()])
      .filter(({ provider }) => ![...this.#shown.values()].some(providers => providers.has(provider)))
      .sort((left, right) => left.usedMs - right.usedMs)
    for (const { space, name, key } of unused) {
      if (over-- <= 0) break
      this.#spaces.get(space)?.delete(name)
      this.#providers.get(space)?.delete(name)
      this.#size--
      this.#put(key, undefined)
    }
  }

  #save ({ key, name, provider, usedMs }: Binding): void {
    const pair = JSON.stringify([name, provider])
    this.#put(key, `${usedMs} ${checksum(key, pair)} ${pair}`)
  }

  #put (key: string, text: string | undefined): void {
    if (this.#isClosed) return
    this.#pending.set(key, text === undefined ? undefined : utf8(text))
    this.#cancelTimer ??= this.#options.clock.after(BINDINGS_MS, () => { void this.flush() })
  }

  async #write (earlier: Promise<void>, changes: readonly Change[]): Promise<void> {
    await earlier
    try {
      await this.#options.storage.write(changes)
    } catch (error) {
      this.#options.onFailure(error)
    }
  }
}

function keyOf (space: Space, name: string, provider: string): string {
  return `${BINDINGS_PREFIX}${space}/${toBase64Url(sha256(utf8(JSON.stringify([space, name, provider]))))}`
}

/** A hash of each of a thousand entries would take a tenth of a gateway's start. */
function checksum (key: string, pair: string): number {
  return crc32c(utf8(`${key} ${pair}`))
}

function read (key: string, bytes: Uint8Array): Binding | undefined {
  const space = key.slice(BINDINGS_PREFIX.length, key.lastIndexOf('/')) as Space
  let usedMs: string
  let name: unknown
  let provider: unknown
  try {
    const [, used = '', sum, pair = ''] = /^(\d{1,16}) (\d+) (.*)$/s.exec(textOf(bytes)) ?? []
    if (sum !== String(checksum(key, pair))) return undefined
    usedMs = used;
    [name, provider] = JSON.parse(pair) as unknown[]
  } catch {
    return undefined // damaged, in one of many ways
  }
  if (typeof name !== 'string' || typeof provider !== 'string') return undefined
  return { space, name, provider, key, usedMs: Number(usedMs) }
}
