/**
 * One peer: its parts, wired to each other. What they decide is theirs; here stands only who tells whom.
 *
 * Opened in the order in which they need each other, closed in reverse (parts.ts).
 */
import type { Emitter } from '../base/emitter.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { ByteStream, Connection } from '../base/network.ts'
import type { Storage } from '../base/storage.ts'
import type { PrivateKey } from '../identity/key.ts'
import type { Caller } from '../mcp/host.ts'
import { Pipes } from '../mcp/pipe-pool.ts'
import { serveAgent } from '../mcp/serve.ts'
import { Tasks } from '../mcp/tasks.ts'
import { mcpProtocol } from '../mcp/wire.ts'
import { Bindings } from './bindings.ts'
import { Calling } from './calling.ts'
import { Clients } from './clients.ts'
import { Configured } from './configured.ts'
import { Finding, type Seek } from './finding.ts'
import { Hosting } from './hosting.ts'
import { Inviting } from './inviting.ts'
import { LateDocuments } from './late-documents.ts'
import type { LateNetwork } from './late-network.ts'
import { Listing } from './listing.ts'
import type { Belonging } from './membership.ts'
import { Neighbours } from './neighbours.ts'
import type { Settings } from './options.ts'
import type { Parts } from './parts.ts'
import { pointsOf } from './points.ts'
import { Presence } from './presence.ts'
import type { Reach } from './reach.ts'
import { Renewing } from './renewing.ts'
import { Requesting } from './requesting.ts'
import type { Sharing } from './sharing.ts'
import { Showing } from './showing.ts'
import { Telling, type SwarmEvents } from './telling.ts'
import { toldFirst } from './told.ts'
import { Troubles } from './troubles.ts'

export interface Opening {
  readonly settings: Settings
  readonly key: PrivateKey
  readonly membership: Belonging
  readonly reach: Reach
  /** Where the storage lies; undefined: memory only. */
  readonly folder: string | undefined
  readonly storage: Storage
  readonly network: LateNetwork
  /** Everything opened before; `close` closes it. */
  readonly parts: Parts
}

export class Peer {
  readonly id: string
  readonly swarmId: string
  readonly reach: Reach
  readonly troubles: Troubles
  readonly hosting: Hosting
  readonly listing: Listing
  readonly showing: Showing
  readonly neighbours: Neighbours
  readonly pipes: Pipes
  readonly calling: Calling
  readonly requesting: Requesting
  readonly configured: Configured
  readonly documents: LateDocuments
  readonly inviting: Inviting
  readonly #renewing: Renewing
  readonly #presence: Presence
  /** Fires when the peer begins to close. */
  readonly closing = new AbortController()
  readonly #settings: Settings
  readonly #network: LateNetwork
  readonly #membership: Belonging
  readonly #parts: Parts
  readonly #tasks: Tasks
  readonly #telling = new Telling()
  readonly #clients: Clients
  readonly #bindings: Bindings
  /** Undefined where the swarm's hash table is not among the means. */
  readonly #finding: Finding | undefined
  /** Keeps a connection that another has replaced until the calls on its streams have ended. */
  readonly #holds = new WeakMap<ByteStream, () => void>()
  #served = 0

