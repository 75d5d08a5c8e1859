/**
 * Connections through another peer: circuit relay v2 among members, loaded when one is dialled, offered or wanted.
 *
 * A member that serves lends others an address, `<its own>/p2p/<its id>/p2p-circuit`, and passes on what comes there. It cannot read
 * it: both ends shake hands through it as they would over a socket, and say hello. Only admitted peers are served, since libp2p's
 * parts get the guard for a registrar and see admitted connections alone. What one relay gives is bounded: addresses lent, and
 * circuits that one neighbour may have open; not bytes or time, as members rely on what goes there.
 */
import { RELAY_V2_HOP_CODEC as HOP_PROTOCOL, circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import type { PeerId, Transport } from '@libp2p/interface'
import { CODE_P2P, multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { isRelayed, withoutPeer } from './address.ts'
import type { Libp2pConnection } from './connection.ts'
import type { Components, Guard } from './guard.ts'

/** Addresses that one relay lends at once unless told otherwise. */
export const RESERVATIONS_MAX = 64

/** Circuits that one neighbour may have through us at once: as dialler, and as the one that is dialled. */
export const CIRCUITS_PER_PEER_MAX = 64

/** How long an address is lent, in milliseconds; whoever uses it asks again before that. */
export const RESERVATION_MS = 3_600_000

/** Longest that agreeing on a circuit or a reservation takes, in milliseconds. */
const HOP_MS_MAX = 10_000

export interface RelayParts {
  readonly components: Components
  readonly guard: Guard
  readonly clock: Clock
  /** An admitted connection, a direct one if there is one. */
  readonly find: (peerId: string) => Libp2pConnection | undefined
  /** Resolves when a connection is there and admitted. @throws SwarmError */
  readonly connect: (peerId: string, addresses: readonly string[], signal: AbortSignal) => Promise<Libp2pConnection>
}

type CircuitTransport = Transport & {
  start (): Promise<void>
  stop (): Promise<void>
  /** Not declared: reserves anew at a relay that an address was had from before. */
  readonly reservationStore: { addRelay (peerId: PeerId, type: 'configured'): Promise<unknown> }
}

export class Relay {
  readonly #parts: RelayParts
  readonly #transport: CircuitTransport
  readonly #listened = new Set<string>()
  #server: { stop (): Promise<void> } | undefined

  private constructor (parts: RelayParts, transport: CircuitTransport) {
    this.#parts = parts
    this.#transport = transport
  }

  /** Dials relayed addresses, and answers at those that others lend us, from now on. */
  static async open (parts: RelayParts): Promise<Relay> {
    const { components } = parts
    const transport = circuitRelayTransport({
      maxInboundStopStreams: CIRCUITS_PER_PEER_MAX, maxOutboundStopStreams: CIRCUITS_PER_PEER_MAX, reservationCompletionTimeout: HOP_MS_MAX
    })(standIns(parts) as unknown as Parameters<ReturnType<typeof circuitRelayTransport>>[0]) as unknown as CircuitTransport
    components.transportManager.add(transport)
    await transport.start()
    return new Relay(parts, transport)
  }

  /** Lends others addresses from now on. */
  async serve (reservationsMax = RESERVATIONS_MAX): Promise<void> {
    if (this.#server !== undefined) return
    const server = circuitRelayServer({
      hopTimeout: HOP_MS_MAX,
      maxInboundHopStreams: CIRCUITS_PER_PEER_MAX, maxOutboundHopStreams: CIRCUITS_PER_PEER_MAX, maxOutboundStopStreams: CIRCUITS_PER_PEER_MAX,
      reservations: { maxReservations: reservationsMax, applyDefaultLimit: false, reservationTtl: RESERVATION_MS }
    })(standIns(this.#parts) as unknown as Parameters<ReturnType<typeof circuitRelayServer>>[0]) as unknown as { start (): Promise<void>, stop (): Promise<void> }
    this.#server = server
    await server.start()
  }

  /**
   * Has an address lent by a peer that is connected directly: `addresses()` then has it.
   *
   * @throws SwarmError UNREACHABLE if it lends none
   */
  async reserve (peerId: string): Promise<void> {
    const connection = this.#parts.find(peerId)
    if (connection === undefined || connection.path === 'relay') throw new SwarmError('UNREACHABLE', `reserve at ${peerId}: it is not connected directly`)
    const bound = deadline(this.#parts.clock, HOP_MS_MAX)
    try {
      // libp2p never again asks a peer that did not speak the protocol once, and this one may be about to.
      const probe = await connection.openRaw(HOP_PROTOCOL, bound.signal)
      probe.abort(new SwarmError('CLOSED', 'a look'))
      const { remotePeer } = connection.raw
      if (this.#listened.has(peerId)) await this.#transport.reservationStore.addRelay(remotePeer, 'configured')
      else await this.#parts.components.transportManager.listen([multiaddr(`${withoutPeer(connection.raw.remoteAddr)}/p2p/${peerId}/p2p-circuit`)])
      this.#listened.add(peerId)
    } catch (cause) {
      throw new SwarmError('UNREACHABLE', `reserve at ${peerId}: it lends no address`, { cause })
    } finally {
      bound.done()
    }
  }

  async close (): Promise<void> {
    await this.#server?.stop()
    await this.#transport.stop()
  }
}

/** What circuit relay sees of libp2p: connections that both ends have admitted. */
function standIns ({ components, guard, clock, connect, find }: RelayParts): object {
  const { addressManager, connectionGater, events, logger, peerId, peerStore, privateKey, transportManager, upgrader } = components
  return {
    addressManager, connectionGater, events, logger, peerId, peerStore, privateKey, transportManager, upgrader,
    registrar: guard,
    connectionManager: {
      getConnections: (to: PeerId) => {
        const connection = find(to.toString())
        return connection === undefined || connection.path === 'relay' ? [] : [connection.raw]
      },
      openConnection: async (to: PeerId | Multiaddr, { signal }: { signal?: AbortSignal } = {}) => {
        const isAddress = 'getComponents' in to
        const id = isAddress ? to.getComponents().findLast(({ code }) => code === CODE_P2P)?.value : to.toString()
        if (id === undefined) throw new SwarmError('ADDRESS_INVALID', `${to.toString()} names no relay`)
        const known = find(id)
        if (known?.path === 'direct') return known.raw
        const addresses = isAddress ? [to] : await peerStore.get(to).then(({ addresses }) => addresses.map(each => each.multiaddr), () => [])
        const bound = deadline(clock, HOP_MS_MAX, signal)
        try {
          // A relay behind another relay is none: it would only add a way on which to get lost.
          return (await connect(id, addresses.filter(address => !isRelayed(address)).map(withoutPeer), bound.signal)).raw
        } finally {
          bound.done()
        }
      }
    }
  }
}
