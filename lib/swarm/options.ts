import { defaultName, environment } from '#platform'
import { systemClock, type Clock } from '../base/clock.ts'
import type { Discovery, DiscoveryOptions } from '../base/discovery.ts'
import { SwarmError } from '../base/error.ts'
import { isObject } from '../base/json.ts'
import type { Network, RelayOptions } from '../base/network.ts'
import { systemRandom, type Random } from '../base/random.ts'
import type { PrivateKey } from '../identity/key.ts'
import type { Config } from './config.ts'
import type { Rendezvous, RendezvousOptions } from './rendezvous.ts'

/** See `JoinOptions.durability`. */
export type Durability = typeof DURABILITIES[number]

const DURABILITIES = ['strict', 'interval', 'memory'] as const

/** By what means a peer looks for others, and is found. */
export interface Means {
  /** The rendezvous folder of this machine and user. */
  readonly folder: boolean
  /** Multicast on the LAN. */
  readonly mdns: boolean
  /** The hash table of the swarm's members. */
  readonly dht: boolean
}

const NO_MEANS: Means = { folder: false, mdns: false, dht: false }

/** Longest name of a peer, in characters. */
export const NAME_MAX = 64

/** Most addresses one peer listens on. */
export const LISTEN_MAX = 16

/** Most addresses that one peer announces besides: a ticket has room for few. */
export const ANNOUNCE_MAX = 4

/**
 * What `joinSwarm` takes. Where a setting is absent it comes from its `MCP_SWARM_…` variable, then from the config file,
 * then from its default.
 */
export interface JoinOptions {
  /**
   * Data folder: the peer's key, what it knows of others, its documents. Memory only without it. In a page it names databases of the
   * page's origin, for pages of https or of this machine. `MCP_SWARM_DIR`.
   */
  readonly dir?: string
  /**
   * A ticket that an admin's `invite` made: this peer joins that swarm. It is used once, where `dir` does not belong to the swarm
   * yet; without `dir`, at each call. `MCP_SWARM_TICKET`.
   */
  readonly ticket?: string
  /** What people call this peer: 1 to 64 characters. Default `user@machine`. `MCP_SWARM_NAME`, `swarm.name`. */
  readonly name?: string
  /**
   * Multiaddrs to listen on, up to 16. Default in the user's own swarm `/ip4/127.0.0.1/tcp/0`: a free port, this machine only; in a swarm that was
   * made, every interface, by TCP and by WebSocket. `MCP_SWARM_LISTEN`, comma-separated.
   */
  readonly listen?: readonly string[]
  /**
   * Multiaddrs where others can dial this peer besides those that it listens on, told before them: of a proxy with a certificate
   * (`/dns4/example.org/tcp/443/wss`), of a router that passes a port on. `MCP_SWARM_ANNOUNCE`, comma-separated.
   */
  readonly announce?: readonly string[]
  /**
   * By what means to look for peers, and be found; what is left out is as by default: in the user's own swarm the rendezvous folder
   * alone, in a swarm that was made all. `MCP_SWARM_DISCOVERY`: `on`, `off`, or those of `folder,mdns,dht` that are wanted.
   */
  readonly discovery?: boolean | Partial<Means>
  /**
   * Be ready before listening where nobody is there to be met and nothing is shared: until `Swarm.listen` is called, what was known
   * is shown, and nobody is dialled. For a gateway, which answers its client the sooner. Default false.
   */
  readonly listensLate?: boolean
  /**
   * What `flushed()` of a document promises. `strict`: it is there after a power cut; `interval`: after a crash of this process, and
   * a tenth of a second later after a power cut; `memory`: while this process lives. Default `strict` with a `dir`, in a page
   * `interval`, which is all it can promise; without a `dir` always `memory`. `MCP_SWARM_DURABILITY`.
   */
  readonly durability?: Durability
  /** A parsed config file: the servers it shares are offered by this peer. */
  readonly config?: Config
  /** Time, chance, network and the swarm's key as arguments: for tests and simulations. */
  readonly seams?: Seams
}

export interface Seams {
  readonly clock?: Clock
  readonly random?: Random
  readonly openNetwork?: (options: { key: PrivateKey, listen: readonly string[], announce: readonly string[], swarmId: string, relay: RelayOptions | undefined, clock: Clock, random: Random }) => Promise<Network>
  readonly openRendezvous?: (options: RendezvousOptions) => Promise<Rendezvous>
  readonly openMdns?: (options: DiscoveryOptions) => Promise<Discovery>
  /** False: peers neither pass on nor take in what others say of third ones. */
  readonly hearsay?: boolean
  readonly swarmKey?: PrivateKey
}

