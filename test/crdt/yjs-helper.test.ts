// bound: 120 s
/** Yjs's own random tests, run over our envelopes, our exchange and our log: its helper makes the edits and judges, we carry. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Committer } from '../../crdt/committer.ts'
import { fold } from '../../crdt/fold.ts'
import { documentKey } from '../../crdt/name.ts'
import { Replica } from '../../crdt/replica.ts'
import { documentOf, emptyDocument, type Logged } from '../../crdt/state.ts'
import { Sync, type Action } from '../../crdt/sync.ts'
import { Wal } from '../../crdt/wal.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { VirtualClock } from '../support/clock.ts'
import { FaultyStorage, FaultyWitness } from '../support/faulty.ts'
import { within } from '../support/within.ts'

const KEY = documentKey('helper')
const ROUNDS_MAX = 6

/** A log is opened anew after one edit of so many. */
const REOPEN_EVERY = 10

interface Generator { next: () => number }
interface Instance extends Y.Doc { readonly userID: number, readonly tc: Connector }
interface Connector { readonly allConns: Set<Instance>, readonly onlineConns: Set<Instance>, readonly prng: Generator }
interface Methods<Self> { prototype: Record<string, (this: Self, ...args: never[]) => unknown> }
interface Helper {
  readonly TestConnector: Methods<Connector>
  readonly TestYInstance: Methods<Instance>
  readonly init: (tc: { prng: Generator }, options: { users: number }) => { readonly testConnector: Connector & Record<'disconnectRandom' | 'reconnectRandom' | 'flushAllMessages' | 'flushRandomMessage', () => unknown>, readonly users: readonly Y.Doc[] }
  readonly compare: (users: readonly Y.Doc[]) => void
}
/** A name that the compiler does not look up: it has no types. */
const HELPER: string = 'yjs/testHelper'
const helper = await import(HELPER) as Helper

/** One of the helper's documents, carried by us. */
class Carried {
  readonly doc: Instance
  readonly replica: Replica
  readonly sync: Sync
  readonly log: Logged[] = []
  /** What of it lies in a log on disk, which is opened anew again and again. */
  readonly #storage = new FaultyStorage()
  readonly #witness = new FaultyWitness()
  #logged = 0
  /** Messages on their way here, by sender. */
  readonly inbox = new Map<Carried, (() => Action[])[]>()
  nowMs = 0
  #durable = 0
  #waiting: { readonly after: number, readonly act: () => void }[] = []

  constructor (doc: Instance) {
    const signer = generateKey(seededRandom(doc.userID + 1))
    this.doc = doc
    this.replica = new Replica({
      document: KEY, swarmId: 'helper', signer, random: seededRandom(doc.userID), doc, makeDoc: emptyDocument, sequence: 0
    })
    this.sync = new Sync(signer.peerId, seededRandom(doc.userID))
    this.perform(this.sync.add(this.replica, 0))
    doc.on('update', (update, origin) => { if (origin !== this.replica) this.perform(this.sync.edited(KEY, update)) })
  }

  get isOnline (): boolean {
    return this.doc.tc.onlineConns.has(this.doc)
  }

  get others (): Carried[] {
    return [...this.doc.tc.onlineConns].flatMap(doc => carried.get(doc) ?? []).filter(other => other !== this)
  }

