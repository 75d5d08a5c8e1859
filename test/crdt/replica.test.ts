// bound: 90 s
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as Y from 'yjs'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey, type PrivateKey } from '../../lib/identity/key.ts'
import { mutate } from '../../lib/simulate/hostile.ts'
import { clientOf } from '../../crdt/author.ts'
import { RENEW_MS_MIN } from '../../crdt/body.ts'
import { REBUILD_MS_MIN, REBUILD_MS_PER_MIB } from '../../crdt/pace.ts'
import { fromHex } from '../../crdt/cursor.ts'
import { equalDigests } from '../../crdt/digest.ts'
import { signEnvelope } from '../../crdt/envelope.ts'
import type { DocumentMessage } from '../../crdt/message.ts'
import { ANSWER_MS } from '../../crdt/others.ts'
import { REBUILT_ORIGIN, Replica, type Effect, type ReplicaOptions } from '../../crdt/replica.ts'
import { documentOf, emptyDocument, encodeState, type Logged } from '../../crdt/state.ts'
import { readVector } from '../../crdt/update.ts'

const document = '00112233445566778899aabbccddeeff'
const swarmId = 'swarm'
const random = seededRandom(5)
const [alice, bob, eve] = [generateKey(random), generateKey(random), generateKey(random)]

interface Peer { replica: Replica, effects: Effect[], log: Logged[], take: () => Effect[] }

/** A replica whose effects are collected, and whose log is on disk when `durable` says so. */
function open (signer: PrivateKey, options: Partial<ReplicaOptions> = {}): Peer {
  const replica = new Replica({ document, swarmId, signer, random, doc: new Y.Doc(), makeDoc: emptyDocument, sequence: 0, ...options })
  const peer: Peer = { replica, effects: [], log: [], take: () => peer.effects.splice(0) }
  replica.doc.on('update', (update, origin) => { if (origin !== replica) done(peer, replica.edited(update)) })
  return peer
}

function done (peer: Peer, effects: readonly Effect[]): Effect[] {
  for (const effect of effects) if (effect.kind === 'append') peer.log.push(effect)
  peer.effects.push(...effects)
  return [...effects]
}

const kinds = (effects: readonly Effect[]): string[] => effects.map(({ kind }) => kind)
const flush = (peer: Peer): Uint8Array => {
  const [publish] = done(peer, peer.replica.durable(peer.replica.sequence))
  if (publish?.kind !== 'publish') throw new Error('nothing is published')
  done(peer, peer.replica.published())
  return publish.envelope
}
const hear = (peer: Peer, envelope: Uint8Array, from = bob.peerId, nowMs = 0): { verdict: string, effects: Effect[] } => {
  const heard = peer.replica.received(from, envelope, nowMs)
  done(peer, heard.effects)
  return heard
}
const refusal = (effects: readonly Effect[]): string | undefined => effects.flatMap(effect => effect.kind === 'refused' ? [effect.error.code] : [])[0]

/** Carries messages between two until nobody has anything more to say. Returns how many there were. */
function talk (left: Peer, right: Peer, first: Effect, nowMs = 0): number {
  let count = 0
  const queue: [Peer, Peer, DocumentMessage][] = first.kind === 'send' ? [[left, right, first.message]] : []
  for (let next = queue.shift(); next !== undefined && count < 50; next = queue.shift(), count++) {
    const [from, to, message] = next
    for (const effect of done(to, to.replica.message(idOf(from), message, nowMs))) if (effect.kind === 'send') queue.push([to, from, effect.message])
  }
  return count
}
const ids = new Map<Peer, string>()
const idOf = (peer: Peer): string => ids.get(peer) ?? 'peer'
const named = (peer: Peer, id: string): Peer => { ids.set(peer, id); return peer }

/** Signs as somebody, whatever the updates say. */
function signed (author: PrivateKey, updates: Uint8Array[], sequence = 1, incarnation = 0): Uint8Array {
  return signEnvelope(author, swarmId, { document, incarnation, sequence, previous: sequence - 1, keyId: 0, updates })
}
const clientFor = (author: PrivateKey, incarnation = 0): number => clientOf(fromHex(document), author.publicKey, incarnation)

function updateBy (client: number, change: (doc: Y.Doc) => void, base?: Uint8Array): Uint8Array {
  const doc = base === undefined ? new Y.Doc() : documentOf(emptyDocument, base, [])
  doc.clientID = client
  const before = Y.encodeStateVector(doc)
  change(doc)
  return Y.encodeStateAsUpdate(doc, before)
}

