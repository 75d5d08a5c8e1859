/**
 * One way onto a LAN: an interface with one family of addresses, and a socket of its own that sends there and hears what was
 * sent there. Many programs of a machine listen on port 5353 at once, and each hears all that is multicast, on whichever
 * interface: so a link takes only what comes from a neighbour on its own. Nothing is asked for by unicast, since the system
 * gives that to only one of those programs.
 *
 * Sending may fail, and what is sent may reach nobody: a firewall may drop it without a word. A link hears what it sends itself,
 * so silence is noticed too, unless it lies further off.
 */
import { createSocket, type Socket } from 'node:dgram'
import { BlockList, isIP } from 'node:net'
import type { InterfaceAddress } from '#interfaces'

/** Where every program on the LAN that finds others listens (RFC 6762, section 3). */
export const PORT = 5353
const GROUPS = { 4: '224.0.0.251', 6: 'ff02::fb' } as const

/** So that a packet which has crossed a router can be told (RFC 6762, section 11). */
const TTL = 255

export interface LinkParts {
  readonly name: string
  readonly family: 4 | 6
  /** All of the interface's addresses, of both families. */
  readonly addresses: readonly InterfaceAddress[]
  /** A packet by a neighbour: it is valid only during the call. */
  readonly onPacket: (bytes: Uint8Array, source: string) => void
  /** Nothing can be sent or heard, by the system's code; undefined: now it can. */
  readonly onFailing: (code: string | undefined) => void
}

export class Link {
  /** The name of the interface and the family: `eth0/4`. */
  readonly id: string
  readonly #parts: LinkParts
  readonly #own: InterfaceAddress
  readonly #neighbours = new BlockList()
  readonly #ready: Promise<boolean>
  #socket: Socket | undefined
  #isOpen = true

  constructor (parts: LinkParts) {
    const { name, family, addresses } = parts
    this.#parts = parts
    this.id = idOf(name, family)
    const own = addresses.find(address => address.family === family)
    if (own === undefined) throw new Error(`bug: ${name} has no address of family ${family}`)
    this.#own = own
    for (const { address, bits, family } of addresses) this.#neighbours.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6')
    if (family === 6) this.#neighbours.addSubnet('fe80::', 10, 'ipv6')
    this.#ready = this.#open()
  }

  /** Whether an address can be of a neighbour on this link. */
  isNear (address: string): boolean {
    const family = isIP(address)
    return family !== 0 && this.#neighbours.check(address, family === 4 ? 'ipv4' : 'ipv6')
  }

  /** Whether an address is one of the interface's own. */
  isOwn (address: string): boolean {
    return this.#parts.addresses.some(own => own.address === address)
  }

  /** Sends to every neighbour; what cannot be sent is told to `onFailing`. */
  async send (bytes: Uint8Array): Promise<void> {
    if (!await this.#ready || !this.#isOpen) return
    const code = await new Promise<string | undefined>(resolve => {
      this.#socket?.send(bytes, PORT, GROUPS[this.#parts.family], error => { resolve(error === null ? undefined : codeOf(error)) })
    })
    if (this.#isOpen) this.#parts.onFailing(code)
  }

  async close (): Promise<void> {
    if (!this.#isOpen) return
    await this.#ready
    this.#isOpen = false
    await new Promise<void>(resolve => {
      if (this.#socket === undefined) resolve()
      else this.#socket.close(() => { resolve() })
    })
  }

  /** @returns whether it can be used */
  async #open (): Promise<boolean> {
    const { family, onFailing, onPacket } = this.#parts
    const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', reuseAddr: true, ipv6Only: family === 6 })
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('error', reject)
        socket.bind({ port: PORT, exclusive: true }, () => {
          socket.off('error', reject)
          resolve()
        })
      })
      // By its address a system finds the interface of an IPv4 one; of IPv6, by its name or number, in a place kept for it.
      const at = family === 4 ? this.#own.address : `::%${this.#own.zone}`
      socket.addMembership(GROUPS[family], at)
      socket.setMulticastInterface(at)
      socket.setMulticastTTL(TTL)
      socket.setMulticastLoopback(true)
    } catch (error) {
      socket.close()
      onFailing(codeOf(error))
      return false
    }
    socket.on('error', error => { onFailing(codeOf(error)) })
    socket.on('message', (bytes, { address, port }) => {
      const [source = '', zone] = address.split('%')
      if (this.#isOpen && port === PORT && (zone === undefined || zone === this.#own.zone) && this.isNear(source)) onPacket(bytes, source)
    })
    socket.unref()
    this.#socket = socket
    return true
  }
}

export const idOf = (name: string, family: 4 | 6): string => `${name}/${family}`

function codeOf (error: unknown): string {
  return (error as { code?: string }).code ?? 'UNKNOWN'
}
