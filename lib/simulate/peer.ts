/**
 * A peer of the simulation: the real cores, driven as the product drives them. Each action it performs is a moment at which the
 * power may go; what it then knew is gone, but for its disk.
 */
import { encodeState, emptyDocument, hasPending } from '../../crdt/state.ts'
import { equalDigests, type Digest } from '../../crdt/digest.ts'
import { layOut, mergeWhole, type Merging } from '../../crdt/merge.ts'
import type { Alarm, Replica } from '../../crdt/replica.ts'
import { atOnce } from '../../crdt/steps.ts'
import { Sync, type Action } from '../../crdt/sync.ts'
import { reachOf } from '../../crdt/apply.ts'
import { Clocks } from './clocks.ts'
import { Marks } from './marks.ts'
import type { Parcel, SimulatedNetwork } from './network.ts'
import type { Schedule } from './schedule.ts'
import type { Trace } from './trace.ts'
import { wake, type WakeOptions } from './wake.ts'

/** How long gossip takes to take an envelope. */
const GOSSIP_MS = 1

/** How long a merge takes that is done aside, at most. */
const MERGE_MS_MAX = 2_000

/** How often a driver looks whether its core wants something. */
const TICK_MS = 250

export interface PeerOptions extends WakeOptions {
  readonly schedule: Schedule
  readonly network: SimulatedNetwork
  readonly trace: Trace
  readonly hasExchange: boolean
  /** Whether each of its lives is another start of the machine. */
  readonly hasBoots: boolean
  /** Something was heard, and done with. */
  readonly onHeard: () => void
  readonly onAlarm: (alarm: Alarm) => void
}

export class SimulatedPeer {
  readonly options: PeerOptions
  readonly id: string
  #sync: Sync | undefined
  #replica: Replica | undefined
  #starts = 0
  #boot = ''
  readonly clocks: Clocks
  #waiting: { readonly after: number, readonly act: () => void }[] = []
  #durable = 0
  /** Actions until the power goes. */
  #fuse = Infinity
  #cancelTick: (() => void) | undefined
  readonly #neighbours = new Set<string>()
  readonly #marks = new Marks()
  /** What the document was when the power went, if all of it was written and nothing was lost. */
  #left: Digest | undefined
  crashes = 0
  #pullsBefore = 0

  constructor (options: PeerOptions) {
    this.options = options
    this.id = options.signer.peerId
    this.clocks = new Clocks(options.swarmId, options.verify)
  }

  get isUp (): boolean {
    return this.#replica !== undefined
  }