test('an edit is appended, and published only when it is on disk', () => {
  const peer = open(alice)
  peer.replica.doc.getText('t').insert(0, 'a')
  assert.equal(kinds(peer.take()), ['append'])
  assert.equal(peer.replica.durable(0), [])
  const [publish] = peer.replica.durable(1)
  assert.is(publish?.kind === 'publish' && publish.after, 1)
  peer.replica.doc.getText('t').insert(1, 'b')
  peer.replica.doc.getText('t').insert(2, 'c')
  assert.equal(peer.replica.durable(3), [], 'one envelope at a time')
  assert.equal(kinds(peer.replica.published()), ['publish'])
})

test('two that ask each other at once send what is missing once, and again if it may be lost', () => {
  const [full, fresh] = [open(alice), open(bob)]
  full.replica.doc.getMap('m').set('k', 1)
  const said = (effect: Effect | undefined): DocumentMessage => {
    if (effect?.kind !== 'send') throw new Error('nothing is sent')
    return effect.message
  }
  const [asked, asking] = [said(full.replica.ask('fresh')), said(fresh.replica.ask('full'))]
  const sent = (nowMs: number, message: DocumentMessage): string[] => full.replica.message('fresh', message, nowMs).map(effect => said(effect).kind)
  const nothing = said(fresh.replica.message('full', asked, 0)[0])
  assert.is(nothing.kind, 'have')
  assert.equal(sent(0, nothing), ['got', 'have'], 'it has not asked yet')
  assert.equal(sent(0, asking), ['have'])
  assert.equal(sent(ANSWER_MS - 1, nothing), ['got'])
  full.replica.doc.getMap('m').set('k', 2)
  assert.equal(sent(ANSWER_MS - 1, nothing), ['got', 'have'], 'there is more by now')
  assert.equal(sent(ANSWER_MS - 1, asking), ['have'], 'whoever asks is answered')
  assert.equal(sent(2 * ANSWER_MS, nothing), ['got', 'have'])
})

test('who had nothing and takes all that came confirms it unhashed, and tells what it wrote on the way', () => {
  const full = open(alice)
  full.replica.doc.getMap('m').set('k', 1)
  const answerTo = (vector: Uint8Array): DocumentMessage => {
    const [effect] = full.replica.message('fresh', { kind: 'want', vector, digest: { shape: new Uint8Array(16), content: new Uint8Array(16) }, mark: 0 }, 0)
    if (effect?.kind !== 'send' || effect.message.kind !== 'have') throw new Error('no answer')
    return effect.message
  }
  const sentBy = (peer: Peer, message: DocumentMessage): string[] => done(peer, peer.replica.message('full', message, 0)).map(effect => effect.kind === 'send' ? effect.message.kind : effect.kind)
  const nothing = Y.encodeStateVector(new Map())
  const answer = answerTo(nothing)
  // Its digest is not looked at: were it, one of equal shape would be taken for a fork.
  const forked = { ...answer, digest: { ...full.replica.digest, content: new Uint8Array(16) } } as DocumentMessage
  assert.equal(sentBy(open(bob), forked), ['append', 'got'])
  const writing = open(bob)
  writing.replica.doc.getMap('m').observe(() => { if (!writing.replica.doc.getMap('m').has('seen')) writing.replica.doc.getMap('m').set('seen', true) })
  assert.equal(sentBy(writing, answer), ['append', 'append', 'got', 'have'])
  // Whoever had anything looks.
  const older = open(bob)
  older.replica.doc.getMap('m').set('mine', 1)
  older.take()
  assert.equal(sentBy(older, answer), ['append', 'got', 'have'])
  assert.equal(sentBy(older, forked), ['got', 'have'], 'known by now')
})

test('what came while an observer destroyed the document is not confirmed', () => {
  const [from, to] = [open(alice), open(bob)]
  from.replica.doc.getMap('m').set('k', 1)
  hear(to, flush(from))
  from.take()
  from.replica.doc.getMap('m').delete('k')
  const [asked] = [to.replica.ask('from')]
  if (asked?.kind !== 'send') throw new Error('nothing is asked')
  const [answer] = from.replica.message('to', asked.message, 0)
  if (answer?.kind !== 'send') throw new Error('nothing is answered')
  to.replica.doc.getMap('m').observe(() => { to.replica.doc.destroy() })
  assert.equal(kinds(to.replica.message('from', answer.message, 0)), ['reload'])
})

