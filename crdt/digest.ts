/**
 * What two equal documents share, in 32 bytes: 16 over their shape (state vector and deletes) and 16 over what is there, and
 * where; of what was deleted, only where. Equal shapes with different content mean that a client has said two things at one clock (fork.ts).
 *
 * Vectors alone do not show a lost delete, and shapes alone no such fork. Both halves are the same whatever Yjs has merged,
 * split or collected: what counts are single clocks. Half characters count alike, for Yjs may part a character at one peer alone.
 *
 * Each client's clocks are hashed in blocks of BLOCK_CLOCKS; a transaction marks the blocks that it touched, and only those are
 * hashed again, when the digest is asked for or in slices before (`prepare`).
 */
import * as Y from 'yjs'
import { equalBytes } from '../lib/base/bytes.ts'
import { sha256 } from '#hash'
import { Writer } from './cursor.ts'
import { writeId, writePlace, writeUnit } from './unit.ts'

/** Clocks hashed together: what one edit costs, at most, against what a client of many clocks keeps. */
export const BLOCK_CLOCKS = 256

/** Bytes of either half. */
export const HALF_BYTES = 16

export interface Digest { readonly shape: Uint8Array, readonly content: Uint8Array }

interface Blocks { readonly hashes: (Digest | undefined)[], whole: Digest | undefined }

/** Keeps a document's digest; watches it from now on, until `close`. */
export class Digester {
  readonly #doc: Y.Doc
  readonly #clients = new Map<number, Blocks>()
  /** Clients of whom not everything is hashed. */
  readonly #stale: Set<number>
  #digest: Digest | undefined
  readonly #onTransaction = (transaction: Y.Transaction): void => { this.#mark(transaction) }

