/**
 * The handle on a swarm: one peer, its agents, and what it knows of the others. It composes the parts; what they decide is
 * theirs.
 */
import { processId } from '#platform'
import type { Membership } from '../access/hello.ts'
import { afterTurn, type Clock } from '../base/clock.ts'
import { Emitter } from '../base/emitter.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { ByteStream, Connection, Network } from '../base/network.ts'
import type { Storage } from '../base/storage.ts'
import type { AgentView, Change, PeerView, Provider, Query } from '../directory/directory.ts'
import type { PrivateKey } from '../identity/key.ts'
import { MCPAgent, type AgentOptions } from '../mcp/agent.ts'
import type { CallToolResult, Caller, Outcome } from '../mcp/host.ts'
import type { GatewayTool, Prefix } from '../mcp/names.ts'
import type { Coordination } from '../mcp/presets.ts'
import { Pipes } from '../mcp/pipe-pool.ts'
import { serveAgent } from '../mcp/serve.ts'
import { Tasks } from '../mcp/tasks.ts'
import type { ServerSource, SharedServer } from '../mcp/share.ts'
import { mcpProtocol } from '../mcp/wire.ts'
import { Bindings } from './bindings.ts'
import { Calling, type CallOptions } from './calling.ts'
import { Hosting } from './hosting.ts'
import { Listing } from './listing.ts'
import { Neighbours } from './neighbours.ts'
import type { Settings } from './options.ts'
import type { Parts } from './parts.ts'
import { Requesting } from './requesting.ts'
import { isEmpty, type ConfigChanges } from './changes.ts'
import type { Config } from './config.ts'
import { Configured } from './configured.ts'
import { offerServer, rulesOf, type ShareOptions, type Sharing } from './sharing.ts'
import { Showing, type Lists } from './showing.ts'
import { describe, type Status } from './status.ts'
import { Troubles, type Trouble } from './troubles.ts'
import { waitFor, type WaitOptions } from './wait.ts'

export interface SwarmEvents {
  'peer:joined': PeerView
  'peer:left': PeerView
  'agent:added': AgentView
  'agent:changed': AgentView
  'agent:removed': AgentView
  /** What may be called has changed: at most once in a turn. */
  'tools:changed': undefined
  /** Something went wrong that no call can tell: a shared server that died, a record that could not be made. */
  'trouble': Trouble
  /** A trouble that was told of is over. */
  'trouble:over': Trouble
  /** Another config was taken over, and differs. */
  'config:changed': ConfigChanges
}

export interface HostOptions extends AgentOptions {
  /** Who may use it, as in ShareOptions. */
  readonly allow?: readonly string[]
}

const AGENT_EVENTS = { 'agent-added': 'agent:added', 'agent-changed': 'agent:changed', 'agent-removed': 'agent:removed' } as const

interface Opening {
  readonly settings: Settings
  readonly key: PrivateKey
  readonly membership: Membership
  readonly storage: Storage
  readonly network: Network
  /** Everything opened before; `close` closes it. */
  readonly parts: Parts
}

export class Swarm {
  readonly id: string
  readonly peerId: string
  readonly name: string
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #network: Network
  readonly #parts: Parts
  readonly #events = new Emitter<SwarmEvents>()
  readonly #troubles: Troubles
  readonly #hosting: Hosting
  readonly #tasks: Tasks
  readonly #listing: Listing
  readonly #bindings: Bindings
  readonly #showing: Showing
  readonly #neighbours: Neighbours
  readonly #pipes: Pipes
  readonly #calling: Calling
  readonly #requesting: Requesting
  readonly #configured: Configured
  /** Keeps a connection that another has replaced until the calls on its streams have ended. */
  readonly #holds = new WeakMap<ByteStream, () => void>()
  readonly #startedAtMs: number
  readonly #closing = new AbortController()
  #served = 0
  #isTelling = false

