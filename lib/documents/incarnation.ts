/**
 * Which incarnation this peer wrote a document under last (crdt/author.ts). Going on under it keeps documents from growing with each
 * restart; it is allowed only where every change ever shown is known to be in the log: kept on a strict disk, and read back
 * whole, with a witness for its end.
 */
import { SwarmError, assert, messageOf } from '../base/error.ts'
import type { Committer } from '../../crdt/committer.ts'
import type { Recovery } from '../../crdt/recover.ts'

const PREFIX = 'documents/incarnation/'

/**
 * The incarnation to go on under; undefined for a fresh one.
 *
 * @throws SwarmError FOLDER_UNUSABLE
 */
export async function recallIncarnation (key: string, { storage, durability, witness }: Committer, { damage, isWitnessed }: Recovery): Promise<number | undefined> {
  const value = await storage.get(PREFIX + key)
  if (value === undefined) return undefined
  if (durability !== 'strict' || witness === undefined) {
    // What is shown from now on may be lost by a power cut, and the witness would not know.
    await storage.write([{ key: PREFIX + key, value: undefined }], { sync: true })
    return undefined
  }
  return value.byteLength !== 2 || damage.length > 0 || !isWitnessed ? undefined : (value[0] as number) << 8 | value[1] as number
}

/** Remembers it in its turn: lost, it only costs a fresh one. */
export function keepIncarnation (key: string, committer: Committer, incarnation: number): void {
  if (committer.durability !== 'strict' || committer.witness === undefined) return
  committer.put([{ key: PREFIX + key, value: Uint8Array.of(incarnation >> 8, incarnation & 255) }]).catch((error: unknown) => {
    assert(error instanceof SwarmError, messageOf(error)) // the disk failed, of which the document tells
  })
}
