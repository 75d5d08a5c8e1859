import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { equalDigests } from '../../crdt/digest.ts'
import { readMessage, writeMessage } from '../../crdt/message.ts'
import { documentKey } from '../../crdt/name.ts'
import { Replica } from '../../crdt/replica.ts'
import { emptyDocument } from '../../crdt/state.ts'
import { PULLS_MAX, PULL_MS, ROUND_MS, ROUND_MS_MAX, SETTLE_MS, SETTLE_MS_MAX, Sync, type Action } from '../../crdt/sync.ts'

const keyOf = (number: number): string => documentKey(`document ${number}`)
const signers = [1, 2, 3].map(seed => generateKey(seededRandom(seed))).sort((left, right) => left.peerId < right.peerId ? -1 : 1)

/** A peer with so many documents, the small id first. */
function open (index: number, documents: number): Sync {
  const signer = signers[index]
  if (signer === undefined) throw new Error('no such peer')
  const sync = new Sync(signer.peerId, seededRandom(index))
  for (let number = 0; number < documents; number++) {
    sync.add(new Replica({ document: keyOf(number), swarmId: 'swarm', signer, random: seededRandom(number + 100 * index), doc: new Y.Doc(), makeDoc: emptyDocument, sequence: 0 }), 0)
  }
  return sync
}
const edit = (sync: Sync, number: number): void => {
  const replica = sync.replica(keyOf(number))
  const listener = (update: Uint8Array): void => { sync.edited(keyOf(number), update) }
  replica?.doc.on('update', listener)
  replica?.doc.getMap('m').set(sync.peerId, number)
  replica?.doc.off('update', listener)
}
const sends = (actions: readonly Action[]): { to: string, kind: string, bytes: Uint8Array }[] =>
  actions.flatMap(action => action.kind === 'send' ? [{ to: action.to, kind: readMessage(action.bytes).kind, bytes: action.bytes }] : [])

/** Carries everything between peers until nobody says anything. Returns the kinds of what was said. */
function talk (peers: readonly Sync[], from: Sync, first: readonly Action[], nowMs = 0): string[] {
  const said: string[] = []
  const queue = sends(first).map(message => ({ from, ...message }))
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    assert.ok(said.push(next.kind) < 5_000, 'an endless game')
    const to = peers.find(({ peerId }) => peerId === next?.to)
    if (to !== undefined) queue.push(...sends(to.received(next.from.peerId, next.bytes, nowMs)).map(message => ({ from: to, ...message })))
  }
  return said
}

test('of two that meet the one with the smaller id begins, and both end equal in all documents', () => {
  const [left, right] = [open(0, 50), open(1, 50)]
  for (const number of [3, 7]) edit(left, number)
  for (const number of [7, 49]) edit(right, number)
  assert.equal(right.connected(left.peerId), [])
  const said = talk([left, right], left, left.connected(right.peerId))
  for (let number = 0; number < 50; number++) {
    const [mine, theirs] = [left, right].map(sync => sync.replica(keyOf(number))?.digest)
    assert.ok(mine !== undefined && theirs !== undefined && equalDigests(mine, theirs), `document ${number}`)
  }
  assert.is(left.pulls + right.pulls, 3, 'one for each document that differs')
  assert.ok(said.length < 20, said.join(' '))
  assert.equal(talk([left, right], left, left.begin(right.peerId)), ['compare'], 'nothing differs any more')
})

test('so many pulls are under way; the others wait for their turn, and all come', () => {
  const [left, right] = [open(0, PULLS_MAX + 20), open(1, PULLS_MAX + 20)]
  for (let number = 0; number < PULLS_MAX + 20; number++) edit(right, number)
  right.connected(left.peerId)
  const messages = sends(left.connected(right.peerId))
  // Until the first wants: as many as may be.
  let wants: typeof messages = []
  let puller = left
  for (let turn = 0, pending = messages; turn < 10 && wants.length === 0; turn++) {
    const [here, there] = turn % 2 === 0 ? [right, left] : [left, right]
    pending = pending.flatMap(({ bytes }) => sends(here.received(there.peerId, bytes, 0)))
    puller = here
    wants = pending.filter(({ kind }) => kind === 'want')
  }
  assert.is(wants.length, PULLS_MAX)
  talk([left, right], puller, wants.map(({ to, bytes }) => ({ kind: 'send', to, bytes, after: 0 })))
  assert.is(puller.pulls, PULLS_MAX + 20)
  for (let number = 0; number < PULLS_MAX + 20; number++) assert.is(left.replica(keyOf(number))?.doc.getMap('m').get(right.peerId), number)
})

