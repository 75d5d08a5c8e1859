/**
 * The bytes of sync/1.0.0 in docs/PROTOCOL.md, frozen in test/fixtures/protocol/sync.txt: today's code writes exactly these, and reads
 * them. A failure here means that peers of other releases would be broken: it takes a new version, and new fixtures beside these.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { clientOf } from '../crdt/author.ts'
import { fromHex } from '../crdt/cursor.ts'
import { readEnvelope, signEnvelope } from '../crdt/envelope.ts'
import { readMessage, writeMessage, type Message } from '../crdt/message.ts'
import { documentKey } from '../crdt/name.ts'
import { emptyDocument, encodeState } from '../crdt/state.ts'
import { syncProtocol } from '../lib/documents/channels.ts'
import { FrameReader, largeFrames, wholeFrame } from '../lib/documents/frame.ts'
import { topicOf } from '../lib/documents/topic.ts'
import { SWARM, alice, check, freeze, frozen, one, type Sent } from './support/frozen.ts'

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const KEY = documentKey('notes')
const CLIENT = clientOf(fromHex(KEY), alice.publicKey, 7)
const DIGEST = { shape: new Uint8Array(16).fill(1), content: new Uint8Array(16).fill(2) }

function update (): Uint8Array {
  const doc = emptyDocument()
  doc.clientID = CLIENT
  doc.getMap('todo').set('t1', 'buy milk')
  return encodeState(doc)
}

const envelope = { document: KEY, incarnation: 7, sequence: 3, previous: 1, keyId: 0 }
const messages: readonly Message[] = [
  { kind: 'compare', nodes: [{ prefix: '', hash: DIGEST.shape }, { prefix: 'a0', hash: DIGEST.content }], lists: [{ prefix: '1', leaves: [{ key: KEY, digest: DIGEST }] }] },
  { kind: 'want', key: KEY, vector: Uint8Array.of(1, 5, 2), digest: DIGEST, mark: 300 },
  { kind: 'have', key: KEY, vector: Uint8Array.of(1, 5, 2), digest: DIGEST, mark: 300, hop: 1, update: update() },
  { kind: 'got', key: KEY, digest: DIGEST, mark: 300 },
  { kind: 'state', key: KEY, digest: DIGEST, hop: 0, update: update() },
  { kind: 'prove', key: KEY, client: CLIENT, clock: 4 },
  { kind: 'proof', key: KEY, client: CLIENT, clock: 4, envelope: Uint8Array.of(1, 2, 3) }
]
const large = { bytes: Uint8Array.from({ length: 70_000 }, (_, index) => index % 251), isPacked: false, messageBytes: 70_000 }

freeze('sync', (): Sent => [
  ['protocol', syncProtocol(SWARM)],
  ['key', KEY],
  ['topic', topicOf(SWARM, KEY)],
  ['client', String(CLIENT)],
  ['update', hexOf(update())],
  ['envelope', hexOf(signEnvelope(alice, SWARM, { ...envelope, updates: [update()] }))],
  ['notice', hexOf(signEnvelope(alice, SWARM, { ...envelope, updates: [] }))],
  ...messages.map((message): [string, string] => [message.kind, hexOf(writeMessage(message))]),
  ['whole', hexOf(wholeFrame(writeMessage(messages[3] as Message)))],
  ['first', hexOf([...largeFrames(large)][0] as Uint8Array)],
  ['parts', [...largeFrames(large)].slice(1).map(frame => `${hexOf(frame.subarray(0, 5))}+${frame.byteLength - 5}`).join(' ')]
])

check('sync: reads these bytes', () => {
  const lines = frozen('sync')
  const read = readEnvelope(fromHex(one('envelope', lines)), SWARM)
  assert.equal({ author: read.author, sequence: read.sequence, previous: read.previous, updates: read.updates.map(hexOf) }, { author: alice.peerId, sequence: 3, previous: 1, updates: [one('update', lines)] })
  assert.equal(readEnvelope(fromHex(one('notice', lines)), SWARM).updates, [])
  for (const message of messages) assert.is(hexOf(writeMessage(readMessage(fromHex(one(message.kind, lines))))), one(message.kind, lines))
  const reader = new FrameReader()
  assert.equal(reader.take(fromHex(one('whole', lines))).map(frame => frame instanceof Uint8Array && hexOf(frame)), [one('got', lines)])
})

test.run()
