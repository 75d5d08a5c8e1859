import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { Emitter } from '../../lib/base/emitter.ts'
import { SwarmError, assert } from '../../lib/base/error.ts'
import type { Connection, DialOptions, Gossip, HandleOptions, Network, Routing, StreamHandler } from '../../lib/base/network.ts'
import { DIAL_MS_MAX, PROTOCOL_STREAMS_MAX } from '../bounds.ts'
import { settled } from '../settled.ts'
import { UNADMITTED_MAX, Waiting, limitAdmission } from '../strangers.ts'
import { MemoryConnection } from './connection.ts'
import type { Home, Service } from './connection.ts'
import { MemoryGossip } from './gossip.ts'
import type { Packet } from './gossip.ts'
import { MemoryRouting } from './routing.ts'
import type { Router } from './routing.ts'

/** What a network needs of its hub. */
export interface Hub {
  readonly clock: Clock
  carry (from: string, to: string, deliver: () => void, isGossip?: boolean): void
  /** May do it again, later: shows a message of gossip twice. */
  repeat (show: () => void): void
  find (from: string, address: string): MemoryNetwork | undefined
  forget (address: string): void
}

interface NetworkEvents { connection: Connection, addresses: undefined }

export class MemoryNetwork implements Network, Home {
  readonly peerId: string
  readonly #hub: Hub
  readonly #events = new Emitter<NetworkEvents>()
  readonly #services = new Map<string, Service>()
  readonly #connections = new Set<MemoryConnection>()
  readonly #dialling = new Map<string, Promise<unknown>>()
  readonly #unadmitted = new Waiting(UNADMITTED_MAX, 'wait for admission')
  readonly #closing = new AbortController()
  #address: string
  #gossip: MemoryGossip | undefined
  #routing: MemoryRouting | undefined
  #isOpen = true
  #dialled = 0

  constructor (hub: Hub, peerId: string, address: string) {
    this.#hub = hub
    this.peerId = peerId
    this.#address = address
  }

  get address (): string {
    return this.#address
  }

  get router (): MemoryRouting | undefined {
    return this.#routing
  }

  get clock (): Clock {
    return this.#hub.clock
  }

  addresses (): string[] {
    return this.#isOpen ? [this.address] : []
  }

