/** A link in use: what this peer says on it and when, what it hears there, and whether either works. */
import { afterTurn, type Clock } from '../../lib/base/clock.ts'
import type { InterfaceAddress } from '#interfaces'
import type { Random } from '../../lib/base/random.ts'
import { TTL_S } from './book.ts'
import { Link } from './link.ts'
import { seal, type SwarmKey } from './seal.ts'
import { RETRY_MS, Talk, isListed } from './talk.ts'
import { writeAnswer, writeQuestion, type Known } from './wire.ts'

/** Nothing heard of what was sent that often and that long ago, not even by ourselves: it is lost. */
const UNHEARD_MAX = 3
const UNHEARD_MS = 2_000

/** What is not heard for so long is sent once more, to be sure. */
const UNHEARD_AGAIN_MS = 1_000

export interface VoiceParts {
  readonly name: string
  readonly family: 4 | 6
  readonly addresses: readonly InterfaceAddress[]
  readonly swarmKey: SwarmKey
  readonly peerId: string
  readonly clock: Clock
  readonly random: Random
  readonly onPacket: (voice: Voice, bytes: Uint8Array, source: string) => void
  /** What is known of peers on this link. */
  readonly known: (link: string) => Known[]
  /** It stopped working, or works again. */
  readonly onChange: () => void
}

export class Voice {
  readonly #parts: VoiceParts
  readonly #talk: Talk
  #link: Link
  #addresses: readonly string[] = []
  /** What is announced: its label, and the packet. */
  #said: { readonly label: string, readonly addresses: string, readonly packet: Uint8Array } | undefined
  #sendCode: string | undefined
  #unheard = { count: 0, sinceMs: 0 }
  #isDeaf = false
  #failingSinceMs: number | undefined
  #cancelRetry = (): void => {}
  #cancelDoubt: (() => void) | undefined
  #isClosed = false

  constructor (parts: VoiceParts) {
    const { clock, random } = parts
    this.#parts = parts
    this.#talk = new Talk({ clock, random, ask: () => { this.ask() }, announce: () => { this.#announce() } })
    this.#link = this.#open()
  }

  get id (): string {
    return this.#link.id
  }

  get name (): string {
    return this.#parts.name
  }

  /** What stands in the way, by the system's code, or SILENT where nothing sent is ever heard; with since when. */
  get failing (): { readonly code: string, readonly sinceMs: number } | undefined {
    const code = this.#sendCode ?? (this.#isDeaf ? 'SILENT' : undefined)
    return code === undefined || this.#failingSinceMs === undefined ? undefined : { code, sinceMs: this.#failingSinceMs }
  }

  isNear (address: string): boolean {
    return this.#link.isNear(address)
  }

  /** Begins anew: asks, and announces under a new label, so that those who know us look again too. */
  begin (): void {
    this.#relabel()
    this.#talk.begin()
  }

  /** Asks for those who are not known. */
  ask (): void {
    const own = this.#said === undefined ? [] : [{ label: this.#said.label, ttlS: TTL_S }]
    void this.#send(writeQuestion(this.#parts.swarmKey.tag, [...own, ...this.#parts.known(this.id)]))
  }