/** The envelope of one more edit of the first document. */
function publish (writer: Sync): Uint8Array {
  const [key, replica] = [keyOf(0), writer.replica(keyOf(0))]
  const listener = (update: Uint8Array): void => { writer.edited(key, update) }
  replica?.doc.on('update', listener)
  replica?.doc.getArray('a').push([1])
  replica?.doc.off('update', listener)
  const [action] = writer.durable(key, replica?.sequence ?? 0)
  writer.published(key)
  if (action?.kind !== 'publish') throw new Error('nothing is published')
  return action.envelope
}

test('what is found missing soon after a pull may be on its way, and is asked for a moment later', () => {
  const [sync, writer] = [open(0, 1), open(1, 1)]
  const key = keyOf(0)
  publish(writer)
  sync.tick(0)
  talk([sync, writer], sync, sync.connected(writer.peerId))
  assert.is(sync.pulls, 1)
  const [first, second, , fourth] = [1, 2, 3, 4].map(() => publish(writer)) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
  const atMs = 2 * SETTLE_MS
  assert.equal(sends(sync.heard(key, writer.peerId, second, atMs).actions), [])
  sync.heard(key, writer.peerId, first, atMs + 1)
  assert.is(sync.nextMs, atMs + SETTLE_MS)
  assert.equal(sends(sync.tick(atMs + SETTLE_MS - 1)), [])
  assert.equal(sends(sync.tick(atMs + SETTLE_MS)).map(({ kind }) => kind), ['compare'])
  assert.equal(sends(sync.heard(key, writer.peerId, fourth, atMs + SETTLE_MS).actions).map(({ kind }) => kind), ['want'], 'but only once')
})

test('a pull that is not answered is given to another neighbour where something is missing, in time', () => {
  const [sync, writer, other] = [open(0, 1), open(1, 1), open(2, 1)]
  const key = keyOf(0)
  const envelopes = [publish(writer), publish(writer)]
  for (const peer of [writer, other]) sync.connected(peer.peerId)
  sync.tick(0)
  const { actions } = sync.heard(key, other.peerId, envelopes[1] as Uint8Array, 0)
  assert.equal(sends(actions).map(({ to, kind }) => [to, kind]), [[writer.peerId, 'want']], 'who wrote it is asked first')
  assert.equal(sync.heard(key, other.peerId, envelopes[1] as Uint8Array, 1).actions.length, 0, 'one pull of a document at a time')
  assert.is(sync.nextMs, PULL_MS)
  assert.equal(sends(sync.tick(PULL_MS - 1)), [])
  assert.equal(sends(sync.tick(PULL_MS)).map(({ to, kind }) => [to, kind]), [[other.peerId, 'want']])
})

test('an answer that was lost with its connection counts for nothing: whoever asked has it at the next meeting', () => {
  for (const [writes, asks] of [[0, 1], [1, 0]] as const) {
    const peers = [open(0, 1), open(1, 1)]
    const [writer, reader] = [peers[writes], peers[asks]] as [Sync, Sync]
    edit(writer, 0)
    for (const [from, to] of [[writer, reader], [reader, writer]] as const) from.connected(to.peerId)
    const ask = reader.replica(keyOf(0))?.ask(writer.peerId)
    if (ask?.kind !== 'send') throw new Error('a question is sent')
    const want = writeMessage({ key: keyOf(0), ...ask.message })
    assert.equal(sends(writer.received(reader.peerId, want, 0)).map(({ kind }) => kind), ['have'], 'which is lost')
    for (const [from, to] of [[writer, reader], [reader, writer]] as const) from.disconnected(to.peerId)
    for (const [from, to] of [[writer, reader], [reader, writer]] as const) talk(peers, from, from.connected(to.peerId))
    assert.is(reader.replica(keyOf(0))?.doc.getMap('m').get(writer.peerId), 0)
  }
})

test('a stream that was opened anew is begun with by whoever opened it, since only they know of it', () => {
  const [left, right] = [open(0, 1), open(1, 1)]
  edit(left, 0)
  right.connected(left.peerId)
  assert.equal(sends(right.connected(left.peerId)).map(({ to, kind }) => [to, kind]), [[left.peerId, 'compare']])
})