test('what is heard is applied and appended under its author, once', () => {
  const [writer, reader] = [open(alice), open(bob)]
  writer.replica.doc.getMap('m').set('k', 1)
  const envelope = flush(writer)
  const { verdict, effects } = hear(reader, envelope)
  assert.is(verdict, 'accept')
  assert.equal(effects.map(effect => effect.kind === 'append' && effect.origin), [alice.peerId])
  assert.equal(reader.replica.doc.getMap('m').toJSON(), { k: 1 })
  assert.equal(hear(reader, envelope), { verdict: 'accept', effects: [] })
})

test('what comes early waits and is asked for; with what it needs it goes in', () => {
  const [writer, reader] = [open(alice), open(bob)]
  const envelopes = ['a', 'b', 'c'].map(letter => {
    writer.replica.doc.getText('t').insert(0, letter)
    return flush(writer)
  }) as [Uint8Array, Uint8Array, Uint8Array]
  assert.equal(kinds(hear(reader, envelopes[2]).effects), ['pull'])
  assert.equal([reader.replica.gaps.count, reader.replica.doc.getText('t').length], [1, 0])
  assert.equal(kinds(hear(reader, envelopes[0]).effects), ['append'])
  assert.equal(kinds(hear(reader, envelopes[1]).effects), ['append', 'append'])
  assert.is(reader.replica.doc.getText('t').toJSON(), 'cba')
  assert.is(reader.replica.gaps.count, 0)
})

test('a lost delete is noticed though nothing waits for it', () => {
  const [writer, reader] = [open(alice), open(bob)]
  writer.replica.doc.getMap('m').set('k', 1)
  hear(reader, flush(writer))
  writer.replica.doc.getMap('m').delete('k')
  flush(writer)
  writer.replica.doc.getMap('m').set('l', 2)
  assert.equal(kinds(hear(reader, flush(writer)).effects), ['append', 'pull'])
})

for (const [name, code, verdict, envelope] of [
  ['one that is cut short', 'MALFORMED', 'reject', signed(eve, []).subarray(0, -1)],
  ['one that its author did not sign', 'RECORD_INVALID', 'reject', signed(eve, []).map((byte, index, all) => index === all.length - 1 ? byte ^ 1 : byte)],
  ['one of another swarm', 'RECORD_INVALID', 'reject', signEnvelope(eve, 'another', { document, incarnation: 0, sequence: 1, previous: 0, keyId: 0, updates: [] })],
  ['one for another document', 'MALFORMED', 'reject', signEnvelope(eve, swarmId, { document: 'f'.repeat(32), incarnation: 0, sequence: 1, previous: 0, keyId: 0, updates: [] })],
  ['another’s clientID', 'FORBIDDEN', 'reject', signed(eve, [updateBy(clientFor(alice), doc => { doc.getText('t').insert(0, 'x') })])],
  ['the clientID of another incarnation', 'FORBIDDEN', 'reject', signed(eve, [updateBy(clientFor(eve, 1), doc => { doc.getText('t').insert(0, 'x') })])],
  ['an update that breaks off', 'MALFORMED', 'reject', signed(eve, [updateBy(clientFor(eve), doc => { doc.getText('t').insert(0, 'x') }).subarray(0, -1)])]
] as const) {
  test(`refuses ${name}, and changes nothing`, () => {
    const reader = open(bob)
    const heard = hear(reader, envelope)
    assert.equal([heard.verdict, refusal(heard.effects), kinds(heard.effects)], [verdict, code, ['refused']])
    assert.equal(encodeState(reader.replica.doc), encodeState(new Y.Doc()))
  })
}

test('refuses an author without the right to write', () => {
  const reader = open(bob, { mayWrite: author => author !== eve.peerId })
  assert.is(refusal(hear(reader, signed(eve, [])).effects), 'FORBIDDEN')
  assert.is(hear(reader, signed(alice, [])).verdict, 'accept')
})

test('of a version to come nobody is blamed', () => {
  const later = signed(eve, [])
  later[0] = 2
  assert.is(hear(open(bob), later).verdict, 'ignore')
})

