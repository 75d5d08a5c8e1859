/**
 * What others have this peer hold for them: who provides which key. It stands where kad-dht expects its datastore, takes provider
 * records and nothing else, and bounds them: by provider, by key, and in all. The oldest gives way, to newer ones of its like first.
 */
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { ROUTING_KEYS_MAX, ROUTING_RECORD_MS } from '../../lib/base/network.ts'

/** Providers held for one key: one more takes the place of the one that was heard of least recently. */
export const PROVIDERS_PER_KEY_MAX = 64

/** Records held in all. */
export const RECORDS_MAX = 16_384

/** In front of what kad-dht stores, by kind. */
const PREFIX = '/dht/provider/'

/** As kad-dht names what it stores. */
interface Key { toString (): string }

interface Record { readonly key: Key, readonly name: string, readonly value: Uint8Array, readonly untilMs: number }

export class ProviderStore {
  readonly #own: string
  readonly #clock: Clock
  /** By key and provider, the longest unheard of first. */
  readonly #keys = new Map<string, Map<string, Record>>()
  /** How many keys each provider has here. */
  readonly #counts = new Map<string, number>()
  /** Every record but our own, by its name: the longest unheard of first. */
  readonly #all = new Map<string, readonly [content: string, provider: string]>()

  /** @param own this peer's id: what it provides itself is bounded where it is provided */
  constructor (own: string, clock: Clock) {
    this.#own = own
    this.#clock = clock
  }

  get size (): number {
    return this.#all.size
  }

  /** @throws SwarmError OVERLOADED if the provider has ROUTING_KEYS_MAX others here; INVALID_OPTION for what is no provider record */
  async put (key: Key, value: Uint8Array): Promise<Key> {
    const name = key.toString()
    const [content, provider] = partsOf(name)
    if (provider === undefined || content === undefined) throw new SwarmError('INVALID_OPTION', `store ${name}: provider records alone are held here`)
    const isNew = this.#keys.get(content)?.has(provider) !== true
    if (isNew && provider !== this.#own && (this.#counts.get(provider) ?? 0) >= ROUTING_KEYS_MAX) {
      throw new SwarmError('OVERLOADED', `peer ${provider} provides more than ${ROUTING_KEYS_MAX} keys`)
    }
    this.#forget(content, provider)
    const providers = this.#keys.get(content) ?? new Map<string, Record>()
    this.#keys.set(content, providers.set(provider, { key, name, value, untilMs: this.#clock.nowMs() + ROUTING_RECORD_MS }))
    this.#counts.set(provider, (this.#counts.get(provider) ?? 0) + 1)
    if (provider !== this.#own) this.#all.set(name, [content, provider])
    this.#fit(content, providers)
    return key
  }

  /** Always absent: kad-dht gets only values by their key, and none are held here. */
  async get (key: Key): Promise<Uint8Array> {
    throw Object.assign(new Error(`no value at ${key.toString()}`), { name: 'NotFoundError' })
  }

  async has (key: Key): Promise<boolean> {
    const [content = '', provider = ''] = partsOf(key.toString())
    return this.#keys.get(content)?.has(provider) ?? false
  }

  async delete (key: Key): Promise<void> {
    const [content = '', provider = ''] = partsOf(key.toString())
    this.#forget(content, provider)
  }

  /** Those who provide one key. @param query.prefix the key's name */
  async * query ({ prefix = '' }: { prefix?: string }): AsyncGenerator<{ key: Key, value: Uint8Array }> {
    const [content = ''] = partsOf(prefix)
    const nowMs = this.#clock.nowMs()
    for (const [provider, { key, value, untilMs }] of [...this.#keys.get(content) ?? []].reverse()) {
      if (provider !== this.#own && untilMs <= nowMs) this.#forget(content, provider)
      else yield { key, value }
    }
  }

  #fit (content: string, providers: Map<string, Record>): void {
    if (providers.size > PROVIDERS_PER_KEY_MAX) {
      for (const provider of providers.keys()) {
        if (provider === this.#own) continue
        this.#forget(content, provider)
        break
      }
    }
    for (const [oldContent, provider] of this.#all.values()) {
      if (this.#all.size <= RECORDS_MAX) return
      this.#forget(oldContent, provider)
    }
  }

  #forget (content: string, provider: string): void {
    const providers = this.#keys.get(content)
    const record = providers?.get(provider)
    if (providers === undefined || record === undefined) return
    providers.delete(provider)
    if (providers.size === 0) this.#keys.delete(content)
    this.#all.delete(record.name)
    const left = (this.#counts.get(provider) ?? 1) - 1
    if (left === 0) this.#counts.delete(provider)
    else this.#counts.set(provider, left)
  }
}

function partsOf (name: string): string[] {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length).split('/').filter(part => part !== '') : []
}
