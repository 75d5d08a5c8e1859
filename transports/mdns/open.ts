/**
 * Finds the peers of a swarm on the LANs that this machine is on, by multicast DNS; what goes over the wire is in wire.ts, and
 * what outsiders cannot read of it in seal.ts. Every interface with multicast is used, also one that comes later.
 *
 * What is heard is a hint by somebody who once knew the swarm's id: bounded in what is read, remembered and told; and only
 * addresses on the very network that it came from are told, so that nobody makes us dial further off.
 */
import { listInterfaces, watchInterfaces, type InterfaceAddress } from '#interfaces'
import type { Discovery, DiscoveryOptions } from '../../lib/base/discovery.ts'
import { Allowances } from './allowance.ts'
import { Book } from './book.ts'
import { blockedError } from './blocked.ts'
import { idOf } from './link.ts'
import { open, swarmKeyOf, type SwarmKey } from './seal.ts'
import { Voice, ipOf } from './voice.ts'
import { readMessage } from './wire.ts'

/** Interfaces used at once, counted by family; a machine full of containers has many. */
export const LINKS_MAX = 32

/** Packets with the swarm's tag that are read: of one source, of all, and those of each source that the others cannot use up. */
const READS = { each: { burst: 200, perS: 50 }, kept: { burst: 20, perS: 2 }, all: { burst: 1_000, perS: 500 } }

/** What fails for a shorter time is not told: an interface that goes is noticed only a moment later. */
const TROUBLE_AFTER_MS = 1_500

/** After a flood has ended for so long, whoever is not known is asked for again: its words may have been lost in it. */
const FLOOD_OVER_MS = 5_000

/** Between two times that everything is asked for anew. */
const REFRESH_MS_MIN = 1_000

export type OpenMdns = (options: DiscoveryOptions) => Promise<Discovery>

/** Resolves at once: that nothing can be heard or sent is told to `onTrouble`, and is not the end. */
export const openMdns: OpenMdns | undefined = async options => new Mdns(options)

class Mdns implements Discovery {
  readonly #options: DiscoveryOptions
  readonly #swarmKey: SwarmKey
  readonly #book: Book
  readonly #reads: Allowances
  readonly #stopWatching: () => void
  /** By the interface and family, with what they were made from. */
  #voices = new Map<string, { readonly key: string, readonly voice: Voice }>()
  #addresses: readonly string[] = []
  #interfacesSinceMs: number
  #trouble = ''
  #cancelReview = (): void => {}
  #cancelTelling = (): void => {}
  #cancelFlood: (() => void) | undefined
  #floodMs = 0
  #refreshedMs = -Infinity
  #closed: Promise<void> | undefined

  constructor (options: DiscoveryOptions) {
    const { clock, swarmId } = options
    this.#options = options
    this.#swarmKey = swarmKeyOf(swarmId)
    this.#book = new Book(clock.nowMs())
    this.#reads = new Allowances(READS, clock.nowMs())
    this.#interfacesSinceMs = clock.nowMs()
    this.#stopWatching = watchInterfaces(clock, now => { this.#useInterfaces(now) })
    this.#useInterfaces(listInterfaces())
  }

