/** A large document and what contradicts it are merged aside, while both sides go on. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { mergeAside } from '#aside'
import { mergeAside as mergeInPage } from '../../crdt/aside.browser.ts'
import { clientOf } from '../../crdt/author.ts'
import { REBUILD_MS_MIN, REBUILD_MS_PER_MIB } from '../../crdt/pace.ts'
import { Writer, fromHex } from '../../crdt/cursor.ts'
import { Digester, equalDigests } from '../../crdt/digest.ts'
import { signEnvelope } from '../../crdt/envelope.ts'
import { MERGE_HERE_BYTES, mergeWhole, putOn, type Merging } from '../../crdt/merge.ts'
import { REBUILT_ORIGIN, Replica, type Effect } from '../../crdt/replica.ts'
import { documentOf, emptyDocument, encodeState, type Logged } from '../../crdt/state.ts'
import { systemClock } from '../../lib/base/clock.ts'
import type { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey, type PrivateKey } from '../../lib/identity/key.ts'
import { within } from '../support/within.ts'

const document = '00112233445566778899aabbccddeeff'
const random = seededRandom(5)
const [alice, bob, eve] = [generateKey(random), generateKey(random), generateKey(random)]
const evil = clientOf(fromHex(document), eve.publicKey, 0)

const base = emptyDocument()
base.getText('t').insert(0, 'x'.repeat(MERGE_HERE_BYTES))

/** A large document in which a client has said something. */
function branch (client: number, word: string): Uint8Array {
  const doc = documentOf(emptyDocument, encodeState(base), [])
  doc.clientID = client
  doc.getMap('m').set('word', word)
  return encodeState(doc)
}

interface Peer { readonly replica: Replica, readonly log: Logged[], readonly effects: Effect[], readonly edit: (change: (doc: Y.Doc) => void) => void }

function open (signer: PrivateKey, state: Uint8Array, incarnation?: number): Peer {
  const doc = documentOf(emptyDocument, state, [])
  const replica = new Replica({ document, swarmId: 'swarm', signer, random, doc, makeDoc: emptyDocument, sequence: 0, incarnation })
  const peer: Peer = {
    replica, log: [{ update: state, origin: '' }], effects: [],
    edit: change => {
      const onUpdate = (update: Uint8Array): void => { done(peer, replica.edited(update)) }
      replica.doc.on('update', onUpdate)
      change(replica.doc)
      replica.doc.off('update', onUpdate)
    }
  }
  return peer
}

function done (peer: Peer, effects: readonly Effect[]): readonly Effect[] {
  for (const effect of effects) if (effect.kind === 'append') peer.log.push(effect)
  peer.effects.push(...effects)
  return effects
}

function stateOf (state: Uint8Array): Parameters<Replica['message']>[1] {
  const doc = documentOf(emptyDocument, state, [])
  return { kind: 'state', digest: new Digester(doc).digest, hop: 0, update: state }
}

const kinds = (effects: readonly Effect[]): string[] => effects.map(({ kind }) => kind)

function mergingIn (effects: readonly Effect[]): Merging {
  assert.equal(kinds(effects).filter(kind => kind !== 'alarm'), ['merge'])
  const [merge] = effects.filter(({ kind }) => kind === 'merge')
  if (merge?.kind !== 'merge') throw new Error('nothing is merged')
  return merge.merging
}

/** What is in the document is what its log gives, and no more. */
function replays ({ replica, log }: Peer): void {
  const doc = documentOf(emptyDocument, undefined, log)
  assert.equal(encodeState(doc), encodeState(replica.doc))
}

test('a large document goes on until the merge is back, and keeps what was edited meanwhile', () => {
  const [left, right] = [branch(evil, 'another'), branch(evil, 'one')] // the shorter one wins
  const [here, there] = [open(alice, left), open(bob, right)]
  const begun = mergingIn(done(here, here.replica.message(bob.peerId, stateOf(right), 0)))
  const old = here.replica.doc
  here.edit(doc => { doc.getMap('m').set('meanwhile', 1) })
  here.edit(doc => { doc.getText('t').insert(5, 'meanwhile') })
  assert.is(here.replica.doc, old)
  const effects = done(here, here.replica.merged(mergeWhole(begun), 0))
  assert.equal(kinds(effects), ['alarm', 'append', 'replaced', 'compare', 'send'], 'proof is asked for, and a comparison follows')
  assert.is.not(here.replica.doc, old)
  assert.equal([here.replica.doc.getMap('m').get('meanwhile'), here.replica.doc.getText('t').toJSON().indexOf('meanwhile')], [1, 5])
  assert.is(here.log.at(-1)?.origin, REBUILT_ORIGIN)
  replays(here)
  // The other side merges the same two, and then has what was edited meanwhile too.
  done(there, there.replica.merged(mergeWhole(mergingIn(done(there, there.replica.message(alice.peerId, stateOf(left), 0)))), 0))
  done(there, there.replica.message(alice.peerId, { kind: 'have', vector: Y.encodeStateVector(here.replica.doc), digest: here.replica.digest, mark: 0, hop: 0, update: encodeState(here.replica.doc) }, 0))
  assert.ok(equalDigests(here.replica.digest, there.replica.digest))
  replays(there)
})

