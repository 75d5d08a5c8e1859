/**
 * When this peer lends others an address, and when it has itself lent one.
 *
 * auto: where others see it come from a public address, it asks them to dial it back, and is reachable once one of them can. Else
 * RELAYS of them lend it addresses, so that it can be dialled through them. always: the same without asking.
 */
import type { Clock } from '../../lib/base/clock.ts'
import type { HandleOptions, RelayOptions, StreamHandler } from '../../lib/base/network.ts'
import type { Libp2pConnection } from './connection.ts'
import { Dialback, askBack, hostOf } from './dialback.ts'
import type { Components } from './guard.ts'
import type { Relay } from './relay.ts'

/** Peers that lend us addresses at once: when one goes, we can still be dialled. */
export const RELAYS = 2

/** Before one that has refused is asked again, in milliseconds: doubled each time. */
const RETRY_MS = 250
const RETRY_MS_MAX = 300_000

/** How long after a connection an address is borrowed, in milliseconds: a start has more urgent things to tell. */
const SETTLE_MS = 1_500

/** Starts of multiaddrs: this machine, and addresses that mean something on one network alone. Source: RFC 6890. */
const LOOPBACK = /^\/(ip4\/127\.|ip6\/::1$)/
const PRIVATE = /^\/(ip4\/(10\.|172\.(1[6-9]|2\d|3[01])\.|192\.168\.|169\.254\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)|ip6\/f([cd]|e[89ab]))/i

/** How long what was found of being reachable holds, in milliseconds. */
const VERDICT_MS = 600_000

export interface RelayingParts {
  readonly components: Components
  readonly clock: Clock
  readonly protocol: string
  readonly options: RelayOptions
  readonly relay: () => Promise<Relay>
  readonly handle: (protocol: string, handler: StreamHandler, options?: HandleOptions) => void
  /** Ports that this peer listens on, by TCP. */
  readonly ports: () => readonly number[]
}

export class Relaying {
  readonly #parts: RelayingParts
  /** Admitted connections that this peer has dialled directly, in the order they came. */
  readonly #dialled = new Set<Libp2pConnection>()
  /** Those that lend us an address. */
  readonly #lenders = new Set<Libp2pConnection>()
  /** Those that are not asked for now, and how often they have refused. */
  readonly #refused = new Set<Libp2pConnection>()
  readonly #refusals = new WeakMap<Libp2pConnection, number>()
  #reachableUntilMs = -Infinity
  #isBusy = false
  #isOpen = true

  constructor (parts: RelayingParts) {
    this.#parts = parts
    const dialback = new Dialback(parts.components.transportManager, parts.clock)
    parts.handle(parts.protocol, async (stream, connection) => { await dialback.answer(stream, connection as Libp2pConnection) }, { streamsMax: 1 })
  }

  /** An admitted connection. */
  meet (connection: Libp2pConnection): void {
    if ((this.#parts.options.use ?? 'never') === 'never' || connection.direction !== 'outbound' || connection.path === 'relay') return
    if (this.#parts.options.use === 'auto' && LOOPBACK.test(hostOf(connection) ?? '')) return // who cannot be dialled either
    this.#dialled.add(connection)
    connection.onClose(() => {
      this.#dialled.delete(connection)
      this.#refused.delete(connection)
      if (this.#lenders.delete(connection)) this.#look()
    })
    if (this.#parts.options.use === 'always') this.#look()
    else this.#parts.clock.after(SETTLE_MS, () => { this.#look() })
  }

  close (): void {
    this.#isOpen = false
  }

  #look (): void {
    if (this.#isBusy || !this.#isOpen) return
    this.#isBusy = true
    // Each try settles by itself; whatever else throws is a bug, and surfaces.
    void this.#tryAll().finally(() => { this.#isBusy = false })
  }

  async #tryAll (): Promise<void> {
    for (let next = this.#next(); next !== undefined && this.#isOpen; next = this.#next()) {
      if (await this.#isReachable(next)) return
      await this.#borrow(next)
    }
  }

  /** One that may lend us an address and was not asked yet, while we need one. */
  #next (): Libp2pConnection | undefined {
    if (this.#lenders.size >= RELAYS || this.#parts.clock.nowMs() < this.#reachableUntilMs) return undefined
    return [...this.#dialled].find(connection => connection.isOpen && !this.#lenders.has(connection) && !this.#refused.has(connection))
  }

  /** Whoever is on the same private network says nothing of what others can dial. */
  async #isReachable (connection: Libp2pConnection): Promise<boolean> {
    const { clock, options, ports, protocol } = this.#parts
    if (options.use === 'always' || !isPublic(hostOf(connection))) return false
    const isReached = await askBack(connection, protocol, ports(), clock, new AbortController().signal).catch(() => false)
    if (isReached) this.#reachableUntilMs = clock.nowMs() + VERDICT_MS
    return isReached
  }

  async #borrow (connection: Libp2pConnection): Promise<void> {
    try {
      await (await this.#parts.relay()).reserve(connection.peerId)
      if (connection.isOpen) this.#lenders.add(connection)
    } catch {
      this.#refuse(connection)
    }
  }

  /** It lends none, has none left, or does not lend yet: another may, and this one later. */
  #refuse (connection: Libp2pConnection): void {
    const refusals = (this.#refusals.get(connection) ?? 0) + 1
    this.#refusals.set(connection, refusals)
    this.#refused.add(connection)
    this.#parts.clock.after(Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** refusals), () => {
      if (this.#refused.delete(connection) && connection.isOpen) this.#look()
    })
  }
}

function isPublic (host: string | undefined): boolean {
  return host !== undefined && !LOOPBACK.test(host) && !PRIVATE.test(host)
}
