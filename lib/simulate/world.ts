/**
 * One seed, one world: peers that edit one document while messages get lost, repeated and reordered, the network falls apart,
 * and the power goes in the middle of anything. Then all is mended, and the peers must come to one document, byte for byte, in
 * which nothing is missing that was acknowledged. The same seed gives the same world, to the last byte.
 */
import { equalBytes } from '../base/bytes.ts'
import { equalDigests } from '../../crdt/digest.ts'
import { canonicalState } from '../../crdt/state.ts'
import type { Alarm } from '../../crdt/alarm.ts'
import { Chance } from './chance.ts'
import { SimulatedDisk } from './disk.ts'
import { FORGED, Forger, Liar, type Outlaw } from './liar.ts'
import { FAIR, SimulatedNetwork, type Parcel, type Weather } from './network.ts'
import type { Kind, Outcome, SimulateOptions } from './outcome.ts'
import { SimulatedPeer } from './peer.ts'
import { Schedule } from './schedule.ts'
import { Signatures } from './signatures.ts'
import { Trace } from './trace.ts'
import { WORDS, change, erase } from './workload.ts'

/** Rounds of anti-entropy, of 30 s at most, that peers have after everything is mended. */
export const ROUNDS_MAX = 3
const ROUND_MS_MAX = 30_000
const CHECK_MS = 2_000

/** How long the network of the kind `parted` is in two, and how much is edited on each side meanwhile. */
export const PARTED_MS = 10_000
export const PARTED_EDITS = 1_000
const PARTED_CHECK_MS = 50

/** How often something heard is answered with an edit, where that matters. */
const ANSWER = 0.1

const DOCUMENT = '00112233445566778899aabbccddeeff'
const SWARM_ID = 'simulation'

/** Runs one world to its end. Whatever breaks in it is its failure: a caller need not be afraid of it. */
export function simulate (options: SimulateOptions): Outcome {
  const world = new World(options)
  try {
    world.run()
  } catch (error) {
    world.fail(`threw ${error instanceof Error ? error.stack ?? error.message : String(error)}`)
  }
  return world.outcome
}

class World {
  readonly #options: SimulateOptions
  readonly #draw: Chance
  readonly #schedule = new Schedule()
  readonly #trace: Trace
  readonly #kind: Kind
  readonly #network: SimulatedNetwork
  readonly #peers: SimulatedPeer[]
  readonly #outlaw: Outlaw | undefined
  readonly #alarms: Alarm[] = []
  /** How many disks lie: those of the first peers. */
  readonly #liars: number
  /** Words that an honest disk has had, or a peer that is there at the end. */
  readonly #shown = new Set<string>()
  readonly #signatures = new Signatures()
  #failure: string | undefined
  #isMended = false
  #healMs = 0
  #pullsBefore: readonly number[] = []
  #edits = 0

