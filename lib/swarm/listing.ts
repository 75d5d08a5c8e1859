/**
 * Keeps the directory: tells the others this peer's own record, takes in theirs and what they tell of third ones, and remembers
 * both on disk.
 *
 * Invariants: the own record is made anew after every turn in which what is offered changed, and never says less than is
 * offered unless it would not fit; each connection carries one exchange, begun by the peer that dialled it.
 */
import { deadline, sleep, type Clock } from '../base/clock.ts'
import { SwarmError, messageOf, type ErrorCode } from '../base/error.ts'
import type { ByteStream, Connection, Network } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import type { Storage } from '../base/storage.ts'
import { utf8 } from '../base/bytes.ts'
import { canonicalJson } from '../base/json.ts'
import { Directory, type Change } from '../directory/directory.ts'
import { Exchange } from '../directory/exchange.ts'
import { Hearsay, type HearsayEvents } from '../directory/hearsay.ts'
import { Keep } from '../directory/keep.ts'
import { LEASE_MS, signRecord, type AgentEntry, type PeerRecord } from '../directory/record.ts'
import { directoryProtocol } from '../directory/wire.ts'
import type { PrivateKey } from '../identity/key.ts'
import type { Caller } from '../mcp/host.ts'
import { LATE_MS_MAX } from '../mesh/health.ts'
import type { Hosting } from './hosting.ts'

/** How often leases are looked at, in milliseconds. */
const TICK_MS = 1_000

/** An exchange that broke on a connection that did not is begun again after this many milliseconds, and some chance. */
const RESUME_MS = 1_000

/** Exchanges that the other end of one connection may have open: one, and one that it has begun anew before we saw its last end. */
export const EXCHANGES_MAX = 2

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

/** How long a question over the exchange may take before the connection itself is asked, in milliseconds. */
export const PING_MS = 1_000

/** How long a stream for an exchange may take to open, in milliseconds. */
const OPEN_MS = 5_000

interface Options {
  readonly swarmId: string
  readonly key: PrivateKey
  readonly name: string
  readonly network: Network
  readonly storage: Storage
  readonly clock: Clock
  readonly random: Random
  readonly hosting: Hosting
  readonly callerOf: (connection: Connection) => Caller | undefined
  readonly onChange: (changes: readonly Change[]) => void
  /** Whether the storage outlives the peer: only then is it worth keeping anything. */
  readonly isLasting: boolean
  /** Which topics of documents this peer takes part in, as in its record; undefined for none. */
  readonly documents: () => string | undefined
  /** Something came from the other end of a connection. */
  readonly onHeard: (connection: Connection) => void
  /** The other end of a connection is about to close it, and lives on. */
  readonly onPart: (connection: Connection) => void
  readonly isLinked: (peerId: string) => boolean
  /** Dials a peer that is said to be gone; resolves with whether it is linked now. */
  readonly verify: (peerId: string) => Promise<boolean>
  /** Default true: see `Seams.hearsay`. */
  readonly hearsay?: boolean | undefined
  readonly onTrouble: (code: ErrorCode, message: string) => void
}

export class Listing {
  readonly directory: Directory
  readonly #options: Options
  readonly #protocol: string
  readonly #keep: Keep
  readonly #hearsay: Hearsay
  readonly #exchanges = new Map<Exchange, Connection>()
  /** The newest on each connection. */
  readonly #current = new Map<Connection, Exchange>()
  /** Open connections on which this end keeps an exchange up, each with the way to stop. */
  readonly #kept = new Map<Connection, AbortController>()
  #incarnation = 0
  /** What the last record tells: of agents, and where this peer is. */
  #said: string | undefined
  #sequence = 0
  #isClosed = false
  #toldMs = -Infinity
  #cancelTelling: (() => void) | undefined
  #cancelTick: () => void = () => undefined
  #cancelRenewal: () => void = () => undefined
  #cancelRefutation: (() => void) | undefined

