import type { Connection as LibConnection, Stream } from '@libp2p/interface'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Libp2pConnection } from './connection.ts'
import { Lane } from './gossip-lane.ts'
import type { LaneHost } from './gossip-lane.ts'
import type { Router } from './gossip-router.ts'
import type { Guard } from './guard.ts'

/** A look at the lanes that comes this much too late was kept from coming: this process was busy, or asleep. */
const LATE_MS = 400

/** Longest wait for slow neighbours to take what was published. */
const DRAIN_MS_MAX = 1_000

/** A neighbour's connections are given up for its gossip at most this often: its calls suffer for it. */
const DESPAIR_MS = 600_000

/** Neighbours of which that is remembered, the oldest forgotten first. */
const DESPAIRED_MAX = 1_000

/** What we speak: gossipsub 1.2, with the salt in front of each message that gossip.ts describes. @param swarmId undefined for peers that belong to none */
export function gossipProtocol (swarmId: string | undefined): string {
  return `/mcp-swarm/${swarmId === undefined ? '' : `${swarmId}/`}gossip/1.0.0`
}

/** A lane to each neighbour, and the one timer that watches them all. */
export class Lanes {
  readonly #protocol: string
  readonly #clock: Clock
  readonly #router: Router
  readonly #lanes = new Map<string, Lane>()
  readonly #despairedMs = new Map<string, number>()
  #dueMs = Infinity
  #cancel: (() => void) | undefined
  #isOpen = true

  constructor (protocol: string, clock: Clock, router: Router) {
    this.#protocol = protocol
    this.#clock = clock
    this.#router = router
  }

  /** Answers neighbours that open a stream. */
  async listen (guard: Guard, find: (raw: LibConnection) => Libp2pConnection | undefined): Promise<void> {
    await guard.handle(this.#protocol, (stream, raw) => {
      const connection = find(raw)
      if (connection === undefined || !this.#isOpen) stream.abort(new SwarmError('CLOSED', 'gossip has closed'))
      else this.#serve(stream, connection)
    }, { runOnLimitedConnection: true })
  }

  meet (connection: Libp2pConnection): void {
    const lane = this.#to(connection.peerId)
    connection.onClose(() => { this.#part(connection, lane) })
    if (connection.isOpen) lane.meet(connection)
  }

  /** Resolves when the neighbours' lanes have sent what they hold, or after DRAIN_MS_MAX. */
  async drained (peerIds: readonly string[]): Promise<void> {
    const waits = peerIds.map(peerId => this.#lanes.get(peerId)?.drained()).filter(wait => wait !== undefined)
    if (waits.length === 0) return
    await new Promise<void>(resolve => {
      const cancel = this.#clock.after(DRAIN_MS_MAX, resolve)
      void Promise.all(waits).then(() => {
        cancel()
        resolve()
      })
    })
  }

  close (): void {
    this.#isOpen = false
    this.#cancel?.()
    for (const lane of this.#lanes.values()) lane.close()
    this.#lanes.clear()
  }

  #serve (stream: Stream, connection: Libp2pConnection): void {
    if (this.#lanes.get(connection.peerId)?.hasWays !== true) this.meet(connection) // it gossips before we have looked
    this.#to(connection.peerId).serve(stream)
  }

  #to (peerId: string): Lane {
    const known = this.#lanes.get(peerId)
    if (known !== undefined) return known
    const host: LaneHost = {
      clock: this.#clock,
      protocol: this.#protocol,
      connect: async (connection, outlet) => { await this.#router.connect(connection, outlet) },
      receive: (connection, inlet) => { this.#router.receive(connection, inlet) },
      forget: connection => { this.#router.forget(connection) },
      due: () => { this.#arm(lane.watch.dueMs()) },
      despair: connections => { this.#despair(peerId, connections) }
    }
    const lane = new Lane(host)
    this.#lanes.set(peerId, lane)
    return lane
  }

  #part (connection: Libp2pConnection, lane: Lane): void {
    lane.part(connection)
    if (!lane.hasWays && this.#lanes.get(connection.peerId) === lane) this.#lanes.delete(connection.peerId)
  }

  /** Looks again no later than that. */
  #arm (dueMs: number): void {
    if (!this.#isOpen || dueMs >= this.#dueMs) return
    this.#cancel?.()
    this.#dueMs = dueMs
    this.#cancel = this.#clock.after(Math.max(0, dueMs - this.#clock.nowMs()), () => { this.#look() })
  }

  #look (): void {
    const nowMs = this.#clock.nowMs()
    const isLate = nowMs - this.#dueMs > LATE_MS
    this.#dueMs = Infinity
    for (const lane of [...this.#lanes.values()].filter(({ isOpen }) => isOpen)) {
      if (isLate) lane.watch.excuse(nowMs)
      lane.check(nowMs)
      if (lane.isOpen) this.#arm(lane.watch.dueMs())
    }
  }

  /** New streams do not help, time after time: a new connection may. Who wants the peer dials it again. */
  #despair (peerId: string, connections: readonly Libp2pConnection[]): void {
    const nowMs = this.#clock.nowMs()
    if (nowMs - (this.#despairedMs.get(peerId) ?? -Infinity) < DESPAIR_MS) return
    this.#despairedMs.delete(peerId)
    this.#despairedMs.set(peerId, nowMs)
    for (const oldest of this.#despairedMs.keys()) {
      if (this.#despairedMs.size <= DESPAIRED_MAX) break
      this.#despairedMs.delete(oldest)
    }
    for (const connection of connections) connection.abort(new SwarmError('UNREACHABLE', `${peerId} does not hear gossip over this connection`))
  }
}
