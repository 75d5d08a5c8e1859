/**
 * The ports of a made swarm's peer, kept from one start to the next: what others remember of it, and what the tickets say that it
 * made, stays true for as long as nobody else takes the port meanwhile. A hint to ourselves: where it leads nowhere, any port will do.
 */
import { SwarmError } from '../base/error.ts'
import { isObject } from '../base/json.ts'
import type { Network } from '../base/network.ts'

/** One port for each way to listen: `ip4 tcp`, `ip4 ws`, `ip6 tcp`… */
export type Ports = Readonly<Record<string, number>>

const PORT_MIN = 1_024
const PORT_MAX = 65_535

/** A way to listen on every interface, or an address that comes of it. */
const LISTENS = /^\/(ip4|ip6)\/[^/]+\/tcp\/(\d+)(\/ws)?$/

/** Keeps ports somewhere. */
export interface PortStore {
  /** Those of last time, if anything is known of them. */
  load (): Promise<Ports>
  /** @throws SwarmError where they cannot be kept */
  save (ports: Ports): Promise<void>
}

/**
 * Opens a network on the ports of last time where they are free, on others where they are not, and keeps those that it has then.
 *
 * @param listen addresses with port 0 get the kept port of their kind
 * @param announced addresses that the network names and does not listen on
 * @throws SwarmError what `open` throws, but PORT_IN_USE for a kept port
 */
export async function openAgain (listen: readonly string[], store: PortStore, open: (listen: readonly string[]) => Promise<Network>, announced: readonly string[] = []): Promise<Network> {
  const has = (network: Network): Ports => portsOf(network.addresses().filter(address => !announced.includes(address)))
  const kept = await store.load()
  let network = await openFirst(choices(listen, kept), open)
  const lost = Object.keys(kept).filter(name => listen.some(address => kindOf(address)?.name === name) && !(name in has(network)))
  if (lost.length > 0) {
    // Where no IPv6 address can be listened on, there is said to be no IPv6: another program may merely have that port.
    await network.close()
    network = await openFirst(choices(listen, Object.fromEntries(Object.entries(kept).filter(([name]) => !lost.includes(name)))), open)
  }
  const now = has(network)
  try {
    if (Object.keys({ ...kept, ...now }).some(name => kept[name] !== now[name])) await store.save(now)
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error // a disk that is full costs the same ports next time, and nothing now
  }
  return network
}

/** The ports that addresses name. */
export function portsOf (addresses: readonly string[]): Ports {
  return Object.fromEntries(addresses.flatMap(address => {
    const kind = kindOf(address)
    return kind === undefined ? [] : [[kind.name, kind.port] as const]
  }))
}

/** Whatever a file holds: what is no port is left out. */
export function readPorts (value: unknown): Ports {
  const kinds = isObject(value) ? Object.entries(value) : []
  return Object.fromEntries(kinds.filter((kind): kind is [string, number] => Number.isInteger(kind[1]) && Number(kind[1]) >= PORT_MIN && Number(kind[1]) <= PORT_MAX))
}

/** In which order to try: all kept ports, all but one, none of them. */
function choices (listen: readonly string[], kept: Ports): string[][] {
  const named = (without: (nth: number) => boolean): string[] => listen.map((address, nth) => {
    const kind = kindOf(address)
    const port = kind?.port === 0 && !without(nth) ? kept[kind.name] : undefined
    return port === undefined ? address : address.replace('/tcp/0', `/tcp/${port}`)
  })
  const all = [named(() => false), ...listen.map((_, taken) => named(nth => nth === taken)), [...listen]]
  const distinct = new Map(all.map(choice => [choice.join(), choice]))
  return [...distinct.values()]
}

async function openFirst ([choice, ...rest]: readonly (readonly string[])[], open: (listen: readonly string[]) => Promise<Network>): Promise<Network> {
  try {
    return await open(choice ?? [])
  } catch (error) {
    if (rest.length === 0 || !(error instanceof SwarmError) || error.code !== 'PORT_IN_USE') throw error
    return await openFirst(rest, open)
  }
}

function kindOf (address: string): { readonly name: string, readonly port: number } | undefined {
  const [, family, port, ws] = LISTENS.exec(address) ?? []
  return family === undefined ? undefined : { name: `${family} ${ws === undefined ? 'tcp' : 'ws'}`, port: Number(port) }
}
