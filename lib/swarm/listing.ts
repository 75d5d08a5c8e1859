/**
 * Keeps the directory: takes in the records of others and what they tell of third ones, remembers both on disk, and has the own one
 * told (own-record.ts). Each connection carries one exchange, begun by the peer that dialled it.
 */
import { isGranted } from '../access/short-grant.ts'
import { deadline, sleep } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { ByteStream, Connection } from '../base/network.ts'
import type { Storage } from '../base/storage.ts'
import { Directory, type Change } from '../directory/directory.ts'
import { Exchange } from '../directory/exchange.ts'
import { Hearsay, type HearsayEvents } from '../directory/hearsay.ts'
import { Keep } from '../directory/keep.ts'
import type { AgentEntry } from '../directory/record.ts'
import { directoryProtocol } from '../directory/wire.ts'
import type { Caller } from '../mcp/host.ts'
import { LATE_MS_MAX } from '../mesh/health.ts'
import { OwnRecord, type OwnRecordOptions } from './own-record.ts'

export { REFUTE_MS_MIN, TELL_MS_MIN } from './own-record.ts'

/** How often leases are looked at, in milliseconds. */
const TICK_MS = 1_000

/** An exchange that broke on a connection that did not is begun again after this many milliseconds, and some chance. */
const RESUME_MS = 1_000

/** Exchanges that the other end of one connection may have open: one, and one that it has begun anew before we saw its last end. */
export const EXCHANGES_MAX = 2

/** How long a question over the exchange may take before the connection itself is asked, in milliseconds. */
export const PING_MS = 1_000

/** How long a stream for an exchange may take to open, in milliseconds. */
const OPEN_MS = 5_000

interface Options extends Omit<OwnRecordOptions, 'directory' | 'tellOthers'> {
  readonly storage: Storage
  readonly callerOf: (connection: Connection) => Caller | undefined
  /** Whether the storage outlives the peer: only then is it worth keeping anything. */
  readonly isLasting: boolean
  /** Something came from the other end of a connection. */
  readonly onHeard: (connection: Connection) => void
  /** The other end of a connection is about to close it, and lives on. */
  readonly onPart: (connection: Connection) => void
  readonly isLinked: (peerId: string) => boolean
  /** Dials a peer that is said to be gone; resolves with whether it is linked now. */
  readonly verify: (peerId: string) => Promise<boolean>
  /** Default true: see `Seams.hearsay`. */
  readonly hearsay?: boolean | undefined
}

export class Listing {
  readonly directory: Directory
  readonly #options: Options
  readonly #protocol: string
  readonly #keep: Keep
  readonly #hearsay: Hearsay
  readonly #own: OwnRecord
  readonly #exchanges = new Map<Exchange, Connection>()
  /** The newest on each connection. */
  readonly #current = new Map<Connection, Exchange>()
  /** Open connections on which this end keeps an exchange up, each with the way to stop. */
  readonly #kept = new Map<Connection, AbortController>()
  #isClosed = false
  #cancelTick: () => void = () => undefined

  constructor (options: Options) {
    this.#options = options
    this.#protocol = directoryProtocol(options.swarmId)
    this.directory = new Directory(options.key.peerId)
    this.#own = new OwnRecord({
      ...options, directory: this.directory,
      onChange: changes => { this.#tell(changes) },
      tellOthers: () => { for (const exchange of this.#exchanges.keys()) exchange.announce() }
    })
    this.#hearsay = new Hearsay({
      directory: this.directory, swarmId: options.swarmId, clock: options.clock, random: options.random,
      isOff: options.hearsay === false, isLinked: options.isLinked, verify: options.verify, events: this.#events(),
      isMember: ({ grant, peerId }) => grant !== undefined && isGranted(grant, options.membership.swarmPublicKey, peerId, options.clock.wallMs())
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
    this.#own.begin(Math.floor(clock.wallMs()))
    network.handle(this.#protocol, (stream, connection) => {
      const exchange = this.#run(stream, connection, false)
      if (exchange !== undefined) void exchange.closed.then(error => { this.#report(connection, error) })
    }, { streamsMax: EXCHANGES_MAX })
    this.#tick()
  }

  /** @throws SwarmError TOO_LARGE with `details.fits` if the own record has no room for these agents */
  checkFits (agents: readonly AgentEntry[]): void {
    this.#own.checkFits(agents)
  }

  /**
   * Makes the own record anew and tells it.
   *
   * @param always even if it says the same: who was refused a catalogue asks for it again
   */
  announce (always = false): void {
    this.#own.announce(always)
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
    this.#own.leave()
    this.#isClosed = true
    this.#cancelTick()
    this.#hearsay.close()
    for (const stop of this.#kept.values()) stop.abort()
    this.#options.network.unhandle(this.#protocol)
    await Promise.all([...this.#exchanges.keys()].map(async exchange => { await exchange.leave() }))
    await this.#keep.close()
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
      recordTaken: (record, wire) => { if (this.#options.isLasting) this.#keep.saveRecord(record, wire, this.directory.isProven(record.peerId)) },
      catalogueTaken: (hash, text) => { if (this.#options.isLasting) this.#keep.saveCatalogue(hash, text) },
      outdated: record => { this.#own.begin(record.incarnation + 1) },
      accused: () => { this.#own.refute() }
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
      if (this.directory.isCrowded) this.#own.showGrant()
      this.#tick(isLate)
    })
  }

  #tell (changes: readonly Change[]): void {
    if (changes.length > 0) this.#options.onChange(changes)
  }
}