  announce (addresses: readonly string[]): void {
    this.#addresses = [...addresses]
    for (const { voice } of this.#voices.values()) voice.announce(addresses)
  }

  refresh (): void {
    const nowMs = this.#options.clock.nowMs()
    if (this.#closed !== undefined || nowMs - this.#refreshedMs < REFRESH_MS_MIN) return
    this.#refreshedMs = nowMs
    this.#useInterfaces(listInterfaces())
    this.#book.expire(nowMs)
    this.#book.ask()
    for (const { voice } of this.#voices.values()) voice.begin()
  }

  async close (): Promise<void> {
    this.#closed ??= (async () => {
      this.#stopWatching()
      this.#cancelReview()
      this.#cancelFlood?.()
      this.#cancelTelling()
      await Promise.all([...this.#voices.values()].map(async ({ voice }) => { await voice.close({ leaves: true }) }))
    })()
    await this.#closed
  }

  #useInterfaces (now: readonly InterfaceAddress[]): void {
    const wanted = linksOf(now)
    for (const [id, { key, voice }] of this.#voices) {
      if (wanted.get(id)?.key === key) continue
      this.#voices.delete(id)
      void voice.close({ leaves: false })
    }
    const { clock, random, peerId } = this.#options
    for (const [id, { key, name, family, addresses }] of wanted) {
      if (this.#voices.has(id)) continue
      const voice = new Voice({
        name, family, addresses, clock, random, peerId,
        swarmKey: this.#swarmKey,
        onPacket: (on, bytes, source) => { this.#read(on, bytes, source) },
        known: link => this.#book.known(link, clock.nowMs()),
        onChange: () => { this.#review() }
      })
      this.#voices.set(id, { key, voice })
      this.#book.ask(id)
      voice.announce(this.#addresses)
      voice.begin()
    }
    this.#interfacesSinceMs = clock.nowMs()
    this.#review()
  }

  #read (voice: Voice, bytes: Uint8Array, source: string): void {
    if (this.#closed !== undefined) return
    const message = readMessage(bytes, this.#swarmKey.tag)
    if (message === undefined) return
    const nowMs = this.#options.clock.nowMs()
    if (!this.#reads.take(source, nowMs)) {
      this.#flooded()
      return
    }
    if (message.kind === 'question') voice.asked(message.known, labels => this.#book.knowsAll(labels, voice.id, nowMs))
    else for (const { label, ttlS, sealed } of message.answers) this.#hear(voice, { label, ttlS, sealed, source }, nowMs)
  }

  #hear (voice: Voice, { label, ttlS, sealed, source }: { label: string, ttlS: number, sealed: Uint8Array, source: string }, nowMs: number): void {
    const said = open(this.#swarmKey, label, sealed)
    if (said === undefined || said.peerId === this.#options.peerId) return
    if (said.addresses.length === 0) {
      if (this.#book.leave(said.peerId, source)) this.#options.onGone(said.peerId)
      return
    }
    const addresses = said.addresses.filter(address => voice.isNear(ipOf(address) ?? ''))
    if (addresses.length === 0 || ttlS === 0) return
    if (this.#book.hear({ peerId: said.peerId, addresses, label, ttlS, source, link: voice.id }, nowMs)) this.#tell()
    else this.#flooded()
  }

  /** Tells of what was found, as often as may be. */
  #tell (): void {
    this.#cancelTelling()
    const { clock, onFound } = this.#options
    for (let next = this.#book.next(clock.nowMs()); next !== undefined; next = this.#book.next(clock.nowMs())) onFound(next.peerId, next.addresses)
    const waitMs = this.#book.nextMs(clock.nowMs())
    if (waitMs !== undefined) this.#cancelTelling = clock.after(waitMs, () => { this.#tell() })
  }

  /** More is said than is heard out: when that ends, it is asked for again. */
  #flooded (): void {
    const { clock } = this.#options
    this.#floodMs = clock.nowMs()
    const look = (): void => {
      this.#cancelFlood = undefined
      const leftMs = this.#floodMs + FLOOD_OVER_MS - clock.nowMs()
      if (leftMs > 0) this.#cancelFlood = clock.after(leftMs, look)
      // No more than a question: were all to announce anew, that would be the next flood.
      else for (const { voice } of this.#voices.values()) voice.ask()
    }
    this.#cancelFlood ??= clock.after(FLOOD_OVER_MS, look)
  }

  /** Tells what has stood in the way for a while, once for each change of it. */
  #review (): void {
    if (this.#closed !== undefined) return
    this.#cancelReview()
    const { clock, onTrouble } = this.#options
    const failing = [...this.#voices.values()].flatMap(({ voice }) => voice.failing === undefined ? [] : [{ name: voice.name, ...voice.failing }])
    const sinceMs = this.#voices.size === 0 ? [this.#interfacesSinceMs] : failing.map(({ sinceMs }) => sinceMs)
    const dueMs = Math.min(...sinceMs.map(since => since + TROUBLE_AFTER_MS).filter(due => due > clock.nowMs()))
    if (dueMs < Infinity) this.#cancelReview = clock.after(dueMs - clock.nowMs(), () => { this.#review() })
    const lasting = failing.filter(({ sinceMs }) => sinceMs + TROUBLE_AFTER_MS <= clock.nowMs())
    const isAlone = this.#voices.size === 0 && this.#interfacesSinceMs + TROUBLE_AFTER_MS <= clock.nowMs()
    const error = lasting.length > 0 || isAlone ? blockedError(lasting, this.#voices.size) : undefined
    const trouble = error?.message ?? ''
    // One that is not over, and not yet due to be told anew, stays as it was told.
    if (trouble === this.#trouble || (trouble === '' && (failing.length > 0 || this.#voices.size === 0))) return
    this.#trouble = trouble
    onTrouble(error)
  }
}

interface LinkPlan { readonly key: string, readonly name: string, readonly family: 4 | 6, readonly addresses: readonly InterfaceAddress[] }

/** Which interfaces are worth using, and for which family: those where there can be neighbours, and something to announce. */
function linksOf (now: readonly InterfaceAddress[]): Map<string, LinkPlan> {
  const links = new Map<string, LinkPlan>()
  for (const name of new Set(now.filter(({ isInternal }) => !isInternal).map(({ name }) => name))) {
    const addresses = now.filter(address => address.name === name && address.bits < (address.family === 4 ? 32 : 128))
    const lasting = addresses.filter(({ address }) => !/^fe[89ab]/i.test(address))
    for (const family of [4, 6] as const) {
      if (!lasting.some(address => address.family === family) || links.size >= LINKS_MAX) continue
      links.set(idOf(name, family), { key: addresses.map(({ address, bits }) => `${address}/${bits}`).join(), name, family, addresses })
    }
  }
  return links
}
