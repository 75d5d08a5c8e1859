/** Members gone bad: one says different things to different peers, one forges, and both sign what they may sign. */
import { clientOf } from '../../crdt/author.ts'
import { fromHex } from '../../crdt/cursor.ts'
import { signEnvelope, type Signer } from '../../crdt/envelope.ts'
import { documentOf, emptyDocument } from '../../crdt/state.ts'
import type { Chance } from './chance.ts'
import type { SimulatedPeer } from './peer.ts'

/** Stands in what nobody may have taken in. */
export const FORGED = 'FORGED'

export interface Speech { readonly to: readonly string[], readonly envelope: Uint8Array }

export interface Outlaw { speak (peers: readonly SimulatedPeer[]): Speech[] }

interface Identity { readonly signer: Signer, readonly document: string, readonly swarmId: string, readonly chance: Chance }

/** Writes two branches under one clientID and shows each half of the peers another one. */
export class Liar implements Outlaw {
  readonly #identity: Identity
  #incarnation = 0
  #sequence = 0

  constructor (identity: Identity) {
    this.#identity = identity
  }

  speak (peers: readonly SimulatedPeer[]): Speech[] {
    const { signer, document, swarmId, chance } = this.#identity
    const base = chance.of(peers).state
    // Mostly the next lie goes on where one of the branches has come to, as that peer knows it.
    if (chance.hits(0.3)) this.#incarnation = chance.from(0, 3)
    const client = clientOf(fromHex(document), signer.publicKey, this.#incarnation)
    const speeches: Speech[] = []
    for (const branch of [0, 1]) {
      const doc = documentOf(emptyDocument, base, [])
      doc.clientID = client
      const updates: Uint8Array[] = []
      doc.on('update', update => { updates.push(update) })
      for (let left = chance.from(1, 3); left > 0; left--) {
        const text = doc.getText('text')
        switch (chance.from(0, 3)) {
          case 0: text.insert(chance.from(0, text.length), `<${branch}>`); break
          case 1: doc.getMap('map').set(`k${chance.from(0, 5)}`, branch); break
          case 2: doc.getMap('map').set(`k${chance.from(0, 5)}`, new (text.constructor as new (text: string) => typeof text)('lie')); break
          default: doc.getArray('list').insert(0, [branch, branch])
        }
      }
      doc.destroy()
      const previous = this.#sequence
      const envelope = signEnvelope(signer, swarmId, { document, incarnation: this.#incarnation, sequence: ++this.#sequence, previous, keyId: 0, updates })
      const half = peers.filter((_, index) => index % 2 === branch).map(({ id }) => id)
      speeches.push({ to: chance.hits(0.2) ? peers.map(({ id }) => id) : half, envelope })
    }
    return speeches
  }
}

/** Tries to get FORGED into the document: unsigned, under others' clientIDs, in updates that break off, behind gaps. */
export class Forger implements Outlaw {
  readonly #identity: Identity
  #sequence = 0

  constructor (identity: Identity) {
    this.#identity = identity
  }

  speak (peers: readonly SimulatedPeer[]): Speech[] {
    const { signer, document, swarmId, chance } = this.#identity
    const victim = chance.of(peers)
    const own = clientOf(fromHex(document), signer.publicKey, 0)
    const isTheft = chance.hits(0.4)
    const update = this.#write(victim, isTheft ? victim.replica.client : own)
    const sign = (updates: Uint8Array[]): Uint8Array => {
      const previous = this.#sequence++
      return signEnvelope(signer, swarmId, { document, incarnation: 0, sequence: this.#sequence, previous, keyId: 0, updates })
    }
    const to = peers.map(({ id }) => id)
    if (isTheft) return [{ to, envelope: sign([update]) }]
    switch (chance.from(0, 2)) {
      case 0: {
        const envelope = sign([update])
        envelope[envelope.byteLength - 1] = (envelope.at(-1) ?? 0) ^ 1
        return [{ to, envelope }]
      }
      // Yjs applies all structs of this one before it misses the last byte.
      case 1: return [{ to, envelope: sign([update.subarray(0, -1)]) }]
      default: return [{ to, envelope: sign(Array.from({ length: 40 }, (_, index) => this.#gap(own, 1_000 + 7 * index))) }]
    }
  }

  #write (victim: SimulatedPeer, client: number): Uint8Array {
    const doc = documentOf(emptyDocument, victim.state, [])
    doc.clientID = client
    let update: Uint8Array = new Uint8Array()
    doc.on('update', bytes => { update = bytes })
    doc.getArray('list').push([FORGED])
    doc.destroy()
    return update
  }

  /** One deleted clock, far ahead of all that its client wrote. */
  #gap (client: number, clock: number): Uint8Array {
    const bytes: number[] = [1, 1]
    const count = (value: number): void => {
      for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128)
      bytes.push(value)
    }
    count(client)
    count(clock)
    bytes.push(0, 1, 0)
    return Uint8Array.from(bytes)
  }
}
