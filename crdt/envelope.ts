/**
 * What goes out by gossip: updates of one author to one document, signed together.
 *
 *     version 1 | document 16 | author's public key 32 | incarnation | sequence | previous | key id | count | updates | signature 64
 *
 * Numbers are varints; an update stands behind its length. Signed is all before the signature, behind a prefix that names the swarm.
 * `sequence` is that of the last update in the author's log, `previous` that of the envelope before: whoever has not seen that one
 * has missed something, deletes included, which no vector shows. An envelope without updates is a notice: there is something to be pulled,
 * too large for gossip. `key id` 0 says that updates are plain.
 */
import { concatBytes, utf8 } from '../lib/base/bytes.ts'
import { SwarmError, assert } from '../lib/base/error.ts'
import { PUBLIC_KEY_BYTES, SIGNATURE_BYTES, peerIdOf, verify as verifySignature, type PrivateKey } from '../lib/identity/key.ts'
import { INCARNATIONS } from './author.ts'
import { Reader, Writer, fromHex } from './cursor.ts'
import { KEY_BYTES } from './name.ts'
import { hex } from './record.ts'

/** Largest envelope: far below what gossipsub carries, and small enough to come between others. */
export const ENVELOPE_BYTES_MAX = 64 * 1024

/** Updates in one envelope. */
export const ENVELOPE_UPDATES_MAX = 512

/** Bytes that an envelope has beside its updates, at most. */
const FRAME_BYTES = 1 + KEY_BYTES + PUBLIC_KEY_BYTES + 5 * 8 + SIGNATURE_BYTES

/** Bytes for updates, each with those of its length. */
export const PAYLOAD_BYTES_MAX = ENVELOPE_BYTES_MAX - FRAME_BYTES
export const LENGTH_BYTES = 3

const VERSION = 1

export interface Envelope {
  /** The document's key: 32 hexadecimal digits. */
  readonly document: string
  /** A peer id. */
  readonly author: string
  readonly publicKey: Uint8Array
  readonly incarnation: number
  readonly sequence: number
  readonly previous: number
  readonly keyId: number
  readonly updates: readonly Uint8Array[]
}

/** What signs; a PrivateKey, or less. */
export type Signer = Pick<PrivateKey, 'publicKey' | 'sign' | 'peerId'>
export type Verify = typeof verifySignature

/** Signs an envelope; its updates must fit, see PAYLOAD_BYTES_MAX. */
export function signEnvelope (signer: Signer, swarmId: string, envelope: Omit<Envelope, 'author' | 'publicKey'>): Uint8Array {
  const writer = new Writer().byte(VERSION).put(fromHex(envelope.document)).put(signer.publicKey)
  writer.count(envelope.incarnation).count(envelope.sequence).count(envelope.previous).count(envelope.keyId).count(envelope.updates.length)
  for (const update of envelope.updates) writer.block(update)
  writer.put(signer.sign(signedBytes(swarmId, writer.view())))
  assert(writer.length <= ENVELOPE_BYTES_MAX && envelope.updates.length <= ENVELOPE_UPDATES_MAX, `an envelope of ${writer.length} bytes`)
  return writer.bytes()
}

/**
 * Reads an envelope from outside, its signature last.
 *
 * @returns views on the bytes, which must stay as they are
 * @throws SwarmError TOO_LARGE, MALFORMED, VERSION_UNSUPPORTED; RECORD_INVALID if its author did not sign it for this swarm
 */
export function readEnvelope (bytes: Uint8Array, swarmId: string, verify: Verify = verifySignature): Envelope {
  if (bytes.byteLength > ENVELOPE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `an envelope of ${bytes.byteLength} bytes; limit ${ENVELOPE_BYTES_MAX}`)
  const reader = new Reader(bytes, 'an envelope')
  const version = reader.byte()
  if (version !== VERSION) throw new SwarmError('VERSION_UNSUPPORTED', `an envelope of version ${version}; we read ${VERSION}`)
  const document = hex(reader.take(KEY_BYTES))
  const publicKey = reader.take(PUBLIC_KEY_BYTES)
  const [incarnation, sequence, previous, keyId] = [reader.count(INCARNATIONS - 1), reader.count(), reader.count(), reader.count()]
  if (previous >= sequence) throw reader.malformed('does not follow the one before it')
  const updates: Uint8Array[] = []
  for (let left = reader.count(ENVELOPE_UPDATES_MAX); left > 0; left--) updates.push(reader.block())
  const signed = bytes.subarray(0, reader.at)
  const signature = reader.take(SIGNATURE_BYTES)
  reader.end()
  if (!verify(publicKey, signedBytes(swarmId, signed), signature)) throw new SwarmError('RECORD_INVALID', 'an envelope is not signed by its author for this swarm')
  return { document, author: peerIdOf(publicKey), publicKey, incarnation, sequence, previous, keyId, updates }
}

function signedBytes (swarmId: string, body: Uint8Array): Uint8Array {
  return concatBytes(utf8(`mcp-swarm envelope 1\n${swarmId}\n`), body)
}
