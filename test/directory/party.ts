/** A peer with its directory, and what it heard, for the tests of the exchange. */
import { isGranted } from '../../lib/access/short-grant.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { seededRandom } from '../../lib/base/random.ts'
import type { Catalogue } from '../../lib/directory/catalogue.ts'
import { sealCatalogue } from '../../lib/directory/catalogue.ts'
import { Directory, type Change } from '../../lib/directory/directory.ts'
import { Exchange } from '../../lib/directory/exchange.ts'
import { Hearsay } from '../../lib/directory/hearsay.ts'
import type { PlacesLimits } from '../../lib/directory/places.ts'
import type { AgentEntry, PeerRecord } from '../../lib/directory/record.ts'
import type { PrivateKey } from '../../lib/identity/key.ts'
import { linkedStreams, type PairedStream } from '../support/pair.ts'
import { SWARM, agent, grantOf, keyOf, signed, swarmKey } from './sample.ts'

export class Party {
  readonly name: string
  readonly key: PrivateKey
  readonly directory: Directory
  readonly texts = new Map<string, string>()
  /** Peer ids that may read no catalogue of this one. */
  readonly denied = new Set<string>()
  readonly changes: Change[] = []
  readonly kept: string[] = []
  readonly outdated: PeerRecord[] = []
  readonly exchanges: Exchange[] = []
  readonly hearsay: Hearsay
  /** Peers that it is linked to, and those it could dial. */
  readonly linked = new Set<string>()
  readonly dialable = new Set<string>()
  readonly dialled: string[] = []
  isMember = ({ grant = '', peerId }: PeerRecord): boolean => isGranted(grant, swarmKey.publicKey, peerId, this.#clock.wallMs())
  accusations = 0
  incarnation = 1
  sequence = 0
  readonly #clock: Clock

  constructor (seed: number, name: string, clock: Clock, limits: PlacesLimits = {}) {
    this.name = name
    this.key = keyOf(seed)
    this.directory = new Directory(this.key.peerId, limits)
    this.#clock = clock
    this.hearsay = new Hearsay({
      directory: this.directory, swarmId: SWARM, clock, random: seededRandom(seed),
      isLinked: peerId => this.linked.has(peerId),
      verify: async peerId => {
        this.dialled.push(peerId)
        return this.dialable.has(peerId)
      },
      isMember: record => this.isMember(record),
      events: {
        changed: changes => { this.changes.push(...changes) },
        recordTaken: ({ peerId: teller }) => { this.kept.push(teller) },
        catalogueTaken: hash => { this.kept.push(hash) },
        outdated: record => { this.outdated.push(record) },
        accused: () => {
          this.accusations++
          this.renew()
        }
      }
    })
  }

  /** What is to be done every second: see listing.ts. */
  tick (): void {
    const changes = this.directory.tick(this.#clock.nowMs(), peerId => this.linked.has(peerId))
    this.changes.push(...changes)
    if (!this.directory.isCrowded || this.directory.own?.record.grant !== undefined) return
    this.renew({ grant: grantOf(this.key) })
  }

  /** Says the same, under the next sequence. */
  renew (more: Partial<PeerRecord> = {}): void {
    const { agents = [] } = this.directory.own?.record ?? {}
    this.directory.setOwn(...this.sign({ agents, ...more }))
    for (const exchange of this.exchanges) exchange.announce()
  }

  /** Offers these catalogues, by the names of their agents, and tells everybody. */
  offer (catalogues: Record<string, Catalogue>, more: Partial<PeerRecord> = {}, entry: Partial<AgentEntry> = {}): void {
    const agents: AgentEntry[] = Object.entries(catalogues).map(([name, catalogue]) => {
      const { hash, text } = sealCatalogue(catalogue)
      this.texts.set(hash, text)
      this.directory.addCatalogue(hash, catalogue, text.length)
      return agent(name, hash, entry)
    })
    this.directory.setOwn(...this.sign({ agents, ...more }))
    for (const exchange of this.exchanges) exchange.announce()
  }

  sign (more: Partial<PeerRecord> = {}): [PeerRecord, string] {
    return signed(this.key, { name: this.name, incarnation: this.incarnation, sequence: ++this.sequence, ...more })
  }

  exchangeWith (peerId: string, begins = false): Exchange {
    const exchange = new Exchange({
      swarmId: SWARM,
      peerId,
      directory: this.directory,
      catalogueText: hash => this.texts.get(hash),
      mayRead: () => !this.denied.has(peerId),
      clock: this.#clock,
      hearsay: this.hearsay,
      begins
    })
    this.exchanges.push(exchange)
    this.linked.add(peerId)
    void exchange.closed.then(() => {
      this.exchanges.splice(this.exchanges.indexOf(exchange), 1)
      this.linked.delete(peerId)
    })
    return exchange
  }

  /** Names of living agents' tools at other peers. */
  get tools (): string[] {
    return this.directory.find({}).filter(({ peerId }) => peerId !== this.key.peerId).map(({ peerName, tool }) => `${peerName} ${tool.name}`).sort()
  }
}

/** Runs the protocol between two; each end's stream shows what that end sent. */
export function connect (left: Party, right: Party): { exchanges: [Exchange, Exchange], streams: [PairedStream, PairedStream] } {
  const streams = linkedStreams('/directory')
  const exchanges: [Exchange, Exchange] = [left.exchangeWith(right.key.peerId, true), right.exchangeWith(left.key.peerId)]
  exchanges[0].run(streams[0])
  exchanges[1].run(streams[1])
  return { exchanges, streams }
}

/** The lines an end has sent, by the member that tells them apart. */
export function linesOf (stream: { readonly text: string }): string[] {
  return stream.text.split('\n').filter(line => line !== '').map(line => Object.keys(JSON.parse(line) as object)[0] ?? '')
}