  constructor (options: SimulateOptions) {
    this.#options = options
    const draw = this.#draw = new Chance(options.seed, 'world')
    this.#trace = new Trace(options.keepsTrace === true)
    const drawn = draw.of(['ordinary', 'ordinary', 'ordinary', 'ordinary', 'gossip', 'mute', 'liar', 'liar', 'forger', 'forger'] as const)
    this.#kind = options.kind ?? drawn
    this.#network = new SimulatedNetwork(this.#schedule, new Chance(options.seed, 'network'), this.#weather())
    this.#network.isMute = this.#kind === 'mute'
    const canLie = this.#kind === 'lying' || this.#kind === 'restored'
    this.#network.hasStreams = canLie
    this.#liars = canLie ? new Chance(options.seed, 'liars').from(1, 2) : 0
    this.#peers = Array.from({ length: options.replicas ?? 5 }, (_, index) => this.#peer(index))
    const safe = new Set(this.#peers.filter(({ options: { disk } }) => disk.isHonest).map(({ id }) => id))
    for (const peer of this.#peers) peer.isSafe = other => safe.has(other)
    const identity = { signer: this.#signatures.signer('outlaw'), document: DOCUMENT, swarmId: SWARM_ID, chance: new Chance(options.seed, 'outlaw') }
    this.#outlaw = this.#kind === 'liar' ? new Liar(identity) : this.#kind === 'forger' ? new Forger(identity) : undefined
  }

  run (): void {
    for (const peer of this.#peers) peer.start()
    if (this.#kind === 'parted') this.#part()
    else this.#live()
    this.#healMs = this.#mend()
  }

  get outcome (): Outcome {
    const sum = (count: (peer: SimulatedPeer) => number): number => this.#peers.reduce((sum, peer) => sum + count(peer), 0)
    return {
      seed: this.#options.seed, kind: this.#kind, failure: this.#failure, trace: this.#trace.hash, lines: this.#trace.lines,
      virtualMs: this.#schedule.nowMs, healMs: this.#healMs, events: this.#schedule.happened, edits: this.#edits,
      acknowledged: sum(({ acknowledged }) => acknowledged.size), crashes: sum(({ crashes }) => crashes), lies: sum(({ options: { disk } }) => disk.lies),
      sent: this.#network.sent, lost: this.#network.lost, alarms: this.#alarms,
      pulls: Math.max(...this.#peers.map((peer, index) => peer.pulls - (this.#pullsBefore[index] ?? 0)))
    }
  }

  fail (what: string): void {
    this.#trace.add(this.#schedule.nowMs, `fails: ${what}`)
    this.#failure ??= what
  }

  /** Edits, while all goes wrong that goes wrong in this kind of world. */
  #live (): void {
    const draw = this.#draw
    const faultsMs = draw.from(5_000, 40_000)
    for (let left = draw.from(20, 80); left > 0; left--) this.#schedule.after(draw.random.next() * faultsMs, () => { this.#edit() })
    // What is said last nobody adds to: a loss of it has to be noticed for its own sake.
    this.#schedule.after(faultsMs - draw.from(0, 1_000), () => { this.#edit(draw.of(this.#peers), true) })
    if (this.#kind !== 'gossip') this.#plan(faultsMs)
    this.#schedule.runUntil(faultsMs)
  }

  #part (): void {
    this.#schedule.runUntil(this.#draw.from(1_000, 20_000))
    const half = Math.ceil(this.#peers.length / 2)
    const sides = [this.#peers.slice(0, half), this.#peers.slice(half)]
    this.#network.cut(sides.map(side => side.map(({ id }) => id)))
    for (const side of sides) {
      for (let left = PARTED_EDITS; left > 0; left--) this.#schedule.after(this.#draw.random.next() * PARTED_MS, () => { this.#edit(this.#draw.of(side)) })
    }
    this.#schedule.runUntil(this.#schedule.nowMs + PARTED_MS)
  }

  #weather (): Weather {
    const draw = this.#draw
    const duplication = draw.of([0, 0.1, 0.3])
    const delayMs: readonly [number, number] = [1, draw.of([5, 100, 1_000])]
    if (this.#kind === 'parted') return FAIR
    return { loss: this.#kind === 'gossip' ? 0 : this.#options.loss ?? 0.3, duplication, delayMs }
  }

  #peer (index: number): SimulatedPeer {
    const { seed, bug = {} } = this.#options
    const draw = this.#draw
    const isLiar = index < this.#liars
    const durability = draw.hits(0.3) && !isLiar ? 'interval' : 'strict'
    const chance = new Chance(seed, `peer ${index}`)
    return new SimulatedPeer({
      signer: this.#signatures.signer(`peer ${index}`), verify: this.#signatures.verify, document: DOCUMENT, swarmId: SWARM_ID,
      schedule: this.#schedule, network: this.#network, chance, trace: this.#trace, bug,
      disk: new SimulatedDisk(this.#schedule, new Chance(seed, `disk ${index}`), { durability, flushMs: [1, draw.of([2, 50, 400])], lies: isLiar ? new Chance(seed, `lies ${index}`) : undefined }, bug),
      // Gossip alone has to do without a pull; otherwise a small buffer overflows often.
      earlyMax: this.#kind === 'gossip' ? 256 : draw.of([1, 4, 64]),
      // Of half of the peers every document is large.
      mergeHereBytes: new Chance(seed, `merge ${index}`).hits(0.5) ? 0 : undefined,
      hasExchange: this.#kind !== 'gossip',
      hasBoots: this.#kind === 'lying',
      onHeard: () => { this.#answer(index) },
      onAlarm: alarm => { this.#alarm(alarm) },
      onFailure: what => { this.fail(what) }
    })
  }

  get #hasReused (): boolean {
    return this.#kind === 'restored' && this.#peers.slice(0, this.#liars).some(({ clocks }) => clocks.reuses > 0)
  }

  /** Applications write when they hear something: in the moment in which a peer shows that it knows more. */
  #answer (index: number): void {
    if (this.#kind === 'restored' && index < this.#liars && !this.#isMended && this.#draw.hits(ANSWER)) this.#edit(this.#peers[index])
  }

  /** Who puts back an old folder and writes on before it has met anybody says two things under one name, as a liar does. */
  #alarm (alarm: Alarm): void {
    this.#alarms.push(alarm)
    if (this.#kind !== 'liar' && !this.#hasReused) this.fail(`an alarm about the honest client ${alarm.client}`)
  }

  #plan (faultsMs: number): void {
    const draw = this.#draw
    const sometime = (): number => draw.random.next() * faultsMs
    for (let left = draw.from(0, 3); left > 0; left--) {
      const fromMs = sometime()
      const first = this.#peers.filter(() => draw.hits(0.5)).map(({ id }) => id)
      this.#schedule.after(fromMs, () => { this.#network.cut([[], first]) })
      this.#schedule.after(fromMs + draw.from(500, 15_000), () => { this.#network.heal() })
    }
    for (let left = draw.from(0, 10); left > 0; left--) {
      const peer = draw.of(this.#peers)
      const actions = draw.from(0, 8)
      this.#schedule.after(sometime(), () => { this.#breakDown(peer, actions) })
    }
    for (let left = draw.from(0, 3); left > 0; left--) this.#schedule.after(sometime(), () => { this.#blackOut() })
    for (let atMs = 0; atMs < faultsMs; atMs += 1_000) {
      this.#schedule.after(atMs, () => { for (const peer of this.#peers) if (!peer.isUp && draw.hits(0.3)) this.#restart(peer) })
      this.#schedule.after(atMs, () => { if (draw.hits(0.5)) draw.of(this.#peers).offer(draw.of(this.#peers).id) })
    }
    const liars = this.#peers.slice(0, this.#liars)
    for (const liar of liars) for (let left = draw.from(2, 6); left > 0; left--) this.#schedule.after(sometime(), () => { this.#breakDown(liar, draw.from(0, 8)) })
    if (this.#outlaw !== undefined) for (let left = draw.from(1, 6); left > 0; left--) this.#schedule.after(sometime(), () => { this.#speak() })
  }

  /** The power of one goes, often while it writes: at the action after `actions` more. */
  #breakDown (peer: SimulatedPeer, actions: number): void {
    if (actions === 0) peer.crash()
    else peer.light(actions)
    if (this.#draw.hits(0.5)) this.#edit(peer)
  }

  /** The power of all goes at once, often just after an edit that another was asked to confirm. */
  #blackOut (): void {
    const draw = this.#draw
    const writer = draw.of(this.#peers)
    if (draw.hits(0.7)) {
      this.#edit(writer)
      writer.offer(draw.of(this.#peers).id)
    }
    this.#schedule.after(draw.of([0, 10, 50, 200]), () => { if (!this.#isMended) for (const peer of this.#peers) peer.crash() })
  }

  /** Many applications write as soon as they start, before they have met anybody. */
  #restart (peer: SimulatedPeer): void {
    peer.start()
    this.#see(peer)
    if (this.#draw.hits(0.5)) this.#edit(peer)
  }

  /** What an honest disk has found again can be lost no more; nor what anybody has once all is mended. */
  #see (peer: SimulatedPeer): void {
    if (this.#liars > 0 && peer.isUp && (peer.options.disk.isHonest || this.#isMended)) for (const mark of peer.replica.doc.getArray<string>('log').toArray()) this.#shown.add(mark)
  }

  #edit (peer = this.#draw.of(this.#peers), isErasure = false): void {
    if (!peer.isUp) return
    this.#edits++
    if (isErasure) {
      peer.edit('', () => { erase(peer.replica, this.#draw) })
      return
    }
    const mark = this.#draw.hits(0.5) ? `${this.#edits}` : ''
    // Where a lie has parted a character Yjs keeps its halves, at the peers that saw it: nothing to compare byte by byte.
    const words = this.#kind === 'liar' ? ['a', 'bc', 'def'] : WORDS
    peer.edit(mark, () => { change(peer.replica, this.#draw, mark, words) })
  }

  #speak (): void {
    const up = this.#peers.filter(({ isUp }) => isUp)
    if (up.length === 0 || this.#outlaw === undefined) return
    for (const { to, envelope } of this.#outlaw.speak(up)) {
      for (const peer of to) this.#network.whisper(peer, { kind: 'gossip', from: this.#signatures.signer('outlaw').peerId, bytes: envelope } satisfies Parcel)
    }
  }

  /** Ends all faults and lets the peers come together. Returns how long that took, in milliseconds. */
  #mend (): number {
    const startMs = this.#schedule.nowMs
    this.#isMended = true
    this.#pullsBefore = this.#peers.map(({ pulls }) => pulls)
    this.#trace.add(startMs, 'all is mended')
    this.#network.weather = FAIR
    this.#network.heal()
    for (const peer of this.#peers) {
      peer.light(Infinity)
      if (!peer.isUp) peer.start()
      this.#see(peer)
    }
    let difference = differenceOf(this.#peers)
    while (this.#failure === undefined) {
      this.#schedule.runUntil(this.#schedule.nowMs + (this.#kind === 'parted' ? PARTED_CHECK_MS : CHECK_MS))
      difference = differenceOf(this.#peers)
      if (difference === undefined || this.#schedule.nowMs - startMs >= ROUNDS_MAX * ROUND_MS_MAX) break
    }
    if (difference !== undefined) this.fail(`${ROUNDS_MAX} rounds after all was mended, ${difference}`)
    if (this.#failure === undefined) this.#judge()
    for (const peer of this.#peers) if (peer.isUp) this.#trace.add(this.#schedule.nowMs, 'ends', peer.replica.digest.content)
    return this.#schedule.nowMs - startMs
  }

  #judge (): void {
    const [first] = this.#peers
    if (first === undefined) return
    const { doc } = first.replica
    const log = new Set(doc.getArray('log').toArray())
    // What was written beside a lie may have gone with it: that is what a lie can do.
    if (this.#kind !== 'liar' && !this.#hasReused) {
      for (const peer of this.#peers) {
        for (const mark of peer.acknowledged) if (!log.has(mark)) this.fail(`the acknowledged edit ${mark} is lost`)
      }
      for (const mark of this.#shown) if (!log.has(mark)) this.fail(`the edit ${mark} is lost, which was shown`)
    }
    if (doc.getArray('list').toArray().includes(FORGED)) this.fail('a forgery was taken in')
  }
}

/** How peers' documents differ; undefined if they do not. */
function differenceOf ([first, ...others]: readonly SimulatedPeer[]): string | undefined {
  if (first === undefined) return undefined
  if (others.some(({ replica }) => !equalDigests(replica.digest, first.replica.digest))) return 'digests differ'
  const state = canonicalState(first.state)
  const isEqual = (other: Uint8Array): boolean => equalBytes(other, first.state) || equalBytes(canonicalState(other), state)
  return others.every(other => isEqual(other.state)) ? undefined : 'documents differ and their digests do not'
}