  /** Only while it is up. */
  get replica (): Replica {
    if (this.#replica === undefined) throw new Error('bug: the peer is down')
    return this.#replica
  }

  /** Sent, over all its lives. */
  get pulls (): number {
    return this.#pullsBefore + (this.#sync?.pulls ?? 0)
  }

  get acknowledged (): Set<string> {
    return this.#marks.acknowledged
  }

  get state (): Uint8Array {
    return encodeState(this.replica.doc)
  }

  start (): void {
    const { disk, network, schedule, chance, trace, hasBoots } = this.options
    const boot = hasBoots ? `${++this.#starts}` : ''
    this.#replica = wake(this.options, boot)
    if (this.#left !== undefined && !equalDigests(this.#replica.digest, this.#left)) this.options.onFailure('the log replays to another document')
    this.clocks.begin()
    this.#boot = boot
    this.#keep(this.#replica)
    this.#sync = new Sync(this.id, chance.random)
    this.#durable = disk.sequence
    this.#watch(this.#replica)
    disk.open(seq => { this.#confirm(seq) })
    network.join(this.id, parcel => { this.#receive(parcel) })
    trace.add(schedule.nowMs, `${this.#name} starts with ${disk.records.length} records`)
    this.#perform(this.#sync.add(this.#replica, schedule.nowMs))
    this.#look()
  }

  /** The power goes in a moment: at the action after that many more. */
  light (actions: number): void {
    this.#fuse = actions
  }

  crash (): void {
    if (!this.isUp) return
    this.crashes++
    this.#pullsBefore = this.pulls
    this.#cancelTick?.()
    this.#fuse = Infinity
    const replica = this.#replica
    const { disk } = this.options
    const written = replica?.sequence === disk.sequence ? { sequence: disk.sequence, digest: replica.digest } : undefined
    ;[this.#sync, this.#replica] = [undefined, undefined]
    this.#waiting = []
    this.#marks.forget()
    this.#neighbours.clear()
    replica?.close()
    this.options.network.leave(this.id)
    const find = disk.crash()
    this.options.trace.add(this.options.schedule.nowMs, `${this.#name} crashes: ${find} on disk`)
    this.#left = written?.sequence === disk.sequence && !disk.isDamaged ? written.digest : undefined
  }

  /** The application edits. @param mark stays in the document for ever, if it is acknowledged; '' for none */
  edit (mark: string, change: () => void): void {
    if (!this.isUp) return
    const { client, doc, sequence: before } = this.replica
    if (this.clocks.write(client, reachOf(doc)(client))) this.options.onFailure(`writes on under ${client}, of which a peer knows more`)
    if (this.clocks.reuses > 0 && this.options.hasBoots) this.options.onFailure(`writes again under clocks of ${client} that it had lost`)
    change()
    this.clocks.wrote(client, reachOf(doc)(client))
    if (this.isUp) this.#sync?.prepare(this.options.document)
    if (!this.isUp || mark === '') return
    if (this.replica.sequence > before) this.#marks.wrote(this.replica.sequence, mark)
    if (this.options.bug.acknowledgesEarly === true) this.acknowledged.add(mark)
  }

  /** Asks others to confirm what is here. */
  offer (to: string): void {
    if (this.isUp) this.#perform(this.#sync?.offer(this.options.document, to) ?? [])
  }

  get #name (): string {
    return this.id.slice(-4)
  }

  #watch (replica: Replica): void {
    replica.doc.on('update', (update, origin) => {
      if (origin === replica || this.#replica !== replica) return
      this.#perform(this.#sync?.edited(this.options.document, update) ?? [])
    })
  }

  #receive ({ kind, from, bytes }: Parcel): void {
    if (!this.isUp) return
    const { schedule, document, trace, bug } = this.options
    if (bug.ignores?.(kind, bytes, this.#seen) === true) return
    this.#meet(from)
    if (!this.isUp) return
    trace.add(schedule.nowMs, `${this.#name} hears ${kind} from ${from.slice(-4)}`, bytes)
    if (this.options.disk.isLiar) this.clocks.hear(this.replica.client, { kind, from, bytes })
    const actions = kind === 'gossip' ? this.#sync?.heard(document, from, bytes, schedule.nowMs).actions : this.#sync?.received(from, bytes, schedule.nowMs)
    this.#perform(actions ?? [])
    if (this.isUp && hasPending(this.replica.doc)) this.options.onFailure('Yjs was given a gap')
    if (this.#replica !== undefined) this.#keep(this.#replica)
    this.#acknowledgeSynced()
    if (this.isUp) this.options.onHeard()
  }

  /** The incarnation that counts at the next start. */
  #keep ({ incarnation }: Replica): void {
    this.options.disk.kept = { incarnation, boot: this.#boot }
  }

  readonly #seen = new Set<string>()

  #confirm (seq: number): void {
    if (!this.isUp) return
    this.#durable = Math.max(this.#durable, seq)
    if (this.options.disk.isHonest) this.#marks.reach(seq)
    const due = this.#waiting.filter(({ after }) => after <= this.#durable)
    this.#waiting = this.#waiting.filter(({ after }) => after > this.#durable)
    for (const { act } of due) if (this.isUp) act()
    if (this.isUp) this.#perform(this.#sync?.durable(this.options.document, seq) ?? [])
  }

  /** What others have on a disk that flushes is safe too. */
  #acknowledgeSynced (): void {
    if (this.isUp) for (const peer of this.options.network.peers) if (this.isSafe(peer)) this.#marks.reach(this.replica.agreed(peer))
  }

  /** Whether a peer's disk flushes before it confirms; the world knows. */
  isSafe: (peer: string) => boolean = () => false

  #perform (actions: readonly Action[]): void {
    for (const action of this.options.bug.actions?.(actions) ?? actions) {
      if (!this.isUp) return
      if (--this.#fuse < 0) {
        this.crash()
        return
      }
      this.#act(action)
    }
  }

  #act (action: Action): void {
    const { disk, network, schedule, trace, document, bug } = this.options
    switch (action.kind) {
      case 'append':
        trace.add(schedule.nowMs, `${this.#name} appends ${action.seq} of ${action.origin.slice(-4)}`, action.update)
        if (action.seq !== disk.sequence + 1) this.options.onFailure(`the log is at ${disk.sequence}, and ${action.seq} is appended`)
        disk.append({ seq: action.seq, update: action.update, origin: action.origin })
        if (bug.showsEarly === true) this.#perform(this.#sync?.durable(document, action.seq) ?? [])
        return
      case 'publish':
        this.#when(action.after, () => {
          trace.add(schedule.nowMs, `${this.#name} publishes`, action.envelope)
          network.gossip(this.id, action.envelope)
          const replica = this.#replica
          schedule.after(GOSSIP_MS, () => { if (this.#replica === replica && this.isUp) this.#perform(this.#sync?.published(document) ?? []) })
        })
        return
      case 'send':
        if (!this.options.hasExchange) return
        this.#when(action.after, () => {
          trace.add(schedule.nowMs, `${this.#name} sends to ${action.to.slice(-4)}`, action.bytes)
          network.send(this.id, action.to, action.bytes)
        })
        return
      case 'merge': this.#mergeAside(action.merging); return
      case 'alarm': this.options.onAlarm(action.alarm); return
      case 'replaced': this.#watch(this.replica); return
      case 'refused': trace.add(schedule.nowMs, `${this.#name} refuses ${action.from.slice(-4)}: ${action.error.message}`); return
      case 'reload': this.options.onFailure(`Yjs stopped halfway: ${String(action.error)}`); return
      case 'raise': this.options.onFailure(`raised ${String(action.error)}`)
    }
  }

  /** The world goes on meanwhile. */
  #mergeAside (merging: Merging): void {
    const { schedule, chance, document, trace } = this.options
    const replica = this.#replica
    schedule.after(chance.from(0, MERGE_MS_MAX), () => {
      if (!this.isUp || this.#replica !== replica) return
      const merged = chance.hits(0.1) ? undefined : atOnce(layOut(mergeWhole(merging), emptyDocument))
      trace.add(schedule.nowMs, `${this.#name} ${merged === undefined ? 'fails to merge' : 'has merged'}`, merged?.state)
      this.#perform(this.#sync?.merged(document, merged, schedule.nowMs) ?? [])
      if (this.isUp && hasPending(this.replica.doc)) this.options.onFailure('Yjs was given a gap')
    })
  }

  #when (after: number, act: () => void): void {
    if (after <= this.#durable || this.options.bug.showsEarly === true) act()
    else this.#waiting.push({ after, act })
  }

  /** Another one is there, as is noticed by what it sends or by looking. */
  #meet (peer: string): void {
    const { network, bug } = this.options
    if (bug.hasNoRounds === true || peer === this.id || this.#neighbours.has(peer)) return
    if (!network.isPresent(peer) || !network.reaches(this.id, peer)) return
    this.#neighbours.add(peer)
    this.#perform(this.#sync?.connected(peer) ?? [])
  }

  #look (): void {
    const { network, schedule, bug } = this.options
    this.#cancelTick = schedule.after(TICK_MS, () => { this.#look() })
    if (bug.hasNoRounds === true) return
    for (const peer of network.peers) this.#meet(peer)
    for (const peer of this.#neighbours) {
      if (network.isPresent(peer) && network.reaches(this.id, peer)) continue
      this.#neighbours.delete(peer)
      this.#sync?.disconnected(peer)
    }
    if (this.isUp) this.#perform(this.#sync?.tick(schedule.nowMs) ?? [])
  }
}