  /** Announces these from now on, as far as they are this interface's own. */
  announce (addresses: readonly string[]): void {
    this.#addresses = addresses.filter(address => {
      const ip = ipOf(address)
      return ip !== undefined && this.#link.isOwn(ip)
    })
    if (this.#addresses.join() === (this.#said?.addresses ?? '')) return
    if (this.#addresses.length === 0) void this.#leave()
    this.#relabel()
    if (this.#said !== undefined) this.#talk.announce()
  }

  /** Another peer asks. @param knowsAll whether we know all of these */
  asked (known: readonly Known[], knowsAll: (labels: readonly Known[]) => boolean): void {
    const label = this.#said?.label
    this.#talk.asked({ isKnown: isListed(known, label, TTL_S), asksForUs: knowsAll(known.filter(each => each.label !== label)) })
  }

  /** Stops; a peer that leaves the swarm, not only the interface, says so. */
  async close ({ leaves }: { readonly leaves: boolean }): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#talk.stop()
    this.#cancelRetry()
    this.#cancelDoubt?.()
    if (leaves) await this.#leave()
    await this.#link.close()
  }

  #open (): Link {
    const { name, family, addresses, onPacket } = this.#parts
    return new Link({
      name, family, addresses,
      onPacket: (bytes, source) => {
        this.#heard()
        onPacket(this, bytes, source)
      },
      onFailing: code => { this.#sent(code) }
    })
  }

  #relabel (): void {
    const { swarmKey, peerId, random } = this.#parts
    if (this.#addresses.length === 0) {
      this.#said = undefined
      return
    }
    const label = Buffer.from(random.bytes(8)).toString('hex')
    const sealed = seal(swarmKey, label, { peerId, addresses: this.#addresses }, random)
    this.#said = { label, addresses: this.#addresses.join(), packet: writeAnswer(swarmKey.tag, label, TTL_S, sealed) }
  }

  #announce (): void {
    if (this.#said !== undefined) void this.#send(this.#said.packet)
  }

  async #leave (): Promise<void> {
    if (this.#said === undefined) return
    const { swarmKey, peerId, random } = this.#parts
    const { label } = this.#said
    this.#said = undefined
    await this.#send(writeAnswer(swarmKey.tag, label, 0, seal(swarmKey, label, { peerId, addresses: [] }, random)))
  }

  async #send (bytes: Uint8Array): Promise<void> {
    const nowMs = this.#parts.clock.nowMs()
    const { count, sinceMs } = this.#unheard
    if (count >= UNHEARD_MAX && nowMs - sinceMs >= UNHEARD_MS) this.#isDeaf = true
    // Counted before it is sent: we may hear it before we are told that it was.
    this.#unheard = { count: count + 1, sinceMs: count === 0 ? nowMs : sinceMs }
    this.#doubt()
    await this.#link.send(bytes)
  }

  /** @param code why not, if it was not */
  #sent (code: string | undefined): void {
    this.#sendCode = code
    if (code !== undefined) this.#unheard.count = 0
    this.#judge()
  }

  #doubt (): void {
    if (this.#isDeaf || this.#isClosed) return
    // What has already arrived is read first: timers run before sockets.
    this.#cancelDoubt ??= this.#parts.clock.after(UNHEARD_AGAIN_MS, () => { afterTurn(() => { this.#doubted() }) })
  }

  #doubted (): void {
    this.#cancelDoubt = undefined
    if (this.#unheard.count > 0 && !this.#isClosed) this.ask()
  }

  #heard (): void {
    this.#unheard.count = 0
    this.#cancelDoubt?.()
    this.#cancelDoubt = undefined
    if (!this.#isDeaf) return
    this.#isDeaf = false
    this.#judge()
  }

  #judge (): void {
    if (this.#isClosed) return
    const wasFailing = this.#failingSinceMs !== undefined
    const isFailing = this.#sendCode !== undefined || this.#isDeaf
    if (isFailing === wasFailing) return
    this.#failingSinceMs = isFailing ? this.#parts.clock.nowMs() : undefined
    this.#cancelRetry()
    if (isFailing) this.#retryLater()
    else this.begin() // what was said meanwhile was lost
    this.#parts.onChange()
  }

  #retryLater (): void {
    this.#cancelRetry = this.#parts.clock.after(RETRY_MS, () => {
      this.#retryLater()
      void this.#retry()
    })
  }

  /** The socket anew: it may not have been bound, or have lost the network that it was on. */
  async #retry (): Promise<void> {
    const old = this.#link
    this.#link = this.#open()
    await old.close()
    if (!this.#isClosed) this.ask()
  }
}

/**
 * The IP address with which a multiaddr begins. Undefined where it begins otherwise, where another peer stands between, and for
 * IPv6 addresses that mean nothing without an interface.
 */
export function ipOf (address: string): string | undefined {
  return /^\/ip[46]\/(?!fe[89ab])([^/]+)\/(?!.*\/p2p-circuit)/i.exec(address)?.[1]
}
