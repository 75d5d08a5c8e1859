/**
 * Whose a Yjs clientID is: it is made from the document, the author and an incarnation, so that whoever hears of the three can
 * check it, and nobody needs to be told or to remember.
 *
 * An author takes a fresh incarnation whenever it cannot be sure to know all that it ever wrote under the last one: two updates
 * under one clientID and clock are a fork (fork.ts), and no author wants to be taken for a liar.
 */
import { concatBytes, utf8 } from '../lib/base/bytes.ts'
import { assert } from '../lib/base/error.ts'
import type { Random } from '../lib/base/random.ts'
import { sha256 } from '#hash'
import type { Reach } from './gap.ts'

/** Incarnations an author can have in one document. Few, so that nobody finds one that makes another author's clientID. */
export const INCARNATIONS = 2 ** 16

/**
 * The clientID, 1 to 2^32 - 1, of an author in a document.
 *
 * @param document key, 16 bytes
 * @param author public key, 32 bytes
 * @param incarnation 0 to INCARNATIONS - 1
 */
export function clientOf (document: Uint8Array, author: Uint8Array, incarnation: number): number {
  assert(Number.isInteger(incarnation) && incarnation >= 0 && incarnation < INCARNATIONS, `${incarnation} is no incarnation`)
  const hash = sha256(concatBytes(DOMAIN, document, author, Uint8Array.of(incarnation >> 8, incarnation & 255)))
  const view = new DataView(hash.buffer, hash.byteOffset)
  return view.getUint32(0) || view.getUint32(4) || 1
}

const DOMAIN = utf8('mcp-swarm client 1\n')

/**
 * An incarnation whose clientID has written nothing that is known here. It is drawn, not counted: what was lost with the end of
 * a log cannot be counted on.
 */
export function freshIncarnation (document: Uint8Array, author: Uint8Array, reach: Reach, random: Random): number {
  const first = Math.floor(random.next() * INCARNATIONS)
  for (let step = 0; step < INCARNATIONS; step++) {
    const incarnation = (first + step) % INCARNATIONS
    if (reach(clientOf(document, author, incarnation)) === 0) return incarnation
  }
  assert(false, `all ${INCARNATIONS} incarnations of an author are used`)
}