test('of 2,000 signed mutants each is taken whole or changes nothing', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const chance = seededRandom(seed)
  const good = updateBy(clientFor(eve), doc => { doc.getMap('m').set('k', [1, { a: 'ü' }]); doc.getText('t').insert(0, 'text'); doc.getText('t').format(0, 2, { bold: true }) })
  let reader = open(bob)
  reader.replica.doc.getText('t').insert(0, 'honest')
  const base = encodeState(reader.replica.doc)
  for (let count = 0; count < 2_000; count++) {
    const { verdict, effects } = hear(reader, signed(eve, [mutate(good, chance)], count + 1))
    assert.not(kinds(effects).includes('reload'), `seed ${seed}, mutant ${count}`)
    const isChanged = kinds(effects).includes('append')
    assert.ok(verdict === 'accept' || !isChanged, `seed ${seed}, mutant ${count}`)
    if (!isChanged) continue
    reader = open(bob, { doc: documentOf(emptyDocument, base, []) })
  }
  assert.equal(encodeState(reader.replica.doc), base, `seed ${seed}`)
})

test('two that were apart are equal after one exchange, and agree on what is on disk', () => {
  const [left, right] = [named(open(alice), 'alice'), named(open(bob), 'bob')]
  left.replica.doc.getText('t').insert(0, 'left')
  right.replica.doc.getText('t').insert(0, 'right')
  right.replica.doc.getText('t').delete(0, 2)
  const messages = talk(left, right, left.replica.ask('bob'))
  assert.ok(messages <= 6, `${messages} messages`)
  assert.ok(equalDigests(left.replica.digest, right.replica.digest))
  // Its own edits; a later record is what came from the other.
  assert.ok(right.replica.agreed('alice') >= 2 && left.replica.agreed('bob') >= 1)
  assert.is(talk(left, right, left.replica.ask('bob')), 2, 'equal: a question, and an answer')
})

test('every message that shows data waits for the log', () => {
  const peer = open(alice)
  peer.replica.doc.getText('t').insert(0, 'x')
  for (const effect of [peer.replica.ask('bob'), peer.replica.offer('bob')]) assert.is(effect.kind === 'send' && effect.after, 1)
})

test('a question goes at once, and shows nothing that was written here and is not on disk', () => {
  const [peer, other] = [open(alice), open(bob)]
  other.replica.doc.getText('t').insert(0, 'theirs')
  hear(peer, flush(other))
  peer.replica.doc.getText('t').insert(0, 'on disk')
  flush(peer)
  peer.replica.doc.getText('t').insert(0, 'not yet')
  const { own, from } = { own: peer.replica.client, from: other.replica.client }
  const asked = (): { vector: ReadonlyMap<number, number>, mark: number, after: number } => {
    const effect = peer.replica.pull('bob')
    if (effect.kind !== 'send' || effect.message.kind !== 'want') throw new Error('nothing is asked')
    return { vector: readVector(effect.message.vector), mark: effect.message.mark, after: effect.after }
  }
  assert.equal(asked(), { vector: new Map([[own, 7], [from, 6]]), mark: 2, after: 0 })
  peer.replica.durable(3)
  assert.equal(asked(), { vector: new Map([[own, 14], [from, 6]]), mark: 3, after: 0 })
  // What the application brings along from elsewhere is not on anybody's disk either.
  Y.applyUpdate(peer.replica.doc, updateBy(99, doc => { doc.getText('u').insert(0, 'elsewhere') }))
  assert.equal([asked().vector.get(99), asked().after], [0, 0])
})

test('what others wrote is handed on before it is on disk here, and confirmed only then', () => {
  const [writer, reader] = [open(alice), open(bob)]
  writer.replica.doc.getText('t').insert(0, 'x')
  const offer = writer.replica.offer('bob')
  if (offer.kind !== 'send') throw new Error('nothing is offered')
  const afters = (effects: readonly Effect[]): unknown[] => effects.flatMap(effect => effect.kind === 'send' ? [[effect.message.kind, effect.after]] : [])
  const asking = { kind: 'want', vector: Uint8Array.of(0), digest: open(eve).replica.digest, mark: 0 } as const
  assert.equal(afters(done(reader, reader.replica.message('alice', offer.message, 0))), [['got', 1]])
  assert.equal(afters(reader.replica.message('eve', asking, 0)), [['have', 0]])
  reader.replica.doc.getText('t').insert(1, 'y')
  assert.equal(afters(reader.replica.message('eve', asking, 0)), [['have', 2]], 'what was written here waits')
  const [have] = reader.replica.message('eve', asking, 0)
  assert.is(have?.kind === 'send' && have.message.kind === 'have' && have.message.mark, 2, 'and what is confirmed then is on disk here')
})

