/** The entry for those who embed documents without the swarm: two of them, driven by nothing but what it exports. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Committer, MemoryWitness, Sync, Replica, Wal, documentKey, documentOf, emptyDocument, equalDigests, generateKey, systemClock, systemRandom, type Action, type Change, type Storage } from 'mcp-swarm/crdt'
import { until, within } from '../support/within.ts'

const KEY = documentKey('notes')

class MapStorage implements Storage {
  readonly values = new Map<string, Uint8Array>()

  async get (key: string): Promise<Uint8Array | undefined> {
    return this.values.get(key)?.slice()
  }

  async write (changes: readonly Change[]): Promise<void> {
    for (const { key, value } of changes) {
      if (value === undefined) this.values.delete(key)
      else this.values.set(key, value.slice())
    }
  }

  async * entries (prefix: string): AsyncGenerator<readonly [string, Uint8Array]> {
    for (const [key, value] of [...this.values].sort(([left], [right]) => left < right ? -1 : 1)) if (key.startsWith(prefix)) yield [key, value.slice()]
  }

  async close (): Promise<void> {
    // Nothing is held.
  }
}

class Embedder {
  readonly storage: MapStorage
  readonly key = generateKey(systemRandom)
  readonly sync = new Sync(this.key.peerId, systemRandom)
  readonly replica: Replica
  readonly #wal: Wal
  readonly #waiting: { readonly after: number, readonly act: () => void }[] = []
  other: Embedder | undefined

  static async open (): Promise<Embedder> {
    return new Embedder(...await open(new MapStorage()))
  }

  private constructor (wal: Wal, replicaDoc: ReturnType<typeof emptyDocument>, storage: MapStorage) {
    this.storage = storage
    this.#wal = wal
    this.replica = new Replica({ document: KEY, swarmId: 'embedded', signer: this.key, random: systemRandom, doc: replicaDoc, makeDoc: emptyDocument, sequence: wal.durable })
    this.perform(this.sync.add(this.replica, systemClock.nowMs()))
    replicaDoc.on('update', (update: Uint8Array, origin: unknown) => { if (origin !== this.replica) this.perform(this.sync.edited(KEY, update)) })
    wal.onDurable(sequence => {
      for (const { act } of this.#waiting.splice(0, this.#waiting.filter(({ after }) => after <= sequence).length)) act()
      this.perform(this.sync.durable(KEY, sequence))
    })
  }

  perform (actions: readonly Action[]): void {
    for (const action of actions) {
      const { other } = this
      if (action.kind === 'append') assert.is(this.#wal.append(action.update, action.origin), action.seq)
      else if (action.kind === 'publish') {
        this.#when(action.after, () => {
          if (other !== undefined) other.perform(other.sync.heard(KEY, this.key.peerId, action.envelope, systemClock.nowMs()).actions)
          this.perform(this.sync.published(KEY))
        })
      } else if (action.kind === 'send') this.#when(action.after, () => { other?.perform(other.sync.received(this.key.peerId, action.bytes, systemClock.nowMs())) })
      else assert.unreachable(action.kind)
    }
  }

  async flushed (): Promise<void> {
    await this.#wal.flushed()
  }

  #when (after: number | undefined, act: () => void): void {
    if (after === undefined || after <= this.#wal.durable) queueMicrotask(act)
    else this.#waiting.push({ after, act })
  }
}

async function open (storage: MapStorage): Promise<[Wal, ReturnType<typeof emptyDocument>, MapStorage]> {
  const committer = new Committer({ storage, witness: new MemoryWitness(), clock: systemClock, durability: 'strict' })
  const { wal, snapshot, updates } = await within(5_000, 'open', Wal.open(KEY, { committer, name: 'notes' }))
  return [wal, documentOf(emptyDocument, snapshot, updates), storage]
}

test('two documents meet, converge, and lie in their logs', async () => {
  const [left, right] = [await Embedder.open(), await Embedder.open()]
  left.replica.doc.getMap('m').set('left', 1) // before they meet
  left.other = right
  right.other = left
  for (const [from, to] of [[left, right], [right, left]] as const) from.perform(from.sync.connected(to.key.peerId))
  right.replica.doc.getMap('m').set('right', 2)
  await until('both to be equal', () => equalDigests(left.replica.digest, right.replica.digest) && left.replica.doc.getMap('m').size === 2)
  for (const embedder of [left, right]) {
    await within(5_000, 'flushed', embedder.flushed())
    const [, recalled] = await open(embedder.storage)
    assert.equal(recalled.getMap('m').toJSON(), { left: 1, right: 2 })
  }
})

test.run()