  constructor (doc: Y.Doc) {
    this.#doc = doc
    this.#stale = new Set(doc.store.clients.keys())
    doc.on('afterTransaction', this.#onTransaction)
  }

  get digest (): Digest {
    if (this.#digest !== undefined) return this.#digest
    const [shape, content] = [new Writer(), new Writer()]
    for (const client of [...this.#doc.store.clients.keys()].sort((left, right) => left - right)) {
      const whole = this.#client(client)
      shape.count(client).put(whole.shape)
      content.count(client).put(whole.content)
    }
    return this.#digest = { shape: half(shape), content: half(content) }
  }

  /** Hashes ahead what has changed. @param blocks at most so many @returns whether something is left */
  prepare (blocks: number): boolean {
    let left = blocks
    for (const client of this.#stale) {
      const { hashes } = this.#blocks(client)
      for (let block = 0; block < hashes.length; block++) {
        if (hashes[block] !== undefined) continue
        if (left-- === 0) return true
        this.#hash(client, hashes, block)
      }
      this.#stale.delete(client)
    }
    return false
  }

  close (): void {
    this.#doc.off('afterTransaction', this.#onTransaction)
  }

  #mark (transaction: Y.Transaction): void {
    for (const [client, to] of transaction.afterState) {
      const from = transaction.beforeState.get(client) ?? 0
      if (from < to) this.#touch(client, from, to)
    }
    for (const [client, deletes] of transaction.deleteSet.clients) {
      for (const { clock, len } of deletes) this.#touch(client, clock, clock + len)
    }
    // What was deleted before, within a type that now is: its place does not count any more. Yjs names only the last entry of a key.
    Y.iterateDeletedStructs(transaction, transaction.deleteSet, struct => {
      if (!(struct instanceof Y.Item) || !(struct.content instanceof Y.ContentType)) return
      for (const last of struct.content.type._map.values()) {
        for (let item: Y.Item | null = last; item !== null; item = item.left) this.#touch(item.id.client, item.id.clock, item.id.clock + item.length)
      }
    })
    for (const { id, length } of transaction._mergeStructs) this.#touch(id.client, id.clock, id.clock + length)
  }

  #touch (client: number, from: number, to: number): void {
    this.#digest = undefined
    this.#stale.add(client)
    const blocks = this.#clients.get(client)
    if (blocks === undefined) return
    blocks.whole = undefined
    const last = Math.min(Math.floor((to - 1) / BLOCK_CLOCKS), blocks.hashes.length - 1)
    for (let block = Math.floor(from / BLOCK_CLOCKS); block <= last; block++) blocks.hashes[block] = undefined
  }

  #client (client: number): Digest {
    const blocks = this.#blocks(client)
    if (blocks.whole !== undefined) return blocks.whole
    const [shape, content] = [new Writer().count(Y.getState(this.#doc.store, client)), new Writer()]
    for (let block = 0; block < blocks.hashes.length; block++) {
      const hash = blocks.hashes[block] ?? this.#hash(client, blocks.hashes, block)
      shape.put(hash.shape)
      content.put(hash.content)
    }
    this.#stale.delete(client)
    return blocks.whole = { shape: half(shape), content: half(content) }
  }

  #blocks (client: number): Blocks {
    const blocks = this.#clients.get(client) ?? { hashes: [], whole: undefined }
    this.#clients.set(client, blocks)
    blocks.hashes.length = Math.ceil(Y.getState(this.#doc.store, client) / BLOCK_CLOCKS)
    return blocks
  }

  #hash (client: number, hashes: (Digest | undefined)[], block: number): Digest {
    const end = Y.getState(this.#doc.store, client)
    return hashes[block] = hashBlock(this.#doc.store.clients.get(client) ?? [], block * BLOCK_CLOCKS, Math.min(end, (block + 1) * BLOCK_CLOCKS))
  }
}

export function equalDigests (left: Digest, right: Digest): boolean {
  return equalBytes(left.shape, right.shape) && equalBytes(left.content, right.content)
}

/** Whether two documents know the same clocks and deletes, and yet say different things. */
export function isForked (left: Digest, right: Digest): boolean {
  return equalBytes(left.shape, right.shape) && !equalBytes(left.content, right.content)
}

function half (writer: Writer): Uint8Array {
  return sha256(writer.view()).subarray(0, HALF_BYTES)
}

/** For one block at a time, in the same memory for all. */
const writers = [new Writer(), new Writer(), new Writer()] as const

/** Hashes the clocks `from` to `to` of one client, without `to`. */
function hashBlock (structs: readonly (Y.Item | Y.GC)[], from: number, to: number): Digest {
  const [shape, content, units] = writers
  for (const writer of writers) writer.clear()
  // Runs of deleted and of living clocks, however many structs they are in.
  let [run, isLiving] = [0, false]
  for (let index = structs.length === 0 ? 0 : Y.findIndexSS(structs as Y.Item[], from); index < structs.length; index++) {
    const struct = structs[index] as Y.Item | Y.GC
    if (struct.id.clock >= to) break
    const start = Math.max(0, from - struct.id.clock)
    const end = Math.min(struct.length, to - struct.id.clock)
    if (struct.deleted === isLiving) {
      shape.count(run)
      ;[run, isLiving] = [0, !isLiving]
    }
    run += end - start
    if (struct instanceof Y.Item && (!struct.deleted || hasPlace(struct))) writeItem(content, units, struct, start, end)
  }
  shape.count(run)
  content.put(units.view())
  return { shape: half(shape), content: half(content) }
}

/** Whether a deleted item has a place that every replica knows: within a deleted type, some have collected it. */
function hasPlace ({ parent }: Y.Item): boolean {
  return parent !== null && '_item' in parent && parent._item?.deleted !== true
}

/**
 * Writes clocks of an item the same way, whether Yjs holds them as one item or as several: each clock of its own, the place it was
 * put only at the first of those that follow each other. What was put goes to `units`.
 */
function writeItem (writer: Writer, units: Writer, item: Y.Item, start: number, end: number): void {
  for (let offset = start; offset < end; offset++) {
    const isFollower = offset > 0 || (item.origin !== null && item.origin.client === item.id.client && item.origin.clock === item.id.clock - 1)
    writer.count(item.id.clock + offset).byte(isFollower ? 1 : 0)
    if (!isFollower) writePlace(writer, item)
    else writeId(writer, item.rightOrigin)
    if (!item.deleted) writeUnit(units, item.content, offset)
  }
}