test('what others send while a merge is under way waits for the comparison after it', () => {
  const here = open(alice, branch(evil, 'one'))
  const begun = mergingIn(done(here, here.replica.message(bob.peerId, stateOf(branch(evil, 'another')), 0)))
  const other = documentOf(emptyDocument, encodeState(base), [])
  other.clientID = clientOf(fromHex(document), bob.publicKey, 0)
  let update: Uint8Array = new Uint8Array()
  other.on('update', bytes => { update = bytes })
  other.getMap('m').set('bob', 1)
  const envelope = signEnvelope(bob, 'swarm', { document, incarnation: 0, sequence: 1, previous: 0, keyId: 0, updates: [update] })
  done(here, here.replica.received(eve.peerId, envelope, 0).effects)
  assert.equal(done(here, here.replica.message(bob.peerId, stateOf(branch(evil, 'a third')), 1e9)), [], 'one merge at a time')
  assert.is(here.replica.doc.getMap('m').get('bob'), undefined)
  const effects = done(here, here.replica.merged(mergeWhole(begun), 0))
  assert.equal(effects.flatMap(effect => effect.kind === 'compare' ? [effect.from] : []), [bob.peerId, eve.peerId])
  done(here, here.replica.received(eve.peerId, envelope, 0).effects)
  assert.is(here.replica.doc.getMap('m').get('bob'), 1)
  replays(here)
})

test('a merge that fails leaves all as it is, and is tried anew after its time', () => {
  const here = open(alice, branch(evil, 'another'))
  const before = encodeState(here.replica.doc)
  const message = stateOf(branch(evil, 'one'))
  mergingIn(done(here, here.replica.message(bob.peerId, message, 0)))
  assert.equal(kinds(done(here, here.replica.merged(undefined, 0))), ['compare'])
  assert.equal(encodeState(here.replica.doc), before)
  assert.equal(done(here, here.replica.message(bob.peerId, message, REBUILD_MS_MIN - 1)), [])
  done(here, here.replica.merged(mergeWhole(mergingIn(done(here, here.replica.message(bob.peerId, message, REBUILD_MS_MIN + REBUILD_MS_PER_MIB)))), 20_000))
  assert.not(Buffer.from(encodeState(here.replica.doc)).equals(before))
})

test('a merge of what says the same changes nothing, edited meanwhile or not', () => {
  const state = branch(evil, 'one')
  const here = open(alice, state)
  const other = documentOf(emptyDocument, state, [])
  const message = { ...stateOf(state), digest: new Digester(emptyDocument()).digest } // as from a liar
  const begun = mergingIn(done(here, here.replica.message(bob.peerId, message, 0)))
  const { doc } = here.replica
  here.edit(doc => { doc.getMap('m').set('meanwhile', 1) })
  assert.equal(kinds(done(here, here.replica.merged(mergeWhole(begun), 0))), ['compare', 'send'], 'the sender is told what all of it is')
  assert.is(here.replica.doc, doc)
  assert.is(doc.getMap('m').get('meanwhile'), 1)
  other.destroy()
})

test('somebody wrote under our own name, and so do we while that is merged: one of the two counts, and the next name is fresh', () => {
  const ours = clientOf(fromHex(document), alice.publicKey, 0)
  const here = open(alice, encodeState(base), 0)
  here.edit(doc => { doc.getMap('m').set('word', 'here') })
  assert.is(here.replica.client, ours)
  const copied = documentOf(emptyDocument, encodeState(base), [])
  copied.clientID = ours
  for (const [key, word] of [['word', 'there'], ['more', 'there too'], ['most', 'and again']] as const) copied.getMap('m').set(key, word)
  const message = stateOf(encodeState(copied))
  const begun = mergingIn(done(here, here.replica.message(bob.peerId, message, 0)))
  here.edit(doc => { doc.getMap('m').set('own', 'here too') })
  const effects = done(here, here.replica.merged(mergeWhole(begun), 0))
  assert.ok(kinds(effects).includes('replaced'))
  assert.is.not(here.replica.client, ours)
  assert.equal(here.replica.doc.getMap('m').toJSON(), { word: 'here', own: 'here too', most: 'and again' }, 'what comes first in byte order')
  here.edit(doc => { doc.getMap('m').set('after', 1) })
  replays(here)
})