  constructor ({ settings, key, membership, reach, folder, storage, network, parts }: Opening) {
    const { clock, random, name } = settings
    this.id = key.peerId
    this.swarmId = membership.swarmId
    this.#settings = settings
    this.reach = reach
    this.#network = network
    this.#membership = membership
    this.#parts = parts
    this.troubles = new Troubles(clock, trouble => { this.events.emit('trouble', trouble) }, trouble => { this.events.emit('trouble:over', trouble) })
    this.hosting = new Hosting(entries => { this.listing.checkFits(entries) }, () => { this.#offer() }, name => { this.#tasks.closeAgent(name) })
    this.#tasks = new Tasks({ peerId: this.id, clock, random, report: error => { this.#noteBug(error) } })
    this.listing = new Listing({
      swarmId: this.swarmId, membership, key, name, network, storage, clock, random, hosting: this.hosting, hearsay: settings.seams.hearsay,
      callerOf: connection => this.neighbours.callerOf(connection),
      onChange: changes => {
        const { directory } = this.listing
        this.#telling.changed(changes, this.neighbours, peerId => !directory.isCrowded || directory.isProven(peerId))
      },
      isLasting: settings.dir !== undefined,
      documents: () => this.documents.topics,
      onHeard: connection => { this.neighbours.links.heard(connection) },
      onPart: connection => { this.neighbours.heardPart(connection) },
      isLinked: peerId => this.neighbours.links.get(peerId) !== undefined,
      verify: async peerId => await this.neighbours.reach(peerId, this.closing.signal).then(() => true, () => false),
      onTrouble: (code, message) => { this.troubles.note(code, message) }
    })
    this.#bindings = new Bindings({
      storage, clock,
      onFailure: error => { this.troubles.note('FOLDER_UNUSABLE', `names cannot be kept: ${messageOf(error)}`) },
      onFull: () => { this.troubles.note('TOO_LARGE', 'too many names are on show to keep them all: some may change at the next start') }
    })
    this.showing = new Showing({ directory: this.listing.directory, bindings: this.#bindings, clock })
    this.neighbours = new Neighbours({
      network, membership, clock, random,
      events: {
        onLink: connection => {
          this.listing.begin(connection)
          this.inviting.begin(connection)
          this.#renewing.begin()
        },
        onMoved: peerId => { this.pipes.renewPeer(peerId) },
        onBroken: peerId => { this.pipes.closePeer(peerId) },
        onLost: peerId => { this.listing.lose(peerId) },
        groups: () => this.listing.directory.sharers(),
        onPart: async connection => { await this.listing.part(connection) },
        probe: async (connection, signal) => { await this.listing.probe(connection, signal) },
        onTrouble: (source, error) => {
          if (error === undefined) this.troubles.over(`discovery ${source}`)
          else this.troubles.set(`discovery ${source}`, error.code, error.message)
        }
      }
    })
    this.pipes = new Pipes({
      clock,
      open: async (peerId, signal) => await this.#openPipe(peerId, signal),
      ended: stream => { this.#holds.get(stream)?.() }
    })
    this.documents = new LateDocuments({
      swarmId: this.swarmId, key, network, links: this.neighbours.links, storage, clock, random,
      durability: settings.durability, folder,
      isMember: connection => this.neighbours.callerOf(connection) !== undefined,
      onOpen: () => {
        this.listing.announce()
        this.neighbours.regroup()
      },
      onTrouble: (subject, code, message) => {
        if (message === undefined) this.troubles.over(subject)
        else this.troubles.set(subject, code, message)
      }
    })
    this.inviting = new Inviting({
      belonging: membership, network, storage, clock, random,
      callerOf: connection => this.neighbours.callerOf(connection),
      admins: () => {
        const linked = new Set(this.#linkedAdmins().map(({ peerId }) => peerId))
        return this.listing.directory.peers().filter(({ peerId }) => linked.has(peerId)).map(({ peerId, addresses }) => ({ peerId, addresses: toldFirst(addresses) }))
      },
      onTrouble: (code, message) => { this.troubles.note(code, message) },
      onRefused: (connection, error) => { this.neighbours.refusals.refused(connection, error) }
    })
    this.#renewing = new Renewing({
      belonging: membership, network, clock,
      admins: () => this.#linkedAdmins(),
      onRenewed: () => {
        this.neighbours.introduceAnew()
        this.listing.announce()
      },
      onTrouble: error => {
        if (error === undefined) this.troubles.over('membership')
        else this.troubles.set('membership', error.code, error.message)
      }
    })
    this.#presence = new Presence({
      swarmId: this.swarmId, settings, reach, network, parts, listing: this.listing, neighbours: this.neighbours, troubles: this.troubles,
      closing: this.closing.signal,
      offer: () => { this.#offer() }
    })
    this.configured = new Configured(this.sharing, () => { this.listing.announce(true) })
    const self: Caller = { peerId: this.id, role: 'admin' }
    this.#clients = new Clients(self)
    const around = { directory: this.listing.directory, hosting: this.hosting, tasks: this.#tasks, clients: this.#clients, pipes: this.pipes, clock, random, self }
    const finding = this.#finding = reach.means.dht ? new Finding({ swarmId: this.swarmId, network, clock, random, directory: this.listing.directory }) : undefined
    const seekFurther: Seek | undefined = finding === undefined ? undefined : async (sought, signal) => { await finding.seek(sought, signal) }
    this.calling = new Calling({ ...around, seekFurther })
    this.requesting = new Requesting({ ...around, seekFurther, closing: this.closing.signal, open: async (peerId, signal) => await this.#openPipe(peerId, signal) })
  }

  get events (): Emitter<SwarmEvents> {
    return this.#telling.events
  }

  /** Whether others can reach this peer. */
  get isListening (): boolean {
    return this.#presence.isListening
  }

  /** How many calls have been let through to agents of this peer. */
  get served (): number {
    return this.#served
  }

  /** What it takes to share a server. */
  get sharing (): Sharing {
    const { clock, random } = this.#settings
    return { clock, random, hosting: this.hosting, troubles: this.troubles, closing: this.closing.signal }
  }

  /** A client that calls were made for has gone. */
  endSession (session: string, mayReturn: boolean): void {
    this.pipes.endSession(session, mayReturn)
    this.#clients.end(session, mayReturn)
  }

  /** Called once. */
  async open (): Promise<void> {
    const { clock, random, config, listensLate, seams } = this.#settings
    const parts = this.#parts
    parts.add(async () => { await this.neighbours.close() })
    await Promise.all([this.#bindings.load(), this.listing.open(), this.inviting.open()])
    parts.add(async () => { this.inviting.close() })
    this.#renewing.open()
    parts.add(async () => { await this.#renewing.close() })
    parts.add(async () => { await this.#bindings.close() })
    parts.add(async () => { await this.listing.close() })
    parts.add(async () => { await this.documents.close() })
    this.#network.handle(mcpProtocol(this.swarmId), (stream, connection) => { this.#serve(stream, connection) })
    parts.add(async () => { this.pipes.close() })
    parts.add(async () => { await this.hosting.close() })
    if (config !== undefined) this.configured.open(config)
    parts.add(async () => { await this.configured.settled() })
    if (this.reach.means.folder) await this.neighbours.discoveries.openFolder({ swarmId: this.swarmId, peerId: this.id, clock, random }, seams.openRendezvous)
    const finding = this.#finding
    if (finding !== undefined) await this.neighbours.discoveries.add('dht', { swarmId: this.swarmId, peerId: this.id, clock, random }, async options => finding.discover(options))
    for (const { peerId, addresses } of this.#membership.inviters) this.neighbours.see(peerId, addresses, 'ticket')
    if (!listensLate || this.neighbours.discoveries.hasCompany || this.hosting.all().length > 0) await this.listen()
  }

  /** Listens, and lets others find it, from now on. A second call waits for the first. */
  async listen (): Promise<void> {
    await this.#presence.listen()
  }

  /** What is offered has changed: the others hear of it, and whoever looks for it finds it here. */
  #offer (): void {
    this.listing.announce()
    this.#finding?.offer(pointsOf(this.#settings.name, this.hosting.entries(), this.hosting.catalogues()))
  }

  #linkedAdmins (): Connection[] {
    const { links } = this.neighbours
    return links.peers().flatMap(peerId => links.get(peerId) ?? []).filter(connection => this.neighbours.callerOf(connection)?.role === 'admin')
  }

  /** Tells the others, stops every agent and server, and closes all that was opened. A second call waits for the first. */
  async close (): Promise<void> {
    this.closing.abort(new SwarmError('CLOSED', 'the swarm is closed'))
    await this.#parts.close()
  }

  #serve (stream: ByteStream, connection: Connection): void {
    const caller = this.neighbours.callerOf(connection)
    if (caller === undefined) return stream.abort(new SwarmError('NOT_ADMITTED', `peer ${connection.peerId} is not admitted`))
    serveAgent(stream, caller, name => this.hosting.get(name), {
      clock: this.#settings.clock,
      onCall: () => { this.#served++ },
      tasks: this.#tasks,
      report: error => { this.#noteBug(error) }
    })
  }

  #noteBug (error: unknown): void {
    this.troubles.note('TOOL_FAILED', `a tool broke: ${messageOf(error)}`)
  }

  async #openPipe (peerId: string, signal: AbortSignal): Promise<ByteStream> {
    const connection = await this.neighbours.reach(peerId, signal).catch((error: unknown) => {
      if (error instanceof SwarmError && error.code === 'UNREACHABLE') this.listing.suspect(peerId)
      throw error
    })
    const release = this.neighbours.links.hold(connection)
    try {
      const stream = await connection.open(mcpProtocol(this.swarmId), signal)
      this.#holds.set(stream, release)
      return stream
    } catch (error) {
      release()
      throw error
    }
  }
}