/** The options with every setting decided and checked. */
export interface Settings {
  readonly dir: string | undefined
  readonly ticket: string | undefined
  readonly name: string
  /** Undefined: see reach.ts. */
  readonly listen: readonly string[] | undefined
  readonly announce: readonly string[]
  readonly discovery: Partial<Means> | undefined
  readonly durability: Durability | undefined
  readonly config: Config | undefined
  readonly listensLate: boolean
  readonly clock: Clock
  readonly random: Random
  readonly seams: Seams
}

/**
 * Decides every setting once.
 *
 * @throws SwarmError INVALID_OPTION naming the setting and what it takes
 */
export function settle (options: JoinOptions, variables = environment): Settings {
  const { MCP_SWARM_DIR, MCP_SWARM_NAME, MCP_SWARM_LISTEN, MCP_SWARM_ANNOUNCE, MCP_SWARM_DISCOVERY, MCP_SWARM_DURABILITY } = variables
  const { seams = {} } = options
  const dir = checkDir(options.dir ?? MCP_SWARM_DIR)
  return {
    dir,
    ticket: checkTicket(options.ticket ?? variables.MCP_SWARM_TICKET),
    name: checkName(options.name ?? MCP_SWARM_NAME ?? options.config?.swarm.name ?? defaultName().slice(0, NAME_MAX)),
    listen: checkAddresses('listen', options.listen ?? listed(MCP_SWARM_LISTEN), LISTEN_MAX),
    announce: checkAddresses('announce', options.announce ?? listed(MCP_SWARM_ANNOUNCE), ANNOUNCE_MAX) ?? [],
    discovery: checkDiscovery(options.discovery ?? MCP_SWARM_DISCOVERY),
    durability: checkDurability(options.durability ?? MCP_SWARM_DURABILITY, dir),
    config: options.config,
    listensLate: options.listensLate === true && options.listen === undefined && MCP_SWARM_LISTEN === undefined,
    clock: seams.clock ?? systemClock,
    random: seams.random ?? systemRandom,
    seams
  }
}

function checkDir (dir: unknown): string | undefined {
  if (dir === undefined || (typeof dir === 'string' && dir !== '')) return dir
  throw new SwarmError('INVALID_OPTION', 'dir takes the path of a folder')
}

function checkTicket (ticket: unknown): string | undefined {
  if (ticket === undefined || ticket === '') return undefined
  if (typeof ticket === 'string') return ticket
  throw new SwarmError('INVALID_OPTION', 'ticket takes the line that mcp-swarm invite prints')
}

function checkName (name: unknown): string {
  if (typeof name === 'string' && name.length >= 1 && name.length <= NAME_MAX && !/\p{C}/u.test(name)) return name
  throw new SwarmError('INVALID_OPTION', `name takes 1 to ${NAME_MAX} printable characters`)
}

function listed (variable: string | undefined): string[] | undefined {
  return variable?.split(',').map(address => address.trim())
}

function checkAddresses (setting: string, addresses: unknown, limit: number): readonly string[] | undefined {
  if (addresses === undefined) return undefined
  if (Array.isArray(addresses) && addresses.length <= limit && addresses.every(address => typeof address === 'string' && address.startsWith('/'))) return addresses as string[]
  throw new SwarmError('INVALID_OPTION', `${setting} takes up to ${limit} multiaddrs such as /ip4/127.0.0.1/tcp/4001`)
}

function checkDiscovery (discovery: unknown): Partial<Means> | undefined {
  if (discovery === undefined || discovery === true || discovery === 'on') return undefined
  if (discovery === false || discovery === 'off') return NO_MEANS
  if (typeof discovery === 'string') {
    const named = discovery.split(',').map(name => name.trim())
    if (named.every(isMeans)) return { ...NO_MEANS, ...Object.fromEntries(named.map(name => [name, true])) }
  } else if (isObject(discovery) && Object.entries(discovery).every(([name, value]) => isMeans(name) && (value === undefined || typeof value === 'boolean'))) return discovery
  throw new SwarmError('INVALID_OPTION', 'discovery takes true, false or { folder, mdns, dht }; MCP_SWARM_DISCOVERY takes on, off, or some of folder,mdns,dht')
}

function isMeans (name: string): boolean {
  return name in NO_MEANS
}

function checkDurability (durability: unknown, dir: string | undefined): Durability | undefined {
  const known = DURABILITIES.find(each => each === durability)
  if (durability !== undefined && known === undefined) throw new SwarmError('INVALID_OPTION', `durability takes ${DURABILITIES.join(', ')}`)
  if (dir === undefined && known !== undefined && known !== 'memory') throw new SwarmError('INVALID_OPTION', `durability ${known} needs dir: without a data folder documents are in memory only`)
  return known
}