  perform (actions: readonly Action[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'append':
          this.log.push(action)
          assert.is(action.seq, this.log.length)
          break
        case 'publish': this.#when(action.after, () => {
          for (const other of this.others) this.#post(other, () => other.sync.heard(KEY, this.sync.peerId, action.envelope, other.nowMs).actions)
          this.perform(this.sync.published(KEY))
        }); break
        case 'send': this.#when(action.after, () => {
          const other = this.others.find(({ sync }) => sync.peerId === action.to)
          if (other !== undefined) this.#post(other, () => other.sync.received(this.sync.peerId, action.bytes, other.nowMs))
        }); break
        default: assert.unreachable(`${action.kind}: ${JSON.stringify(action)}`)
      }
    }
  }

  /** The disk has written what it was given. */
  settle (): void {
    if (this.#durable === this.log.length) return
    this.#durable = this.log.length
    const due = this.#waiting.filter(({ after }) => after <= this.#durable)
    this.#waiting = this.#waiting.filter(({ after }) => after > this.#durable)
    for (const { act } of due) act()
    this.perform(this.sync.durable(KEY, this.#durable))
  }

  /**
   * Opens the log as after a power cut, and holds it to the document at this moment; then what the core has appended since follows,
   * half of it flushed, the rest as a second batch, and now and then it is folded.
   */
  async reopen (isFolded: boolean, what: string): Promise<void> {
    const disk = this.#storage
    disk.values.clear()
    for (const [key, value] of disk.flushed) disk.values.set(key, value)
    const committer = new Committer({ storage: disk, witness: this.#witness, clock: new VirtualClock(), durability: 'strict' })
    const { wal, updates, recovery } = await Wal.open(KEY, { committer })
    assert.equal([recovery.damage, wal.status().sequence], [[], this.#logged], what)
    assert.equal(updates.map(({ sequence }) => sequence), this.log.slice(this.#logged - updates.length, this.#logged).map((_, index) => this.#logged - updates.length + index + 1), what)
    const fresh = this.log.slice(this.#logged)
    for (const [index, { update, origin }] of fresh.entries()) {
      wal.append(update, origin)
      if (index === fresh.length >> 1) await wal.flushed()
    }
    await wal.flushed()
    this.#logged = this.log.length
    if (isFolded) await wal.compact(async folding => fold(folding))
    await committer.close()
    const again = await Wal.open(KEY, { committer: new Committer({ storage: disk.afterCut(), witness: this.#witness, clock: new VirtualClock(), durability: 'strict' }) })
    const recalled = documentOf(emptyDocument, again.snapshot, again.updates)
    assert.equal(Y.encodeSnapshot(Y.snapshot(recalled)), Y.encodeSnapshot(Y.snapshot(this.replica.doc)), what)
    assert.equal(recalled.getText('text').toDelta(), this.replica.doc.getText('text').toDelta(), what)
  }

  #when (after: number, act: () => void): void {
    if (after <= this.#durable) act()
    else this.#waiting.push({ after, act })
  }

  #post (other: Carried, arrive: () => Action[]): void {
    if (this.isOnline) other.inbox.set(this, [...other.inbox.get(this) ?? [], arrive])
  }
}

const carried = new Map<Instance, Carried>()

helper.TestYInstance.prototype['_receive'] = () => {}
helper.TestYInstance.prototype['connect'] = function () {
  if (this.tc.onlineConns.has(this)) return
  this.tc.onlineConns.add(this)
  const own = carried.get(this)
  for (const other of own?.others ?? []) {
    own?.perform(own.sync.connected(other.sync.peerId))
    if (own !== undefined) other.perform(other.sync.connected(own.sync.peerId))
  }
}
helper.TestYInstance.prototype['disconnect'] = function () {
  this.tc.onlineConns.delete(this)
  const own = carried.get(this)
  for (const other of carried.values()) {
    if (own === undefined || other === own) continue
    own.inbox.delete(other)
    other.inbox.delete(own)
    own.sync.disconnected(other.sync.peerId)
    other.sync.disconnected(own.sync.peerId)
  }
}
/** The helper calls it once, when all its documents are made and have their numbers. */
helper.TestConnector.prototype['syncAll'] = function () {
  for (const doc of this.allConns) carried.set(doc, new Carried(doc))
  for (const own of carried.values()) for (const other of own.others) own.perform(own.sync.connected(other.sync.peerId))
}
helper.TestConnector.prototype['flushRandomMessage'] = function () {
  const all = [...carried.values()]
  const waiting = all.filter(({ inbox, isOnline }) => isOnline && inbox.size > 0)
  const receiver = waiting[Math.floor(this.prng.next() * waiting.length)]
  if (receiver === undefined) {
    for (const peer of all) peer.settle()
    return all.some(({ inbox }) => inbox.size > 0)
  }
  const senders = [...receiver.inbox]
  const [sender, messages] = senders[Math.floor(this.prng.next() * senders.length)] as [Carried, (() => Action[])[]]
  // Out of order, as streams and gossip are to each other.
  const [arrive] = messages.splice(Math.floor(this.prng.next() * messages.length), 1)
  if (messages.length === 0) receiver.inbox.delete(sender)
  if (arrive !== undefined) receiver.perform(arrive())
  return true
}
/** All that is on its way, and then as many rounds as it takes: only by what our core says. */
helper.TestConnector.prototype['flushAllMessages'] = function () {
  const flush = (): void => { while (helper.TestConnector.prototype['flushRandomMessage']?.call(this) === true) { /* goes on */ } }
  flush()
  const all = [...carried.values()]
  const isEqual = (): boolean => new Set(all.map(({ replica: { digest } }) => Buffer.concat([digest.shape, digest.content]).toString('hex'))).size === 1
  for (let round = 0; round < ROUNDS_MAX && all.every(({ isOnline }) => isOnline) && !isEqual(); round++) {
    for (const peer of all) peer.perform(peer.sync.tick(peer.nowMs += 30_000))
    flush()
  }
  return false
}

const upTo = (gen: Generator, max: number): number => Math.floor(gen.next() * (max + 1))
const MODS: readonly ((doc: Y.Doc, gen: Generator) => void)[] = [
  (doc, gen) => { const list = doc.getArray('array'); list.insert(upTo(gen, list.length), [upTo(gen, 99), 'text', null, { a: [true] }].slice(upTo(gen, 3))) },
  (doc, gen) => { const list = doc.getArray('array'); if (list.length > 0) list.delete(upTo(gen, list.length - 1)) },
  (doc, gen) => { const list = doc.getArray('array'); list.insert(upTo(gen, list.length), [new Y.Array()]); const [held] = list.toArray().filter(value => value instanceof Y.Array); held?.push([1, 2]) },
  (doc, gen) => { doc.getMap('map').set(`k${upTo(gen, 4)}`, upTo(gen, 99)) },
  (doc, gen) => { doc.getMap('map').delete(`k${upTo(gen, 4)}`) },
  (doc, gen) => { const map = doc.getMap('map'); const key = `k${upTo(gen, 4)}`; map.set(key, new Y.Map()); (map.get(key) as Y.Map<unknown>).set('deep', new Y.Text('deep')) },
  (doc, gen) => { const text = doc.getText('text'); text.insert(upTo(gen, text.length), ['a', 'bcd', 'ü'][upTo(gen, 2)] ?? '') },
  (doc, gen) => { const text = doc.getText('text'); const at = upTo(gen, text.length); text.delete(at, Math.min(3, text.length - at)) },
  (doc, gen) => { const text = doc.getText('text'); const at = upTo(gen, text.length); text.format(at, Math.min(4, text.length - at), { bold: gen.next() < 0.5 ? true : null }) },
  (doc, gen) => { const text = doc.getText('text'); text.insertEmbed(upTo(gen, text.length), { image: upTo(gen, 9) }) },
  (doc, gen) => { const xml = doc.get('xml', Y.XmlElement<Record<string, string>>); xml.insert(upTo(gen, xml.length), [gen.next() < 0.5 ? new Y.XmlElement('p') : new Y.XmlText('x')]) },
  (doc, gen) => { const xml = doc.get('xml', Y.XmlElement<Record<string, string>>); if (xml.length > 0) xml.delete(upTo(gen, xml.length - 1)) },
  (doc, gen) => { const xml = doc.get('xml', Y.XmlElement<Record<string, string>>); xml.setAttribute('a', `${upTo(gen, 9)}`) },
  (doc, gen) => { doc.transact(() => { for (const mod of MODS.slice(0, 4)) mod(doc, gen) }) }
]

/** As the helper's own loop, with time for disks in it. */
async function applyRandomTests (gen: Generator, iterations: number, what: string): Promise<void> {
  const { testConnector, users } = helper.init({ prng: gen }, { users: 5 })
  for (let iteration = 0; iteration < iterations; iteration++) {
    const draw = upTo(gen, 100)
    if (draw <= 2) testConnector[gen.next() < 0.5 ? 'disconnectRandom' : 'reconnectRandom']()
    else if (draw <= 4) testConnector.flushAllMessages()
    else if (draw <= 54) testConnector.flushRandomMessage()
    MODS[upTo(gen, MODS.length - 1)]?.(users[upTo(gen, users.length - 1)] as Y.Doc, gen)
    if (upTo(gen, REOPEN_EVERY) > 0) continue
    const peers = [...carried.values()]
    await within(20_000, 'a log', peers[upTo(gen, peers.length - 1)]?.reopen(gen.next() < 0.3, `${what}, edit ${iteration}`) ?? Promise.resolve())
  }
  helper.compare(users)
}

for (const [name, iterations, worlds] of [['few', 30, 20], ['some', 150, 6], ['many', 600, 1]] as const) {
  test(`Yjs's random tests hold over our codec, exchange and log: ${name} edits`, async () => {
    const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
    for (let world = 0; world < worlds; world++) {
      carried.clear()
      const random = seededRandom(seed + world)
      const what = `seed ${seed}, world ${world}`
      try {
        await applyRandomTests({ next: () => random.next() }, iterations, what)
        for (const [index, peer] of [...carried.values()].entries()) await within(20_000, 'a log', peer.reopen(false, `peer ${index} at the end`))
      } catch (cause) {
        throw new Error(what, { cause })
      }
    }
  })
}

test.run()