  async dial (peerId: string, addresses: readonly string[], signal: AbortSignal, { anew = false }: DialOptions = {}): Promise<Connection> {
    const elder = new Set(anew ? this.#connections : [])
    const targets = addresses.filter(address => /^\/memory\/\d+$/.test(address))
    if (targets.length === 0 && addresses.length > 0) throw new SwarmError('ADDRESS_INVALID', `dial ${peerId}: no /memory/ address among ${addresses.slice(0, 3).join(', ')}`)
    for (;;) {
      if (!this.#isOpen) throw new SwarmError('CLOSED', `dial ${peerId}: this peer has closed`)
      if (signal.aborted) throw new SwarmError('ABORTED', `dial ${peerId} was given up`, { cause: signal.reason })
      if (peerId === this.peerId) throw new SwarmError('UNREACHABLE', `dial ${peerId}: that is this peer itself`)
      const open = [...this.#connections].find(connection => connection.peerId === peerId && !elder.has(connection))
      if (open !== undefined) return open
      const other = this.#dialling.get(peerId)
      if (other === undefined) break
      await settled(other, signal)
    }
    const dialling = this.#dial(peerId, targets, signal)
    this.#dialling.set(peerId, dialling)
    try {
      return await dialling
    } finally {
      this.#dialling.delete(peerId)
    }
  }

  handle (protocol: string, handler: StreamHandler, options: HandleOptions = {}): void {
    if (!this.#isOpen) throw new SwarmError('CLOSED', `handle ${protocol}: this peer has closed`)
    assert(!this.#services.has(protocol), `${protocol} has one handler`)
    this.#services.set(protocol, {
      handler,
      beforeAdmission: options.beforeAdmission ?? false,
      streamsMax: options.streamsMax ?? PROTOCOL_STREAMS_MAX
    })
  }

  unhandle (protocol: string): void {
    this.#services.delete(protocol)
  }

  onConnection (listener: (connection: Connection) => void): () => void {
    return this.#events.on('connection', listener)
  }

  onAddresses (listener: () => void): () => void {
    return this.#events.on('addresses', listener)
  }

  async gossip (): Promise<Gossip> {
    if (!this.#isOpen) throw new SwarmError('CLOSED', 'gossip: this peer has closed')
    if (this.#gossip === undefined) {
      this.#gossip = new MemoryGossip(this.address, show => { this.#hub.repeat(show) })
      for (const connection of this.#connections) if (connection.admitted) this.#gossip.meet(connection)
    }
    return this.#gossip
  }

  async routing (): Promise<Routing> {
    if (!this.#isOpen) throw new SwarmError('CLOSED', 'routing: this peer has closed')
    this.#routing ??= new MemoryRouting(this)
    return this.#routing
  }

  async close (): Promise<void> {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#gossip?.close()
    this.#routing?.close()
    this.#closing.abort(new SwarmError('CLOSED', 'this peer has closed'))
    this.#hub.forget(this.address)
    for (const connection of [...this.#connections]) await connection.close()
  }

  /** Ends the connections to a peer, as a broken network would. */
  lose (peerId: string): void {
    for (const connection of [...this.#connections]) {
      if (connection.peerId === peerId) connection.lose(new SwarmError('CLOSED', `the connection to ${peerId} broke`))
    }
  }

  /** Answers at another address from now on, as after a change of network. */
  move (address: string): void {
    this.#address = address
    this.#events.emit('addresses', undefined)
  }

  admitted (): Router[] {
    return [...this.#connections].map(({ partner }) => partner).filter(partner => partner !== undefined)
  }

  carry (to: string, deliver: () => void, isGossip?: boolean): void {
    this.#hub.carry(this.peerId, to, deliver, isGossip)
  }

  heard (packet: Packet, from: MemoryConnection): void {
    this.#gossip?.heard(packet, from)
  }

  service (protocol: string): Service | undefined {
    return this.#services.get(protocol)
  }

  async #dial (peerId: string, targets: readonly string[], signal: AbortSignal): Promise<MemoryConnection> {
    const failures: string[] = targets.length === 0 ? ['no address is known'] : []
    const bound = deadline(this.clock, DIAL_MS_MAX, signal, this.#closing.signal)
    try {
      for (const target of targets) {
        const reached = await this.#reach(peerId, target, bound.signal)
        if (reached instanceof MemoryConnection) return reached
        if (signal.aborted) throw new SwarmError('ABORTED', `dial ${peerId} was given up`, { cause: signal.reason })
        if (!this.#isOpen) throw new SwarmError('CLOSED', `dial ${peerId}: this peer has closed`)
        failures.push(`${target} ${reached}`)
      }
      throw new SwarmError('UNREACHABLE', `dial ${peerId}: ${failures.join('; ')}`, { details: { peerId, causes: failures } })
    } finally {
      bound.done()
    }
  }

  /** @returns the connection, or why there is none */
  async #reach (peerId: string, address: string, signal: AbortSignal): Promise<MemoryConnection | string> {
    return await new Promise<MemoryConnection | string>(resolve => {
      signal.addEventListener('abort', () => { resolve('does not answer') }, { once: true })
      const there = this.#hub.find(this.peerId, address)
      if (there === undefined) return this.carry(this.peerId, () => { resolve('refuses connections: nothing listens there') })
      this.carry(there.peerId, () => {
        const reachable = this.#hub.find(this.peerId, address) === there
        there.carry(this.peerId, () => {
          if (!reachable || this.#hub.find(this.peerId, address) !== there) return resolve('refuses connections: nothing listens there')
          if (there.peerId !== peerId) return resolve('answers as another peer')
          if (!this.#isOpen || signal.aborted) return resolve('was given up')
          resolve(this.#connect(there))
        })
      })
    })
  }

  #connect (there: MemoryNetwork): MemoryConnection {
    this.#dialled += 1
    const name = `${this.address}/${this.#dialled}`
    const here = new MemoryConnection(`${name}/out`, there.peerId, there.address, 'outbound', this)
    const other = new MemoryConnection(`${name}/in`, this.peerId, this.address, 'inbound', there)
    MemoryConnection.join(here, other)
    this.carry(there.peerId, () => { there.#arrived(other) })
    this.#arrived(here)
    return here
  }

  #arrived (connection: MemoryConnection): void {
    if (!this.#isOpen) return connection.lose(new SwarmError('CLOSED', 'this peer has closed'))
    if (!connection.isOpen) return
    this.#connections.add(connection)
    const cancel = limitAdmission(connection, this.clock)
    if (connection.direction === 'inbound') this.#unadmitted.add(connection)
    const waitNoMore = (): void => {
      cancel()
      this.#unadmitted.delete(connection)
    }
    connection.onAdmit(() => {
      waitNoMore()
      this.#gossip?.meet(connection)
    })
    connection.onClose(() => {
      waitNoMore()
      this.#connections.delete(connection)
      this.#gossip?.part(connection)
    })
    this.#events.emit('connection', connection)
  }
}
