/**
 * What is kept on disk of the incarnation that this peer wrote a document under last: 2 bytes, and the start of the machine in UTF-8.
 * Going on under it keeps documents from growing with each restart; when that is allowed, crdt/incarnation.ts says.
 */
import { concatBytes, textOf, utf8 } from '../base/bytes.ts'
import type { Committer } from '../../crdt/committer.ts'
import { incarnationOn, type Kept } from '../../crdt/incarnation.ts'
import type { Recovery } from '../../crdt/recover.ts'

const PREFIX = 'documents/incarnation/'
const NUMBER_BYTES = 2

/**
 * The incarnation to go on under; undefined for a fresh one. Then the old one is forgotten before anything else goes to disk: what speaks
 * against it may be gone at the next start, when what was damaged has been repaired, while not all that was lost has come back.
 *
 * @throws SwarmError FOLDER_UNUSABLE, OVERLOADED
 */
export async function recallIncarnation (key: string, committer: Committer, { damage, isWitnessed }: Recovery): Promise<number | undefined> {
  const { storage, durability, witness } = committer
  const value = await storage.get(PREFIX + key)
  if (value === undefined) return undefined
  const kept = readKept(value)
  const boot = witness?.boot
  const incarnation = incarnationOn(kept, { durability, boot, isDamaged: damage.length > 0, isWitnessed })
  // What is of another start is void for ever: who only reads writes nothing.
  if (incarnation === undefined && (boot === undefined || kept?.boot === boot)) put(key, committer, undefined)
  return incarnation
}

/** Remembers it in its turn, in place of the one before. @throws SwarmError OVERLOADED: the one before is still there */
export function keepIncarnation (key: string, committer: Committer, incarnation: number): void {
  const { durability, witness } = committer
  if (durability !== 'strict' || witness === undefined) return
  put(key, committer, concatBytes(Uint8Array.of(incarnation >> 8, incarnation & 255), utf8(witness.boot)))
}

/** A write that fails is done anew, until the disk has it: the document tells of the failure. */
function put (key: string, committer: Committer, value: Uint8Array | undefined): void {
  committer.add({ changes: [{ key: PREFIX + key, value }], settled: () => undefined })
}

/** Undefined for what earlier releases kept: of which start it is, it does not say. */
function readKept (value: Uint8Array): Kept | undefined {
  if (value.byteLength <= NUMBER_BYTES) return undefined
  return { incarnation: (value[0] as number) << 8 | value[1] as number, boot: textOf(value.subarray(NUMBER_BYTES)) }
}