test('where the peer that is asked goes, those that had something else meanwhile are compared with at once', () => {
  const [sync, asked, other] = [open(0, 1), open(1, 1), open(2, 1)]
  for (const peer of [asked, other]) {
    edit(peer, 0)
    sync.connected(peer.peerId)
    peer.connected(sync.peerId)
  }
  sync.tick(0)
  const wanted: string[] = []
  for (const peer of [asked, other]) {
    for (const [first, second] of [[peer, sync], [sync, peer]] as const) { // who of the two finds out depends on how deep the tree is
      let [from, to, said] = [first, second, sends(first.begin(second.peerId))]
      while (said.length > 0) {
        said = said.filter(({ kind }) => kind === 'compare').flatMap(({ bytes }) => sends(to.received(from.peerId, bytes, 0)));
        [from, to] = [to, from]
        if (from === sync) wanted.push(...said.filter(({ kind }) => kind === 'want').map(message => message.to))
      }
    }
  }
  assert.equal(wanted, [asked.peerId], 'one at a time')
  sync.disconnected(asked.peerId)
  assert.equal(sends(sync.tick(0)).map(({ to, kind }) => [to, kind]), [[other.peerId, 'compare']])
})

test('after a pull a document rests until what was written here is on disk, but not for long', () => {
  for (const isFlushed of [true, false]) {
    const [sync, other] = [open(0, 1), open(1, 1)]
    edit(other, 0)
    other.durable(keyOf(0), 1)
    sync.connected(other.peerId)
    sync.tick(0)
    edit(sync, 0)
    talk([sync, other], sync, sync.begin(other.peerId))
    assert.is(sync.pulls, 1)
    edit(other, 0)
    other.durable(keyOf(0), 3)
    // The other cannot have what is not on disk here: that they differ says nothing.
    assert.equal(talk([sync, other], sync, sync.begin(other.peerId), SETTLE_MS), ['compare', 'compare'])
    if (isFlushed) sync.durable(keyOf(0), 2)
    const dueMs = isFlushed ? SETTLE_MS : SETTLE_MS_MAX
    assert.ok(sync.nextMs <= dueMs)
    if (!isFlushed) assert.equal(sends(sync.tick(dueMs - 1)), [])
    assert.ok(sync.nextMs > dueMs - 1 && sync.nextMs < 2 * SETTLE_MS_MAX)
    assert.equal(sends(sync.tick(dueMs)).map(({ to, kind }) => [to, kind]), [[other.peerId, 'compare']])
    assert.is(sync.pulls, 1)
  }
})

test('a neighbour is compared with every 10 to 30 s, by chance', () => {
  const [sync, other] = [open(0, 1), open(1, 1)]
  sync.connected(other.peerId)
  sync.tick(0)
  const waits: number[] = []
  for (let [round, lastMs] = [0, 0]; round < 200; round++) {
    const nextMs = sync.nextMs
    assert.equal(sends(sync.tick(nextMs - 1)), [])
    assert.equal(sends(sync.tick(nextMs)).map(({ kind }) => kind), ['compare'])
    waits.push(nextMs - lastMs)
    lastMs = nextMs
  }
  assert.ok(Math.min(...waits) >= ROUND_MS && Math.max(...waits) <= ROUND_MS_MAX)
  assert.ok(Math.max(...waits) - Math.min(...waits) > (ROUND_MS_MAX - ROUND_MS) / 2, 'not all at the same time')
})

test('what is malformed is refused, and of a document that is not open nothing is said', () => {
  const [sync, other] = [open(0, 1), open(1, 2)]
  const [refused] = sync.received('eve', Uint8Array.of(9, 9), 0)
  assert.is(refused?.kind === 'refused' && refused.error.code, 'MALFORMED')
  edit(other, 1)
  other.connected(sync.peerId)
  const ask = other.replica(keyOf(1))?.ask(sync.peerId)
  assert.is(ask?.kind, 'send')
  assert.equal(talk([sync, other], sync, sync.connected(other.peerId)).filter(kind => kind === 'want'), [])
  sync.remove(keyOf(0))
  assert.equal(sync.begin(other.peerId), [])
  assert.equal(sync.durable(keyOf(0), 1), [])
})

test.run()
