// bound: 120 s
/** Yjs's own random tests, run over our envelopes, our exchange and our log: its helper makes the edits and judges, we carry. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { Committer } from '../../crdt/committer.ts'
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

interface Generator { next: () => number }
interface Instance extends Y.Doc { readonly userID: number, readonly tc: Connector }
interface Connector { readonly allConns: Set<Instance>, readonly onlineConns: Set<Instance>, readonly prng: Generator }
interface Methods<Self> { prototype: Record<string, (this: Self, ...args: never[]) => unknown> }
interface Helper {
  readonly TestConnector: Methods<Connector>
  readonly TestYInstance: Methods<Instance>
  readonly applyRandomTests: (tc: { prng: Generator }, mods: readonly ((doc: Y.Doc, gen: Generator) => void)[], iterations: number) => unknown
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

for (const [name, iterations, worlds] of [['few', 30, 20], ['some', 150, 6], ['many', 600, 1]] as const) {
  test(`Yjs's random tests hold over our codec, exchange and log: ${name} edits`, async () => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    for (let world = 0; world < worlds; world++) {
      carried.clear()
      const random = seededRandom(seed + world)
      try {
        helper.applyRandomTests({ prng: { next: () => random.next() } }, MODS, iterations)
      } catch (cause) {
        throw new Error(`seed ${seed}, world ${world}`, { cause })
      }
      await within(20_000, 'the logs', Promise.all([...carried.values()].map(async ({ log, replica }, index) => { await replays(log, replica, `seed ${seed}, world ${world}, peer ${index}`) })))
    }
  })
}

/** The document as a log in memory gives it back is the one at the peer. */
async function replays (log: readonly Logged[], { doc }: Replica, what: string): Promise<void> {
  const committer = new Committer({ storage: new FaultyStorage(), witness: new FaultyWitness(), clock: new VirtualClock(), durability: 'memory' })
  const { wal } = await Wal.open(KEY, { committer })
  for (const { update, origin } of log) wal.append(update, origin)
  await wal.flushed()
  const { snapshot, updates } = await Wal.open(KEY, { committer })
  const recalled = documentOf(emptyDocument, snapshot, updates)
  assert.equal(Y.encodeSnapshot(Y.snapshot(recalled)), Y.encodeSnapshot(Y.snapshot(doc)), what)
  assert.equal(recalled.getText('text').toDelta(), doc.getText('text').toDelta(), what)
}

test.run()