  constructor (options: Options) {
    this.#options = options
    this.#protocol = directoryProtocol(options.swarmId)
    this.directory = new Directory(options.key.peerId)
    this.#hearsay = new Hearsay({
      directory: this.directory, swarmId: options.swarmId, clock: options.clock, random: options.random,
      isOff: options.hearsay === false, isLinked: options.isLinked, verify: options.verify, events: this.#events()
    })
    this.#keep = new Keep({
      storage: options.storage, swarmId: options.swarmId, clock: options.clock,
      onFailure: error => { options.onTrouble('FOLDER_UNUSABLE', `what is known of other peers cannot be kept: ${messageOf(error)}`) }
    })
  }

  /** Recalls what was known, and speaks from now on. */
  async open (): Promise<void> {
    const { clock, network } = this.#options
    await this.#keep.load(this.directory)
    this.#incarnation = Math.floor(clock.wallMs())
    this.announce()
    network.handle(this.#protocol, (stream, connection) => {
      const exchange = this.#run(stream, connection, false)
      if (exchange !== undefined) void exchange.closed.then(error => { this.#report(connection, error) })
    }, { streamsMax: EXCHANGES_MAX })
    this.#tick()
  }

  /** @throws SwarmError TOO_LARGE with `details.fits` if the own record has no room for these agents */
  checkFits (agents: readonly AgentEntry[]): void {
    this.#sign(agents, false)
  }

  /**
   * Makes the own record anew and tells it.
   *
   * @param always even if it says the same: who was refused a catalogue asks for it again
   */
  announce (always = false): void {
    if (this.#isClosed) return
    const { hosting } = this.#options
    for (const [hash, catalogue] of hosting.catalogues()) {
      if (!this.directory.hasCatalogue(hash)) this.#tell(this.directory.addCatalogue(hash, catalogue, utf8(JSON.stringify(catalogue)).byteLength))
    }
    const entries = hosting.entries()
    const said = canonicalJson({ entries, addresses: this.#options.network.addresses(), documents: this.#options.documents() })
    if (said === this.#said && !always) return
    this.#said = said
    this.#publish(entries, false)
  }

  /** Keeps an exchange up on a new connection, if this end is to. */
  begin (connection: Connection): void {
    if (connection.direction !== 'outbound' || this.#isClosed || this.#kept.has(connection)) return
    const stop = new AbortController()
    this.#kept.set(connection, stop)
    connection.onClose(() => {
      this.#kept.delete(connection)
      stop.abort()
    })
    void this.#keepUp(connection, stop.signal)
  }

  /** A peer that was linked and is gone no longer counts as living, and the others are told. */
  lose (peerId: string): void {
    const changes = this.directory.remove(peerId, this.#options.clock.nowMs())
    if (changes.length === 0 || this.#isClosed) return
    this.#tell(changes)
    this.#hearsay.suspicion.lost(peerId)
  }

  /** A peer that is said to live could not be dialled. */
  suspect (peerId: string): void {
    if (!this.#isClosed) this.#hearsay.suspicion.doubt(peerId)
  }

  /** Says on a connection that it is about to be closed here, as one too many. */
  async part (connection: Connection): Promise<void> {
    await this.#current.get(connection)?.part()
  }

  /**
   * Asks the other end of a connection for a sign of life: over the exchange, which costs a tenth of what a fresh stream does.
   *
   * @throws SwarmError UNREACHABLE, ABORTED
   */
  async probe (connection: Connection, signal: AbortSignal): Promise<void> {
    const exchange = this.#current.get(connection)
    if (exchange === undefined) return void await connection.probe(signal)
    const limit = deadline(this.#options.clock, PING_MS, signal)
    try {
      await exchange.ping(limit.signal)
    } catch (error) {
      // It may have a catalogue of megabytes before it: the connection itself says whether anyone is there.
      if (signal.aborted) throw error
      await connection.probe(signal)
    } finally {
      limit.done()
    }
  }

  /** Says that this peer leaves, waits for it to be heard, and writes down what is known. */
  async close (): Promise<void> {
    if (this.#isClosed) return
    this.#publish([], true)
    this.#isClosed = true
    this.#cancelTick()
    this.#cancelTelling?.()
    this.#cancelRenewal()
    this.#cancelRefutation?.()
    this.#hearsay.close()
    for (const stop of this.#kept.values()) stop.abort()
    this.#options.network.unhandle(this.#protocol)
    await Promise.all([...this.#exchanges.keys()].map(async exchange => { await exchange.leave() }))
    await this.#keep.close()
  }

  #publish (agents: readonly AgentEntry[], left: boolean): void {
    this.#sequence++
    let signed: { record: PeerRecord, wire: string }
    try {
      signed = this.#sign(agents, left)
    } catch (error) {
      // The last record stays true of what it names; the owner hears which agents found no room.
      if (!(error instanceof SwarmError)) throw error
      return this.#options.onTrouble(error.code, `this peer's record cannot tell of what it offers: ${error.message}`)
    }
    this.#tell(this.directory.setOwn(signed.record, signed.wire))
    if (left) return
    this.#tellOthers()
    this.#renewLater()
  }

  #renewLater (): void {
    const { clock, random } = this.#options
    this.#cancelRenewal()
    this.#cancelRenewal = clock.after(LEASE_MS * (RENEW_PART_MIN + (RENEW_PART_MAX - RENEW_PART_MIN) * random.next()), () => { this.announce(true) })
  }

  /** Others think that this peer is gone. */
  #refute (): void {
    if (this.#cancelRefutation !== undefined || this.#isClosed) return
    this.#cancelRefutation = this.#options.clock.after(REFUTE_MS_MIN, () => { this.#cancelRefutation = undefined })
    this.announce(true)
  }

  #tellOthers (): void {
    if (this.#cancelTelling !== undefined) return
    const { clock } = this.#options
    const tell = (): void => {
      this.#cancelTelling = undefined
      this.#toldMs = clock.nowMs()
      for (const exchange of this.#exchanges.keys()) exchange.announce()
    }
    const waitMs = this.#toldMs + TELL_MS_MIN - clock.nowMs()
    if (waitMs > 0) this.#cancelTelling = clock.after(waitMs, tell)
    else tell()
  }

  #sign (agents: readonly AgentEntry[], left: boolean): { record: PeerRecord, wire: string } {
    const { key, name, network, swarmId } = this.#options
    const documents = this.#options.documents()
    const record: PeerRecord = {
      v: 1, peerId: key.peerId, name, incarnation: this.#incarnation, sequence: this.#sequence, leaseMs: LEASE_MS,
      addresses: network.addresses(), agents, ...documents !== undefined && !left && { documents }, ...left && { left }
    }
    return { record, wire: signRecord(key, record, swarmId) }
  }

  /** One exchange after another: a stream may break while its connection lives, and without any the peer would run out of its lease. */
  async #keepUp (connection: Connection, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options
    while (!signal.aborted) {
      const error = await this.#exchangeOver(connection, signal)
      if (!signal.aborted) this.#report(connection, error)
      // The signal ends the pause, and with it the loop.
      await sleep(clock, RESUME_MS * (1 + random.next()), signal).catch(() => undefined)
    }
  }

  /** @returns what ended the exchange, or kept it from beginning */
  async #exchangeOver (connection: Connection, signal: AbortSignal): Promise<unknown> {
    const limit = deadline(this.#options.clock, OPEN_MS, signal)
    try {
      const stream = await connection.open(this.#protocol, limit.signal).finally(limit.done)
      return await this.#run(stream, connection, true)?.closed
    } catch (error) {
      return error
    }
  }

  #report (connection: Connection, error: unknown): void {
    if (this.#isClosed || !(error instanceof SwarmError) || error.code === 'CLOSED' || error.code === 'UNREACHABLE') return
    this.#options.onTrouble(error.code, `the directory exchange with peer ${connection.peerId} broke: ${messageOf(error)}`)
  }

  #run (stream: ByteStream, connection: Connection, begins: boolean): Exchange | undefined {
    const { callerOf, clock, hosting, swarmId, onHeard, onPart } = this.#options
    const caller = callerOf(connection)
    if (caller === undefined || this.#isClosed) {
      stream.abort(new SwarmError('NOT_ADMITTED', `peer ${connection.peerId} is not admitted`))
      return undefined
    }
    const exchange = new Exchange({
      swarmId, peerId: connection.peerId, directory: this.directory, clock, hearsay: this.#hearsay, begins,
      catalogueText: hash => hosting.catalogueText(hash),
      mayRead: hash => hosting.mayRead(hash, caller),
      onHeard: () => { onHeard(connection) },
      onPart: () => { onPart(connection) }
    })
    this.#exchanges.set(exchange, connection)
    this.#current.set(connection, exchange)
    exchange.run(stream)
    void exchange.closed.then(() => {
      this.#exchanges.delete(exchange)
      if (this.#current.get(connection) === exchange) this.#current.delete(connection)
    })
    return exchange
  }

  #events (): HearsayEvents {
    return {
      changed: changes => { this.#tell(changes) },
      recordTaken: (record, wire) => { if (this.#options.isLasting) this.#keep.saveRecord(record, wire) },
      catalogueTaken: (hash, text) => { if (this.#options.isLasting) this.#keep.saveCatalogue(hash, text) },
      outdated: record => {
        this.#incarnation = Math.max(this.#incarnation, record.incarnation + 1)
        this.#said = undefined
        this.announce()
      },
      accused: () => { this.#refute() }
    }
  }

  /**
   * Leases end by our clock. A tick that comes late was kept by our own stall, in which nobody could be heard: what has come
   * meanwhile is read first, and the next tick judges.
   */
  #tick (wasLate = false): void {
    const { clock } = this.#options
    const dueMs = clock.nowMs() + TICK_MS
    this.#cancelTick = clock.after(TICK_MS, () => {
      const isLate = clock.nowMs() - dueMs > LATE_MS_MAX && !wasLate
      if (!isLate) this.#tell(this.directory.tick(clock.nowMs(), this.#options.isLinked))
      this.#tick(isLate)
    })
  }

  #tell (changes: readonly Change[]): void {
    if (changes.length > 0) this.#options.onChange(changes)
  }
}
