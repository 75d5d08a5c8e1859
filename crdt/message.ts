/**
 * What two peers say to each other about documents, over a stream of their own.
 *
 *     compare  digests of many documents: of parts of the tree of their keys, or of single ones (tree.ts)
 *     want     my vector and digest; send what I lack
 *     have     what you lack by your vector, with all deletes; my vector and digest, so that you can send what I lack
 *     got      all that you had at your mark is on my disk
 *     state    all that I have: our shapes are equal and our content is not (fork.ts)
 *     prove    which envelope said that clock of that client?
 *     proof    this one
 *
 * A mark is a sequence in the log of whoever sends it; others only give it back.
 */
import { Reader, Writer, fromHex } from './cursor.ts'
import { HALF_BYTES, type Digest } from './digest.ts'
import { ENVELOPE_BYTES_MAX } from './envelope.ts'
import { KEY_BYTES } from './name.ts'
import { hex } from './record.ts'
import { UPDATE_BYTES_MAX } from './update.ts'

/** Bytes of the largest message: an update of the largest size, and what stands around it. */
export const MESSAGE_BYTES_MAX = UPDATE_BYTES_MAX + 2 ** 20

/** Bytes of a state vector: 100,000 clients. */
export const VECTOR_BYTES_MAX = 2 ** 20

/** Parts of the tree, and single documents, in one `compare`. */
export const COMPARED_MAX = 4_096

/** Answers to an answer: enough for two peers to be equal, and no endless game. */
export const HOPS_MAX = 3

export interface Node { readonly prefix: string, readonly hash: Uint8Array }
export interface Leaf { readonly key: string, readonly digest: Digest }

export interface Compare { readonly kind: 'compare', readonly nodes: readonly Node[], readonly lists: readonly { readonly prefix: string, readonly leaves: readonly Leaf[] }[] }
export type DocumentMessage =
  | { readonly kind: 'want', readonly vector: Uint8Array, readonly digest: Digest, readonly mark: number }
  | { readonly kind: 'have', readonly vector: Uint8Array, readonly digest: Digest, readonly mark: number, readonly hop: number, readonly update: Uint8Array }
  | { readonly kind: 'got', readonly digest: Digest, readonly mark: number }
  | { readonly kind: 'state', readonly digest: Digest, readonly hop: number, readonly update: Uint8Array }
  | { readonly kind: 'prove', readonly client: number, readonly clock: number }
  | { readonly kind: 'proof', readonly client: number, readonly clock: number, readonly envelope: Uint8Array }
export type Message = Compare | DocumentMessage & { readonly key: string }

export const MESSAGE_KINDS = ['compare', 'want', 'have', 'got', 'state', 'prove', 'proof'] as const
const VERSION = 1

export function writeMessage (message: Message): Uint8Array {
  const writer = new Writer().byte(VERSION).byte(MESSAGE_KINDS.indexOf(message.kind))
  if (message.kind === 'compare') {
    writer.count(message.nodes.length)
    for (const { prefix, hash } of message.nodes) writer.text(prefix).put(hash)
    writer.count(message.lists.length)
    for (const { prefix, leaves } of message.lists) {
      writer.text(prefix).count(leaves.length)
      for (const { key, digest } of leaves) digestTo(writer.put(fromHex(key)), digest)
    }
    return writer.bytes()
  }
  writer.put(fromHex(message.key))
  switch (message.kind) {
    case 'want': return digestTo(writer.block(message.vector), message.digest).count(message.mark).bytes()
    case 'have': return digestTo(writer.block(message.vector), message.digest).count(message.mark).byte(message.hop).block(message.update).bytes()
    case 'got': return digestTo(writer, message.digest).count(message.mark).bytes()
    case 'state': return digestTo(writer, message.digest).byte(message.hop).block(message.update).bytes()
    case 'prove': return writer.count(message.client).count(message.clock).bytes()
    case 'proof': return writer.count(message.client).count(message.clock).block(message.envelope).bytes()
  }
}

/**
 * Reads a message from outside.
 *
 * @returns views on the bytes, which must stay as they are
 * @throws SwarmError MALFORMED, also for another version
 */
export function readMessage (bytes: Uint8Array): Message {
  const reader = new Reader(bytes, 'a message about documents')
  if (reader.byte() !== VERSION) throw reader.malformed('is of another version')
  const kind = MESSAGE_KINDS[reader.byte()]
  if (kind === undefined) throw reader.malformed('is of no known kind')
  const message = kind === 'compare' ? readCompare(reader) : { key: hex(reader.take(KEY_BYTES)), ...readAbout(reader, kind) }
  reader.end()
  return message
}

function readAbout (reader: Reader, kind: DocumentMessage['kind']): DocumentMessage {
  switch (kind) {
    case 'want': return { kind, vector: reader.block(VECTOR_BYTES_MAX), digest: digestFrom(reader), mark: reader.count() }
    case 'have': return { kind, vector: reader.block(VECTOR_BYTES_MAX), digest: digestFrom(reader), mark: reader.count(), hop: reader.byte(), update: reader.block(UPDATE_BYTES_MAX) }
    case 'got': return { kind, digest: digestFrom(reader), mark: reader.count() }
    case 'state': return { kind, digest: digestFrom(reader), hop: reader.byte(), update: reader.block(UPDATE_BYTES_MAX) }
    case 'prove': return { kind, client: reader.count(), clock: reader.count() }
    case 'proof': return { kind, client: reader.count(), clock: reader.count(), envelope: reader.block(ENVELOPE_BYTES_MAX) }
  }
}

function readCompare (reader: Reader): Compare {
  let left = COMPARED_MAX
  const several = (): number => {
    const count = reader.count(left)
    left -= count
    return count
  }
  const nodes = Array.from({ length: several() }, () => ({ prefix: readPrefix(reader), hash: reader.take(HALF_BYTES) }))
  const lists = Array.from({ length: several() }, () => ({
    prefix: readPrefix(reader),
    leaves: Array.from({ length: several() }, () => ({ key: hex(reader.take(KEY_BYTES)), digest: digestFrom(reader) }))
  }))
  return { kind: 'compare', nodes, lists }
}

function readPrefix (reader: Reader): string {
  const prefix = reader.text(2 * KEY_BYTES)
  if (!/^[0-9a-f]*$/.test(prefix)) throw reader.malformed('names no part of the tree')
  return prefix
}

function digestTo (writer: Writer, { shape, content }: Digest): Writer {
  return writer.put(shape).put(content)
}

function digestFrom (reader: Reader): Digest {
  return { shape: reader.take(HALF_BYTES), content: reader.take(HALF_BYTES) }
}
