/**
 * The handle on a swarm: one peer, its agents, and what it knows of the others. Its parts and their wiring are in
 * peer.ts.
 */
import { SwarmError } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { Network } from '../base/network.ts'
import type { AgentView, PeerView, Provider, Query } from '../directory/directory.ts'
import type { Document } from '../documents/document.ts'
import type { DocumentEntry } from '../documents/status.ts'
import { MCPAgent, type AgentOptions } from '../mcp/agent.ts'
import type { CallToolResult, Outcome } from '../mcp/host.ts'
import type { GatewayTool, Prefix } from '../mcp/names.ts'
import type { ServerSource, SharedServer } from '../mcp/share.ts'
import type { CallOptions } from './calling.ts'
import { isEmpty, type ConfigChanges } from './changes.ts'
import type { Config } from './config.ts'
import { coordinationOf } from './coordination.ts'
import type { Settings } from './options.ts'
import type { Invitation, InviteOptions } from './inviting.ts'
import type { Belonging } from './membership.ts'
import { Peer, type Opening } from './peer.ts'
import type { Requesting, Whom } from './requesting.ts'
import { isLooking, seek, SEEK_MS_MAX } from './seek.ts'
import { offerServer, rulesOf, type ShareOptions } from './sharing.ts'
import type { Lists } from './showing.ts'
import { statusOf, type Status } from './status.ts'
import type { SwarmEvents } from './telling.ts'
import { waitFor, type WaitOptions } from './wait.ts'

export type { SwarmEvents } from './telling.ts'

export interface HostOptions extends AgentOptions {
  /** Who may use it, as in ShareOptions. */
  readonly allow?: readonly string[]
}

/** A peer in a swarm: what `joinSwarm` gives. */
export class Swarm {
  /** The swarm's: 26 of `a-z 2-7`. */
  readonly id: string
  /** This peer's: `12D3KooW…`. */
  readonly peerId: string
  /** What people call this peer. It proves nothing, and others may have the same. */
  readonly name: string
  readonly #settings: Settings
  readonly #network: Network
  readonly #membership: Belonging
  readonly #peer: Peer
  readonly #startedAtMs: number

  /** Use `joinSwarm`. */
  constructor (opening: Opening) {
    const { key, membership, network, settings } = opening
    this.id = membership.swarmId
    this.peerId = key.peerId
    this.name = settings.name
    this.#settings = settings
    this.#network = network
    this.#membership = membership
    this.#startedAtMs = settings.clock.nowMs()
    this.#peer = new Peer(opening)
  }

  /** Called once, by `joinSwarm`. */
  async open (): Promise<void> {
    await this.#peer.open()
  }