  /** Use `joinSwarm`. */
  constructor ({ settings, key, membership, storage, network, parts }: Opening) {
    const { clock, random, name } = settings
    this.id = membership.swarmId
    this.peerId = key.peerId
    this.name = name
    this.#settings = settings
    this.#clock = clock
    this.#network = network
    this.#parts = parts
    this.#startedAtMs = clock.nowMs()
    this.#troubles = new Troubles(clock, trouble => { this.#events.emit('trouble', trouble) }, trouble => { this.#events.emit('trouble:over', trouble) })
    this.#hosting = new Hosting(entries => { this.#listing.checkFits(entries) }, () => { this.#listing.announce() }, name => { this.#tasks.closeAgent(name) })
    this.#tasks = new Tasks({ peerId: this.peerId, clock, random, report: error => { this.#noteBug(error) } })
    this.#listing = new Listing({
      swarmId: this.id, key, name, network, storage, clock, random, hosting: this.#hosting,
      callerOf: connection => this.#neighbours.callerOf(connection),
      onChange: changes => { this.#changed(changes) },
      onTrouble: (code, message) => { this.#troubles.note(code, message) }
    })
    this.#bindings = new Bindings({
      storage, clock,
      onFailure: error => { this.#troubles.note('FOLDER_UNUSABLE', `names cannot be kept: ${messageOf(error)}`) },
      onFull: () => { this.#troubles.note('TOO_LARGE', 'too many names are on show to keep them all: some may change at the next start') }
    })
    this.#showing = new Showing({ directory: this.#listing.directory, bindings: this.#bindings, clock })
    this.#neighbours = new Neighbours({
      network, membership, clock, random,
      events: {
        onLink: connection => { this.#listing.begin(connection) },
        onMoved: peerId => { this.#pipes.renewPeer(peerId) },
        onBroken: peerId => { this.#pipes.closePeer(peerId) },
        onLost: peerId => { this.#listing.lose(peerId) },
        onTrouble: ({ code, message }) => { this.#troubles.note(code, message) }
      }
    })
    this.#pipes = new Pipes({
      clock,
      open: async (peerId, signal) => await this.#openPipe(peerId, signal),
      ended: stream => { this.#holds.get(stream)?.() }
    })
    this.#configured = new Configured(this.#sharing, () => { this.#listing.announce(true) })
    const self: Caller = { peerId: this.peerId, role: 'admin' }
    const reach = { directory: this.#listing.directory, hosting: this.#hosting, tasks: this.#tasks, pipes: this.#pipes, clock, random, self }
    this.#calling = new Calling(reach)
    this.#requesting = new Requesting({ ...reach, closing: this.#closing.signal, open: async (peerId, signal) => await this.#openPipe(peerId, signal) })
  }

  get #sharing (): Sharing {
    return { clock: this.#clock, random: this.#settings.random, hosting: this.#hosting, troubles: this.#troubles, closing: this.#closing.signal }
  }

  /** Called once, by `joinSwarm`. */
  async open (): Promise<void> {
    const { clock, random, discovery, config, seams } = this.#settings
    const parts = this.#parts
    parts.add(async () => { await this.#neighbours.close() })
    await Promise.all([this.#bindings.load(), this.#listing.open()])
    parts.add(async () => { await this.#bindings.close() })
    parts.add(async () => { await this.#listing.close() })
    this.#network.handle(mcpProtocol(this.id), (stream, connection) => { this.#serve(stream, connection) })
    parts.add(async () => { this.#pipes.close() })
    parts.add(async () => { await this.#hosting.close() })
    if (config !== undefined) this.#configured.open(config)
    parts.add(async () => { await this.#configured.settled() })
    if (discovery) {
      await this.#neighbours.discover({ swarmId: this.id, peerId: this.peerId, addresses: this.addresses(), clock, random }, seams.openRendezvous)
    }
  }

  /** Where others can dial this peer: multiaddrs. */
  addresses (): string[] {
    return this.#network.addresses()
  }

  /**
   * Resolves when this peer has met at least one other. What that one offers follows a moment later: see `offered`.
   *
   * @throws SwarmError TIMEOUT after `timeoutMs` (default: waits for ever), ABORTED, CLOSED
   */
  async joined (options: WaitOptions = {}): Promise<void> {
    await this.#wait('another peer', 'peer:joined', () => this.peers().length > 0 || undefined, options)
  }

  /**
   * Resolves with the providers that `find` gives for a query as soon as there is one.
   *
   * @throws SwarmError TIMEOUT after `timeoutMs` (default: waits for ever), ABORTED, CLOSED
   */
  async offered (query: Query, options: WaitOptions = {}): Promise<Provider[]> {
    return await this.#wait(`a provider of ${JSON.stringify(query)}`, 'tools:changed', () => {
      const found = this.find(query)
      return found.length > 0 ? found : undefined
    }, options)
  }

  /** Whether a peer that is known to be on this machine has not been met yet. */
  get isLooking (): boolean {
    return this.#neighbours.isLooking(peerId => this.#listing.directory.isLiving(peerId))
  }

  /** Keeps this peer connected to another whose addresses are known by other means than the rendezvous folder. */
  meet (peerId: string, addresses: readonly string[]): void {
    this.#assertOpen()
    this.#neighbours.keep(peerId, addresses)
  }

  /** Makes an agent of this peer: offered to others once it is started. @throws SwarmError INVALID_OPTION, AGENT_EXISTS */
  agent (name: string, options: HostOptions = {}): MCPAgent {
    return this.host(new MCPAgent(name, options), options)
  }

  /** Hosts an agent made elsewhere, of a subclass say. @throws SwarmError AGENT_EXISTS, CONFIG_INVALID for a wrong `allow` */
  host<Agent extends MCPAgent> (agent: Agent, { allow }: { allow?: readonly string[] } = {}): Agent {
    this.#assertOpen()
    agent.hostedBy({ clock: this.#clock, coordination: this.#coordination() })
    this.#hosting.add(agent, 'agent', rulesOf(allow))
    return agent
  }

  /**
   * Offers an existing MCP server unchanged: a command, an SDK server instance (v1 or v2), or a URL. Resolves when its tools
   * are known. A server that dies later is started again, and meanwhile shown as unavailable.
   *
   * @throws SwarmError SERVER_FAILED if it does not start (it is then not shared), AGENT_EXISTS, INVALID_OPTION
   */
  async share (source: ServerSource, options: ShareOptions): Promise<SharedServer> {
    this.#assertOpen()
    const server = offerServer(source, options, this.#sharing)
    try {
      await server.ready()
      return server
    } catch (error) {
      await this.unshare(server.name)
      throw error
    }
  }

  /**
   * Takes over another config: starts and ends only what differs, of calls under way those of servers that end. What the
   * program shares itself, and the peer's name, stay.
   *
   * @returns what was changed, also told as `config:changed` @throws SwarmError CLOSED
   */
  async reconfigure (config: Config): Promise<ConfigChanges> {
    this.#assertOpen()
    const changes = await this.#configured.change(config)
    this.#troubles.over('config')
    if (!isEmpty(changes)) this.#events.emit('config:changed', changes)
    return changes
  }

  /** Says that the config has become one that cannot be taken over, as a trouble that is over with the next `reconfigure`. */
  refuseConfig ({ code, message }: SwarmError): void {
    this.#troubles.set('config', code, message)
  }

  /** Takes an agent or a shared server out of the swarm and ends it. Unknown names do nothing. */
  async unshare (name: string): Promise<void> {
    const hosted = this.#hosting.get(name)
    this.#hosting.remove(name)
    await hosted?.agent.close()
  }

  /** Living providers, from what is known here: no waiting. Best narrowed by `tool`. */
  find (query: Query = {}): Provider[] {
    this.#hosting.settle()
    return this.#listing.directory.find(query)
  }

  /**
   * Calls a tool wherever it is, with its arguments as a plain object. A tool that ran and failed is a result with `isError`.
   *
   * @throws SwarmError UNKNOWN_TOOL, UNKNOWN_AGENT, UNKNOWN_PEER (each with `details.nearest`), AMBIGUOUS (`details.choices`),
   *   UNAVAILABLE, FORBIDDEN, UNREACHABLE, OVERLOADED, TIMEOUT: it has not run; INDETERMINATE: it may have run, or may still;
   *   ABORTED, TOO_LARGE, MALFORMED, TOOL_FAILED, INVALID_OPTION, CLOSED
   */
  async call (tool: string, args?: object, options?: CallOptions & { readonly client?: undefined }): Promise<CallToolResult>
  async call (tool: string, args: object, options: CallOptions): Promise<Outcome>
  async call (tool: string, args: object = {}, options: CallOptions = {}): Promise<Outcome> {
    this.#assertOpen()
    this.#hosting.settle()
    return await this.#calling.call(tool, args as JsonObject, options)
  }

  /** What is asked of agents besides their tools: for gateways, that speak for clients of their own. */
  get requests (): Requesting {
    this.#assertOpen()
    return this.#requesting
  }

  /** A client that calls were made for has gone: what agents keep for it may go. */
  endSession (session: string): void {
    this.#pipes.endSession(session)
  }

  /** The other living peers. */
  peers (): PeerView[] {
    return this.#listing.directory.peers().filter(peer => !peer.self)
  }

  /** Every living agent, this peer's own too. */
  agents (): AgentView[] {
    return this.#listing.directory.agents()
  }

  /** Every tool that a gateway shows, by the name it shows it under; with `all` those too that cannot be called now. */
  tools ({ prefix, all = false }: { prefix?: Prefix, all?: boolean } = {}): GatewayTool[] {
    return this.lists({ prefix }).tools.filter(({ available }) => all || available)
  }

  /**
   * Everything that a gateway shows, also what cannot be reached now, by the names it shows it under. What is named here is
   * remembered, and the name given to nobody else. A list in which nothing has changed is the same array.
   */
  lists ({ prefix }: { prefix?: Prefix } = {}): Lists {
    this.#hosting.settle()
    return this.#showing.lists(prefix)
  }

  /** Listens to what happens; the returned function stops it. */
  on<Name extends keyof SwarmEvents> (name: Name, listener: (event: SwarmEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  /** One plain object that says how this peer is. */
  status (): Status {
    return describe({
      swarmId: this.id,
      peer: { peerId: this.peerId, name: this.name, pid: processId, addresses: this.addresses(), dir: this.#settings.dir ?? null, uptimeMs: this.#clock.nowMs() - this.#startedAtMs },
      peers: this.peers(),
      links: this.#neighbours.links,
      hosted: this.#hosting.all(),
      calls: { ...this.#calling.counts, served: this.#served },
      refusals: this.#neighbours.refusals,
      troubles: this.#troubles.all
    })
  }

  /** Leaves: tells the others, stops every agent and server, and closes all it opened. A second call waits for the first. */
  async close (): Promise<void> {
    this.#closing.abort(new SwarmError('CLOSED', 'the swarm is closed'))
    await this.#parts.close()
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.close()
  }

  async #wait<Found> (what: string, event: keyof SwarmEvents, look: () => Found | undefined, options: WaitOptions): Promise<Found> {
    return await waitFor(what, look, { clock: this.#clock, closing: this.#closing.signal, onNews: listener => this.on(event, listener) }, options)
  }

  #assertOpen (): void {
    if (this.#closing.signal.aborted) throw new SwarmError('CLOSED', 'the swarm is closed')
  }

  #serve (stream: ByteStream, connection: Connection): void {
    const caller = this.#neighbours.callerOf(connection)
    if (caller === undefined) return stream.abort(new SwarmError('NOT_ADMITTED', `peer ${connection.peerId} is not admitted`))
    serveAgent(stream, caller, name => this.#hosting.get(name), {
      clock: this.#clock,
      onCall: () => { this.#served++ },
      tasks: this.#tasks,
      report: error => { this.#noteBug(error) }
    })
  }

  #noteBug (error: unknown): void {
    this.#troubles.note('TOOL_FAILED', `a tool broke: ${messageOf(error)}`)
  }

  #coordination (): Coordination {
    return {
      find: ({ role, ...query }) => this.find(query)
        .filter(({ agent }) => role === undefined || agent.role === role)
        .map(({ peerId, peerName, agent }) => ({ peerId, peerName, agent: agent.name }))
        .sort((left, right) => `${left.peerId}/${left.agent}` < `${right.peerId}/${right.agent}` ? -1 : 1),
      call: async ({ peerId, agent }, tool, args, options) => await this.call(tool, args, { ...options, peer: peerId, agent })
    }
  }

  #changed (changes: readonly Change[]): void {
    for (const change of changes) {
      switch (change.kind) {
        case 'peer-joined':
        case 'peer-updated':
          if (change.peer.self) break
          this.#neighbours.keep(change.peer.peerId, change.peer.addresses)
          if (change.kind === 'peer-joined') this.#events.emit('peer:joined', change.peer)
          break
        case 'peer-left':
          if (change.why === 'left') this.#neighbours.forget(change.peer.peerId)
          this.#events.emit('peer:left', change.peer)
          break
        default:
          this.#events.emit(AGENT_EVENTS[change.kind], change.agent)
      }
    }
    this.#tellTools()
  }

  #tellTools (): void {
    if (this.#isTelling) return
    this.#isTelling = true
    afterTurn(() => {
      this.#isTelling = false
      this.#events.emit('tools:changed', undefined)
    })
  }

  async #openPipe (peerId: string, signal: AbortSignal): Promise<ByteStream> {
    const { links } = this.#neighbours
    const connection = links.get(peerId)
    if (connection === undefined) throw new SwarmError('UNREACHABLE', `no connection to peer ${peerId}`, { details: { peerId, sent: false } })
    const stream = await connection.open(mcpProtocol(this.id), signal)
    this.#holds.set(stream, links.hold(connection))
    return stream
  }
}