test('what was edited between two neighbours that a merge has parted leaves a document that its own bytes give again', () => {
  const won = emptyDocument()
  won.clientID = evil
  const word = won.getMap('m').set('k', new Y.Text())
  word.insert(0, 'lie')
  const lost = emptyDocument()
  lost.clientID = evil
  lost.getArray('l').insert(0, [1, 2, 3, 4])
  const ours = documentOf(emptyDocument, encodeState(lost), [])
  ours.clientID = 7
  const edits: Uint8Array[] = []
  ours.on('update', (update: Uint8Array) => { edits.push(update) })
  ours.getArray('l').insert(1, ['between'])
  ours.getArray('m2').insert(0, ['elsewhere'])
  const { doc, forks } = putOn(mergeWhole({ ours: encodeState(won), theirs: [encodeState(won)] }), edits, emptyDocument)
  assert.equal(forks, [])
  assert.equal(doc.getArray('m2').toJSON(), ['elsewhere'])
  assert.equal(new Digester(doc).digest, new Digester(documentOf(emptyDocument, encodeState(doc), [])).digest)
})

test('what was edited within what a merge has made a key’s entry of several clocks leaves the last of them alone, as every reading does', () => {
  const won = emptyDocument()
  // The entry `k` of the map `m`: a text of three clocks. No author writes that.
  Y.applyUpdate(won, new Writer().count(1).count(1).count(evil).count(0).byte(0x24).count(1).text('m').text('k').text('abc').count(0).bytes())
  const ours = emptyDocument()
  ours.clientID = evil
  ours.getText('t').insert(0, 'abc')
  ours.clientID = 7
  const edits: Uint8Array[] = []
  ours.on('update', (update: Uint8Array) => { edits.push(update) })
  ours.getText('t').insert(1, 'between')
  const { doc, forks } = putOn(mergeWhole({ ours: encodeState(won), theirs: [encodeState(won)] }), edits, emptyDocument)
  assert.equal(forks, [])
  assert.equal(encodeState(doc), encodeState(documentOf(emptyDocument, encodeState(doc), [])))
})

for (const isGone of [true, false]) {
  test(`what others put between two neighbours that a lie has parted leaves a log that gives the document again, with one of them ${isGone ? 'gone' : 'going later'}`, () => {
    const won = emptyDocument()
    won.clientID = evil
    won.getMap('m').set('k', new Y.Text('lie'))
    const other = emptyDocument()
    other.clientID = evil
    other.getArray('l').insert(0, [1, 2, 3, 4])
    other.clientID = clientOf(fromHex(document), bob.publicKey, 0)
    let update: Uint8Array = new Uint8Array()
    other.on('update', bytes => { update = bytes })
    other.getArray('l').insert(1, ['between'])
    const here = open(alice, encodeState(won))
    const drop = (doc: Y.Doc): void => { doc.getMap('m').delete('k') }
    if (isGone) here.edit(drop)
    done(here, here.replica.received(bob.peerId, signEnvelope(bob, 'swarm', { document, incarnation: 0, sequence: 1, previous: 0, keyId: 0, updates: [update] }), 0).effects)
    replays(here)
    if (!isGone) here.edit(drop)
    replays(here)
    const again = documentOf(emptyDocument, encodeState(here.replica.doc), [])
    assert.equal(encodeState(again), encodeState(here.replica.doc), 'nor does another reading change it')
  })
}

test('gossip that contradicts a large document is merged aside too', () => {
  const here = open(alice, branch(evil, 'one'))
  const other = documentOf(emptyDocument, encodeState(base), [])
  other.clientID = evil
  let update: Uint8Array = new Uint8Array()
  other.on('update', bytes => { update = bytes })
  other.getMap('m').set('word', 'another')
  const envelope = signEnvelope(eve, 'swarm', { document, incarnation: 0, sequence: 1, previous: 0, keyId: 0, updates: [update] })
  const effects = done(here, here.replica.received(bob.peerId, envelope, 0).effects)
  const begun = mergingIn(effects.filter(({ kind }) => kind !== 'pull'))
  const after = done(here, here.replica.merged(mergeWhole(begun), 0))
  assert.ok(kinds(after).includes('compare'))
  const expected = mergeWhole({ ours: branch(evil, 'one'), theirs: [update] })
  assert.ok(equalDigests(here.replica.digest, expected.digest))
  replays(here)
})

for (const [name, merge] of [['a thread', mergeAside(systemClock)], ['slices', mergeInPage(systemClock)]] as const) {
  test(`${name}: comes to what is merged at once`, async () => {
    const merging = { ours: branch(evil, 'one'), theirs: [branch(evil, 'another')] }
    const [aside, here] = [await within(20_000, 'merged', merge(merging)), mergeWhole(merging)]
    assert.equal([Buffer.from(aside.state), aside.forks, Buffer.from(aside.digest.content)], [Buffer.from(here.state), here.forks, Buffer.from(here.digest.content)])
    assert.is(merging.ours.byteLength > MERGE_HERE_BYTES, true, 'what goes in stays')
  })
}

test('a thread that cannot merge says so', async () => {
  const error = await within(20_000, 'an end', mergeAside(systemClock)({ ours: Uint8Array.of(1, 2, 3), theirs: [Uint8Array.of(0, 0)] }).then(() => undefined, (thrown: unknown) => thrown))
  assert.is((error as SwarmError).code, 'UNAVAILABLE')
})

test.run()
