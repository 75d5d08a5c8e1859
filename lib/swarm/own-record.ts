/**
 * This peer's own record: what it offers and where it is, told to the others.
 *
 * Invariants: it is made anew after every turn in which what is offered changed, and never says less than is offered unless it
 * would not fit; while the peer is there it is told again before its lease ends, and where others think that the peer is gone.
 */
import { shortGrant } from '../access/short-grant.ts'
import { utf8 } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError, type ErrorCode } from '../base/error.ts'
import { canonicalJson } from '../base/json.ts'
import type { Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Change, Directory } from '../directory/directory.ts'
import { ADDRESSES_MAX, LEASE_MS, signRecord, type AgentEntry, type PeerRecord } from '../directory/record.ts'
import type { PrivateKey } from '../identity/key.ts'
import type { Hosting } from './hosting.ts'
import type { Belonging } from './membership.ts'
import { toldFirst } from './told.ts'

/**
 * Two tellings of the own record start at least so far apart, in milliseconds: each costs every peer the check of a signature, and an
 * agent may change in every turn. The first change is told at once.
 */
export const TELL_MS_MIN = 20

/**
 * When the own record is told anew, unchanged but for its sequence, as parts of its lease: between the two. It costs each peer a
 * record for every other one in that time.
 */
const RENEW_PART_MIN = 0.4
const RENEW_PART_MAX = 0.5

/** How long others are given to hear of a refutation before this peer refutes again that it is gone, in milliseconds. */
export const REFUTE_MS_MIN = 1_000

export interface OwnRecordOptions {
  readonly swarmId: string
  readonly membership: Pick<Belonging, 'grant' | 'swarmPublicKey'>
  readonly key: PrivateKey
  readonly name: string
  readonly network: Network
  readonly clock: Clock
  readonly random: Random
  readonly hosting: Hosting
  readonly directory: Directory
  /** Which topics of documents this peer takes part in, as in its record; undefined for none. */
  readonly documents: () => string | undefined
  readonly onChange: (changes: readonly Change[]) => void
  /** The directory's own record is to go out on every exchange. */
  readonly tellOthers: () => void
  readonly onTrouble: (code: ErrorCode, message: string) => void
}

export class OwnRecord {
  readonly #options: OwnRecordOptions
  #incarnation = 0
  /** What the last record tells: of agents, and where this peer is. */
  #said: string | undefined
  #sequence = 0
  /** Whether it shows the grant: from the first crowd on, since others count on what they were shown. */
  #isGrantShown = false
  #isClosed = false
  #toldMs = -Infinity
  #cancelTelling: (() => void) | undefined
  #cancelRenewal: () => void = () => undefined
  #cancelRefutation: (() => void) | undefined

  constructor (options: OwnRecordOptions) {
    this.#options = options
  }

  /** Tells the record under an incarnation, or a higher one that it had already. */
  begin (incarnation: number): void {
    this.#incarnation = Math.max(this.#incarnation, incarnation)
    this.#said = undefined
    this.announce()
  }

  /** @throws SwarmError TOO_LARGE with `details.fits` if the record has no room for these agents, and the grant */
  checkFits (agents: readonly AgentEntry[]): void {
    this.#sign(agents, { left: false, isGrantShown: true })
  }

  /** So many peers are known that each is to show its grant. */
  showGrant (): void {
    if (this.#isGrantShown) return
    this.#isGrantShown = true
    this.announce()
  }

  /** Makes the record anew and tells it. @param always even if it says the same */
  announce (always = false): void {
    if (this.#isClosed) return
    const { directory, hosting, onChange } = this.#options
    for (const [hash, catalogue] of hosting.catalogues()) {
      if (!directory.hasCatalogue(hash)) onChange(directory.addCatalogue(hash, catalogue, utf8(JSON.stringify(catalogue)).byteLength))
    }
    const entries = hosting.entries()
    const said = canonicalJson({ entries, addresses: this.#addresses(), documents: this.#options.documents(), grant: this.#isGrantShown ? this.#options.membership.grant : null })
    if (said === this.#said && !always) return
    this.#said = said
    this.#publish(entries, false)
  }

  /** Others think that this peer is gone. */
  refute (): void {
    if (this.#cancelRefutation !== undefined || this.#isClosed) return
    this.#cancelRefutation = this.#options.clock.after(REFUTE_MS_MIN, () => { this.#cancelRefutation = undefined })
    this.announce(true)
  }

  /** The last record: this peer leaves. Whoever holds the exchanges sends it. */
  leave (): void {
    this.#publish([], true)
    this.#isClosed = true
    this.#cancelTelling?.()
    this.#cancelRenewal()
    this.#cancelRefutation?.()
  }

  #publish (agents: readonly AgentEntry[], left: boolean): void {
    this.#sequence++
    let signed: { record: PeerRecord, wire: string }
    try {
      signed = this.#sign(agents, { left, isGrantShown: this.#isGrantShown && !left })
    } catch (error) {
      // The last record stays true of what it names; the owner hears which agents found no room.
      if (!(error instanceof SwarmError)) throw error
      return this.#options.onTrouble(error.code, `this peer's record cannot tell of what it offers: ${error.message}`)
    }
    this.#options.onChange(this.#options.directory.setOwn(signed.record, signed.wire))
    if (left) return
    this.#tellOthers()
    this.#renewLater()
  }

  #renewLater (): void {
    const { clock, random } = this.#options
    this.#cancelRenewal()
    this.#cancelRenewal = clock.after(LEASE_MS * (RENEW_PART_MIN + (RENEW_PART_MAX - RENEW_PART_MIN) * random.next()), () => { this.announce(true) })
  }

  #tellOthers (): void {
    if (this.#cancelTelling !== undefined) return
    const { clock, tellOthers } = this.#options
    const tell = (): void => {
      this.#cancelTelling = undefined
      this.#toldMs = clock.nowMs()
      tellOthers()
    }
    const waitMs = this.#toldMs + TELL_MS_MIN - clock.nowMs()
    if (waitMs > 0) this.#cancelTelling = clock.after(waitMs, tell)
    else tell()
  }

  /** As they come, where there is room for all of them. */
  #addresses (): readonly string[] {
    const addresses = this.#options.network.addresses()
    return addresses.length <= ADDRESSES_MAX ? addresses : toldFirst(addresses, ADDRESSES_MAX)
  }

  #sign (agents: readonly AgentEntry[], { left, isGrantShown }: { left: boolean, isGrantShown: boolean }): { record: PeerRecord, wire: string } {
    const { key, membership, name, swarmId } = this.#options
    const documents = this.#options.documents()
    const record: PeerRecord = {
      v: 1, peerId: key.peerId, name, incarnation: this.#incarnation, sequence: this.#sequence, leaseMs: LEASE_MS,
      addresses: this.#addresses(), agents, ...documents !== undefined && !left && { documents },
      ...isGrantShown && { grant: shortGrant(membership.grant) }, ...left && { left }
    }
    return { record, wire: signRecord(key, record, swarmId) }
  }
}