test('a message that holds no update is refused', () => {
  const peer = open(alice)
  const { digest } = peer.replica
  for (const message of [
    { kind: 'want', vector: Uint8Array.of(9), digest, mark: 0 },
    { kind: 'have', vector: Uint8Array.of(0), digest, mark: 0, hop: 0, update: Uint8Array.of(9) },
    { kind: 'state', digest: { shape: digest.shape, content: new Uint8Array(16) }, hop: 0, update: updateBy(1, doc => { doc.getText('t').insert(0, 'a') }).subarray(0, -1) },
    { kind: 'proof', client: 1, clock: 0, envelope: Uint8Array.of(1) }
  ] as const) assert.is(refusal(peer.replica.message('eve', message, 0)), 'MALFORMED', message.kind)
})

/** Two envelopes of Eve that say different things at one clock. */
const lies = ['a', 'b'].map(letter => signed(eve, [updateBy(clientFor(eve), doc => { doc.getText('t').insert(0, letter) })])) as [Uint8Array, Uint8Array]

test('two things said at one clock raise an alarm with both, and peers come together', () => {
  const [left, right] = [named(open(alice), 'alice'), named(open(bob), 'bob')]
  hear(left, lies[0])
  hear(right, lies[1])
  left.replica.doc.getArray('a').push(['alice'])
  right.replica.doc.getArray('a').push(['bob'])
  talk(left, right, left.replica.ask('bob'))
  talk(right, left, right.replica.ask('alice'), 2 * REBUILD_MS_MIN)
  talk(left, right, left.replica.ask('bob'), 4 * REBUILD_MS_MIN)
  assert.ok(equalDigests(left.replica.digest, right.replica.digest))
  assert.equal(new Set(left.replica.doc.getArray('a').toArray()), new Set(['alice', 'bob']))
  const proven = [left, right].flatMap(({ effects }) => effects).some(effect => effect.kind === 'alarm' && effect.alarm.evidence.every(envelope => envelope !== undefined))
  assert.ok(proven, 'both envelopes are shown')
  for (const { log, replica } of [left, right]) assert.equal(encodeState(documentOf(emptyDocument, undefined, log)), encodeState(replica.doc))
})

test('a liar does not make a peer build anew at any rate', () => {
  const peer = open(alice)
  let rebuilt = 0
  for (let round = 0; round < 20; round++) {
    const text = 'zyxwvutsrqponmlkjihg'.charAt(round)
    const { effects } = hear(peer, signed(eve, [updateBy(clientFor(eve), doc => { doc.getText('t').insert(0, text) })], round + 1), eve.peerId, round * REBUILD_MS_MIN / 10)
    rebuilt += effects.filter(effect => effect.kind === 'append' && effect.origin === REBUILT_ORIGIN).length
  }
  assert.ok(rebuilt >= 1 && rebuilt <= 2, `${rebuilt} times in two intervals`)
})

test('the larger a document, the longer it is left alone after it was built anew', () => {
  const peer = open(alice, { mergeHereBytes: Infinity })
  peer.replica.doc.getText('t').insert(0, 'x'.repeat(2 ** 20))
  const base = encodeState(peer.replica.doc)
  const rebuilds = (letter: string, nowMs: number): boolean => kinds(hear(peer, signed(eve, [updateBy(clientFor(eve), doc => { doc.getText('u').insert(0, letter) }, base)], 1, 0), eve.peerId, nowMs).effects).includes('replaced')
  assert.equal(['z', 'y', 'x'].map(letter => rebuilds(letter, 0)), [false, true, false])
  assert.equal([rebuilds('w', REBUILD_MS_PER_MIB), rebuilds('v', REBUILD_MS_PER_MIB + 2 * REBUILD_MS_MIN)], [false, true])
})

test('a proof of a fork that nobody found raises no alarm', () => {
  const peer = open(alice)
  hear(peer, lies[0])
  assert.equal(peer.replica.message('eve', { kind: 'proof', client: clientFor(eve), clock: 0, envelope: lies[1] }, 0), [])
  assert.is(refusal(peer.replica.message('eve', { kind: 'proof', client: clientFor(eve), clock: 7, envelope: lies[1] }, 0)), 'MALFORMED')
})

