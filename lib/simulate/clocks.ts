/**
 * How far a peer has written under its clientIDs, as the world knows, and as the peer has been told. Clocks that were shown must not be
 * written again, and under a clientID of which others know more nothing must be written at all.
 */
import { readEnvelope, type Verify } from '../../crdt/envelope.ts'
import { readMessage } from '../../crdt/message.ts'
import { readUpdate, readVector } from '../../crdt/update.ts'
import type { Parcel } from './network.ts'

export class Clocks {
  readonly #swarmId: string
  readonly #verify: Verify
  readonly #written = new Map<number, number>()
  /** In this life. */
  readonly #told = new Map<number, number>()
  /** How often the peer has written again under clocks that it had lost. On an honest disk nobody has seen those. */
  reuses = 0

  constructor (swarmId: string, verify: Verify) {
    this.#swarmId = swarmId
    this.#verify = verify
  }

  /** The peer is started. */
  begin (): void {
    this.#told.clear()
  }

  /** @param client under which the peer writes @param parcel from an honest peer */
  hear (client: number, { kind, bytes }: Parcel): void {
    for (const clock of kind === 'gossip' ? this.#inEnvelope(bytes, client) : inMessage(bytes, client)) raise(this.#told, client, clock)
  }

  /** The peer is about to write. @param clock up to which it knows itself what it wrote @returns whether others have told it of more */
  write (client: number, clock: number): boolean {
    if (clock < (this.#written.get(client) ?? 0)) this.reuses++
    return clock < (this.#told.get(client) ?? 0)
  }

  wrote (client: number, clock: number): void {
    raise(this.#written, client, clock)
  }

  #inEnvelope (bytes: Uint8Array, client: number): number[] {
    const { updates } = readEnvelope(bytes, this.#swarmId, this.#verify)
    return updates.flatMap(update => readUpdate(update).ranges.map(range => range.client === client ? range.to : 0))
  }
}

function raise (clocks: Map<number, number>, client: number, clock: number): void {
  clocks.set(client, Math.max(clock, clocks.get(client) ?? 0))
}

function inMessage (bytes: Uint8Array, client: number): number[] {
  const message = readMessage(bytes)
  return 'vector' in message ? [readVector(message.vector).get(client) ?? 0] : []
}
