/**
 * Who has come by which ticket, at the peers that may let others in. Each keeps its own ledger on disk, and they tell each
 * other (ledger-talk.ts): two ledgers merge by union, in any order, as often as one likes.
 *
 * Invariants: a use is on disk before `use` resolves with true; of one ticket this ledger itself never counts more peers than
 * the ticket lets in, however many ask at once; one peer counts once. Admins that are linked agree before either counts (claims.ts).
 * Those that are not each count on their own: a ticket can then let in more than it says, at most as often over as there are ledgers.
 * That is told by `onOverused` as soon as they meet.
 */
import { Emitter } from '../base/emitter.ts'
import { textOf, toBase64Url, utf8 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import { sha256 } from '#hash'
import type { Json } from '../base/json.ts'
import type { Storage } from '../base/storage.ts'
import { publicKeyOf } from '../identity/key.ts'
import type { Claim } from './claims.ts'
import type { Terms } from './ticket.ts'
import { TICKET_MS_MAX, USES_MAX } from './ticket.ts'

/** Uses kept; one more is refused. */
export const LEDGER_USES_MAX = 20_000

/** How long a use is kept after its ticket has ended, in milliseconds: somebody's clock may be behind. */
export const LEDGER_KEPT_MS = 24 * 3_600_000

const PREFIX = 'access/use/'
const TICKET = /^[\w-]{43}$/

export interface Use {
  /** Public half of the ticket's secret, base64url. */
  readonly ticket: string
  readonly peerId: string
  /** Milliseconds since 1970 UTC, by the inviter's clock. */
  readonly atMs: number
  /** The ticket's own. */
  readonly joinBeforeMs: number
  readonly uses: number
}

interface Entry {
  readonly use: Use
  /** Resolves when it is on disk. */
  readonly saved: Promise<void>
}

export class Ledger {
  readonly #storage: Storage
  readonly #clock: Clock
  readonly #onOverused: (ticket: string, peers: number, uses: number) => void
  readonly #events = new Emitter<{ added: { readonly uses: readonly Use[], readonly from: unknown } }>()
  readonly #tickets = new Map<string, Map<string, Entry>>()
  #size = 0

  constructor ({ storage, clock, onOverused }: {
    readonly storage: Storage
    readonly clock: Clock
    readonly onOverused: (ticket: string, peers: number, uses: number) => void
  }) {
    this.#storage = storage
    this.#clock = clock
    this.#onOverused = onOverused
  }

  /** Called once, first. What is not readable is passed over. @throws SwarmError FOLDER_UNUSABLE */
  async load (): Promise<void> {
    const nowMs = this.#clock.wallMs()
    const old: Use[] = []
    for await (const [key, bytes] of this.#storage.entries(PREFIX)) {
      const [ticket = '', peerId = ''] = key.slice(PREFIX.length).split('/')
      const use = readUse([ticket, peerId, ...readRest(bytes)], nowMs)
      if (use === undefined) continue
      // What could not be forgotten must not take the room of what counts: a ticket would let in more than it may.
      if (!counts(use, nowMs)) old.push(use)
      else if (this.#size < LEDGER_USES_MAX) this.#put({ use, saved: Promise.resolve() })
    }
    await this.#forget(old)
  }

  /** Uses kept. */
  get size (): number {
    return this.#size
  }

  /** Tells of uses that were not known here, with who told: undefined for our own. */
  onAdded (listener: (added: { readonly uses: readonly Use[], readonly from: unknown }) => void): () => void {
    return this.#events.on('added', listener)
  }

  /**
   * Counts a peer that comes by a ticket, unless it has been counted.
   *
   * @returns whether it may; on disk then
   * @throws SwarmError OVERLOADED over LEDGER_USES_MAX, or as the storage says: it is not counted then
   */
  async use ({ key: ticket, joinBeforeMs, uses }: Terms, peerId: string): Promise<boolean> {
    const peers = this.#tickets.get(ticket)
    const known = peers?.get(peerId)
    if (known !== undefined) {
      await known.saved
      return true
    }
    if ((peers?.size ?? 0) >= uses) return false
    if (this.#size >= LEDGER_USES_MAX) void this.#prune() // its room is there at once
    if (this.#size >= LEDGER_USES_MAX) throw new SwarmError('OVERLOADED', `the ledger holds ${this.#size} uses of tickets; that is the limit`)
    const use: Use = { ticket, peerId, atMs: Math.floor(this.#clock.wallMs()), joinBeforeMs, uses }
    const saved = this.#storage.write([change(use)], { sync: true })
    const entry = this.#put({ use, saved }) // in the same turn as the look: whoever asks meanwhile finds it taken
    try {
      await saved
    } catch (error) {
      this.#take(entry)
      throw error
    }
    this.#events.emit('added', { uses: [use], from: undefined })
    void this.#prune()
    return true
  }

  /** Takes what another ledger says. @param from who says it: not told again to that one */
  async merge (uses: readonly Use[], from: unknown): Promise<void> {
    const fresh = uses.filter(({ ticket, peerId }) => this.#tickets.get(ticket)?.has(peerId) !== true).slice(0, LEDGER_USES_MAX - this.#size)
    if (fresh.length === 0) return
    const saved = this.#storage.write(fresh.map(change), { sync: true })
    const entries = fresh.map(use => this.#put({ use, saved }))
    try {
      await saved
    } catch (error) {
      for (const entry of entries) this.#take(entry)
      throw error
    }
    this.#events.emit('added', { uses: fresh, from })
    for (const [ticket, allowed] of new Map(fresh.map(use => [use.ticket, use.uses]))) {
      const peers = this.#tickets.get(ticket)?.size ?? 0
      if (peers > allowed) this.#onOverused(ticket, peers, allowed)
    }
  }

  /** Who has come by a ticket. */
  counted (ticket: string): ReadonlySet<string> {
    return new Set(this.#tickets.get(ticket)?.keys())
  }

  /** Every use that still counts. */
  all (): Use[] {
    const nowMs = this.#clock.wallMs()
    return [...this.#tickets.values()].flatMap(peers => [...peers.values()].map(({ use }) => use)).filter(use => counts(use, nowMs))
  }

  /** Equal for equal ledgers: 43 characters. */
  digest (): string {
    return toBase64Url(sha256(utf8(this.all().map(({ ticket, peerId }) => `${ticket}/${peerId}\n`).sort().join(''))))
  }

  #put (entry: Entry): Entry {
    const { ticket, peerId } = entry.use
    const peers = this.#tickets.get(ticket) ?? new Map<string, Entry>()
    this.#tickets.set(ticket, peers)
    if (!peers.has(peerId)) this.#size++
    peers.set(peerId, entry)
    return entry
  }

  #take (entry: Entry): void {
    const { ticket, peerId } = entry.use
    const peers = this.#tickets.get(ticket)
    if (peers?.get(peerId) !== entry) return
    peers.delete(peerId)
    this.#size--
    if (peers.size === 0) this.#tickets.delete(ticket)
  }

  /** What nobody will ask for again goes. */
  async #prune (): Promise<void> {
    const nowMs = this.#clock.wallMs()
    const old = [...this.#tickets.values()].flatMap(peers => [...peers.values()]).filter(({ use }) => !counts(use, nowMs))
    for (const entry of old) this.#take(entry)
    await this.#forget(old.map(({ use }) => use))
  }

  /** A disk that fails keeps them: they take room there, nowhere else, and the next start tries again. */
  async #forget (old: readonly Use[]): Promise<void> {
    if (old.length === 0) return
    try {
      await this.#storage.write(old.map(use => ({ key: keyOf(use), value: undefined })))
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
    }
  }
}

/** A use as it is written; `undefined` for what is none. @param nowMs bounds how long it is kept */
export function readUse (value: unknown, nowMs: number): Use | undefined {
  if (!Array.isArray(value) || value.length !== 5) return undefined
  const [ticket, peerId, atMs, joinBeforeMs, uses] = value as unknown[]
  if (typeof ticket !== 'string' || !TICKET.test(ticket) || typeof peerId !== 'string' || !isPeerId(peerId)) return undefined
  if (!isWhole(atMs) || !isWhole(joinBeforeMs) || joinBeforeMs > nowMs + 2 * TICKET_MS_MAX || !isWhole(uses) || uses < 1 || uses > USES_MAX) return undefined
  return { ticket, peerId, atMs, joinBeforeMs, uses }
}

/** A claim as it is written; `undefined` for what is none. */
export function readClaim (value: unknown): Claim | undefined {
  const [ticket, peerId, uses] = Array.isArray(value) ? value as unknown[] : []
  if (typeof ticket !== 'string' || !TICKET.test(ticket) || typeof peerId !== 'string' || !isPeerId(peerId)) return undefined
  return isWhole(uses) && uses >= 1 && uses <= USES_MAX ? { ticket, peerId, uses } : undefined
}

export function writeUse ({ ticket, peerId, atMs, joinBeforeMs, uses }: Use): Json {
  return [ticket, peerId, atMs, joinBeforeMs, uses]
}

function readRest (bytes: Uint8Array): unknown[] {
  try {
    const rest: unknown = JSON.parse(textOf(bytes))
    return Array.isArray(rest) ? rest : []
  } catch {
    return [] // damaged: read as no use
  }
}

function change (use: Use): { key: string, value: Uint8Array } {
  return { key: keyOf(use), value: utf8(JSON.stringify([use.atMs, use.joinBeforeMs, use.uses])) }
}

function keyOf ({ ticket, peerId }: Use): string {
  return `${PREFIX}${ticket}/${peerId}`
}

function counts ({ joinBeforeMs }: Use, nowMs: number): boolean {
  return nowMs < joinBeforeMs + LEDGER_KEPT_MS
}

function isPeerId (text: string): boolean {
  try {
    publicKeyOf(text)
    return true
  } catch {
    return false
  }
}

function isWhole (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