test('a peer that knows more of us than we do makes us take a fresh clientID, but not again and again', () => {
  const peer = open(alice, { incarnation: 3 })
  const tell = (clock: number, nowMs: number): number => {
    peer.replica.message('bob', { kind: 'want', vector: Y.encodeStateVector(new Map([[peer.replica.client, clock]])), digest: peer.replica.digest, mark: 0 }, nowMs)
    return peer.replica.client
  }
  const first = clientFor(alice, 3)
  assert.is(peer.replica.client, first)
  assert.is(tell(0, 0), first)
  const second = tell(5, 0)
  assert.not.equal(second, first)
  assert.is(peer.replica.doc.clientID, second)
  assert.is(tell(5, RENEW_MS_MIN - 1), second)
  assert.not.equal(tell(5, RENEW_MS_MIN), second)
})

test('our own words from before a loss come back, under a clientID that we then leave', () => {
  const before = open(alice, { incarnation: 7 })
  before.replica.doc.getText('t').insert(0, 'lost')
  const envelope = flush(before)
  const after = open(alice, { incarnation: 7 })
  hear(after, envelope)
  assert.is(after.replica.doc.getText('t').toJSON(), 'lost')
  assert.not.equal(after.replica.client, before.replica.client)
  after.replica.doc.getText('t').insert(4, '!')
  const reader = open(bob)
  hear(reader, envelope)
  assert.is(hear(reader, flush(after)).verdict, 'accept')
  assert.is(reader.replica.doc.getText('t').toJSON(), 'lost!')
})

test('our own words that come too early to be read show as well that we lost some: under that clientID nothing more is written', () => {
  const before = open(alice, { incarnation: 7 })
  before.replica.doc.getText('t').insert(0, 'lost')
  flush(before)
  before.replica.doc.getText('t').insert(4, '!')
  const after = open(alice, { incarnation: 7 })
  hear(after, flush(before))
  assert.is(after.replica.gaps.count, 1)
  assert.not.equal(after.replica.client, before.replica.client)
  assert.is(after.replica.doc.clientID, after.replica.client)
})

test('what the application brings along from elsewhere is told by a notice', () => {
  const peer = open(alice)
  Y.applyUpdate(peer.replica.doc, updateBy(99, doc => { doc.getText('t').insert(0, 'elsewhere') }))
  const reader = open(bob)
  const { verdict, effects } = hear(reader, flush(peer))
  assert.equal([verdict, kinds(effects)], ['accept', ['pull']])
})

test('an observer that throws is told of, and the log has the change', () => {
  const [writer, reader] = [open(alice), open(bob)]
  reader.replica.doc.getText('t').observe(() => { throw new Error('the application') })
  writer.replica.doc.getText('t').insert(0, 'a')
  assert.equal(kinds(hear(reader, flush(writer)).effects), ['append', 'raise'])
})

test('10,000 restarts of an editing peer cost little more than its edits', () => {
  /** Bytes of a document that was edited so often, by a peer that restarts before each edit. */
  const grown = (restarts: number, isWhole: boolean): number => {
    let [state, incarnation, sequence]: [Uint8Array | undefined, number | undefined, number] = [undefined, undefined, 0]
    for (let count = 0; count < restarts; count++) {
      const { replica } = open(alice, { doc: documentOf(emptyDocument, state, []), incarnation: isWhole ? incarnation : undefined, sequence: sequence++ })
      replica.doc.getMap('m').set('count', count)
      incarnation = replica.incarnation
      state = encodeState(replica.doc)
      replica.close()
      replica.doc.destroy()
    }
    return state?.byteLength ?? 0
  }
  const whole = grown(10_000, true)
  // Without a whole log every restart takes a fresh clientID; so few of them, since time grows with their square.
  const fresh = grown(500, false)
  console.log(`note: 10,000 restarts of a whole log leave ${whole} bytes; each fresh clientID costs ${(fresh / 500).toFixed(0)}`)
  assert.ok(whole < 300_000, `${whole} bytes`)
  assert.ok(fresh > 500 * 5, 'else nothing was measured')
})

test('a bug is not taken for a bad message', () => {
  assert.throws(() => open(alice, { verify: () => { throw new TypeError('a bug') } }).replica.received('eve', lies[0], 0), (error: unknown) => error instanceof TypeError && !(error instanceof SwarmError))
})

test.run()