  /**
   * Listens, and lets others find it, if it was joined with `listensLate`; otherwise it does already.
   *
   * @throws SwarmError ADDRESS_INVALID, PORT_IN_USE, FOLDER_UNUSABLE, CLOSED
   */
  async listen (): Promise<void> {
    await this.#peer.listen()
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
    return isLooking(this.#peer, () => true)
  }

  /** The same, but for those that have not answered yet and of which it is known what they offered last. */
  get isLookingForNews (): boolean {
    return isLooking(this.#peer, peerId => !this.#peer.listing.directory.isWhole(peerId))
  }

  /**
   * Waits for an agent that is known from before and may be there at any moment, since its peer is being dialled. Not longer
   * than SEEK_MS_MAX after this peer has joined: what is away then is away.
   *
   * @throws SwarmError ABORTED
   */
  async seek (whom: Whom, signal: AbortSignal): Promise<void> {
    await seek(this.#peer, whom, SEEK_MS_MAX + this.#startedAtMs, this.#settings.clock, signal)
  }

  /** Keeps this peer connected to another whose addresses are known by other means than the rendezvous folder. */
  meet (peerId: string, addresses: readonly string[]): void {
    this.#assertOpen()
    this.#peer.neighbours.see(peerId, addresses, 'asked')
  }

  /**
   * Makes a ticket, by which others join this swarm. It names this peer, and the admins that it is linked to: one of them must be
   * reachable for whoever comes.
   *
   * @throws SwarmError NOT_ADMIN if this peer may not let others in, INVALID_OPTION
   */
  invite (options: InviteOptions = {}): Invitation {
    this.#assertOpen()
    return this.#peer.inviting.invite(options)
  }

  /** Makes an agent of this peer: offered to others once it is started. @throws SwarmError INVALID_OPTION, AGENT_EXISTS */
  agent (name: string, options: HostOptions = {}): MCPAgent {
    return this.host(new MCPAgent(name, options), options)
  }

  /** Hosts an agent made elsewhere, of a subclass say. @throws SwarmError AGENT_EXISTS, CONFIG_INVALID for a wrong `allow` */
  host<Agent extends MCPAgent> (agent: Agent, { allow }: { allow?: readonly string[] } = {}): Agent {
    this.#assertOpen()
    agent.hostedBy({ clock: this.#settings.clock, coordination: coordinationOf(this) })
    this.#peer.hosting.add(agent, 'agent', rulesOf(allow))
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
    const server = offerServer(source, options, this.#peer.sharing)
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
    const changes = await this.#peer.configured.change(config)
    this.#peer.troubles.over('config')
    if (!isEmpty(changes)) this.#peer.events.emit('config:changed', changes)
    return changes
  }

  /** Says that the config has become one that cannot be taken over, as a trouble that is over with the next `reconfigure`. */
  refuseConfig ({ code, message }: SwarmError): void {
    this.#peer.troubles.set('config', code, message)
  }

  /** Takes an agent or a shared server out of the swarm and ends it. Unknown names do nothing. */
  async unshare (name: string): Promise<void> {
    const hosted = this.#peer.hosting.get(name)
    this.#peer.hosting.remove(name)
    await hosted?.agent.close()
  }

  /** Living providers, from what is known here: no waiting. Best narrowed by `tool`. */
  find (query: Query = {}): Provider[] {
    this.#peer.hosting.settle()
    return this.#peer.listing.directory.find(query)
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
    this.#peer.hosting.settle()
    return await this.#peer.calling.call(tool, args as JsonObject, options)
  }

  /** What is asked of agents besides their tools: for gateways, that speak for clients of their own. */
  get requests (): Requesting {
    this.#assertOpen()
    return this.#peer.requesting
  }

  /** A client that calls were made for has gone: what agents keep for it may go. */
  endSession (session: string, mayReturn = false): void {
    this.#peer.endSession(session, mayReturn)
  }

  /** The other living peers. */
  peers (): PeerView[] {
    return this.#peer.listing.directory.peers().filter(peer => !peer.self)
  }

  /** Every living agent, this peer's own too. */
  agents (): AgentView[] {
    return this.#peer.listing.directory.agents()
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
    this.#peer.hosting.settle()
    return this.#peer.showing.lists(prefix)
  }

  /**
   * Opens a shared document by its name, made where there is none; `close` gives it back. It is kept equal with all peers that have
   * it open.
   *
   * @throws SwarmError NAME_INVALID, DISK_FAILED, VERSION_UNSUPPORTED, FOLDER_UNUSABLE, OVERLOADED, CLOSED
   */
  async document (name: string): Promise<Document> {
    this.#assertOpen()
    return await (await this.#peer.documents.open()).open(name)
  }

  /** The documents on this disk, and those that are open, by name. @throws SwarmError FOLDER_UNUSABLE, VERSION_UNSUPPORTED, CLOSED */
  async documents (): Promise<DocumentEntry[]> {
    this.#assertOpen()
    return await this.#peer.documents.list()
  }

  /** Listens to what happens; the returned function stops it. */
  on<Name extends keyof SwarmEvents> (name: Name, listener: (event: SwarmEvents[Name]) => void): () => void {
    return this.#peer.events.on(name, listener)
  }

  /** One plain object that says how this peer is. */
  status (): Status {
    const { name, peerId } = this
    const { clock, dir = null } = this.#settings
    return statusOf(this.#peer, this.#membership, { peerId, name, addresses: this.addresses(), dir, uptimeMs: clock.nowMs() - this.#startedAtMs })
  }

  /** Leaves: tells the others, stops every agent and server, and closes all it opened. A second call waits for the first. */
  async close (): Promise<void> {
    await this.#peer.close()
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.close()
  }

  async #wait<Found> (what: string, event: keyof SwarmEvents, look: () => Found | undefined, options: WaitOptions): Promise<Found> {
    return await waitFor(what, look, { clock: this.#settings.clock, closing: this.#peer.closing.signal, onNews: listener => this.on(event, listener) }, options)
  }

  #assertOpen (): void {
    if (this.#peer.closing.signal.aborted) throw new SwarmError('CLOSED', 'the swarm is closed')
  }
}
