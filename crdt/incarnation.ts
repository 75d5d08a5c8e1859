/**
 * Whether a peer may write on under the clientID that it had before it was started again (author.ts). Two edits under one clientID and
 * clock are a fork, so it may only where every change that it ever showed is known to be in its log. That log must be
 *
 * - on a disk that flushes before anything is shown (`strict`);
 * - whole, with a witness for its end;
 * - of the same start of the machine. A disk that says it has flushed and has not loses that with its power, the witness with the log,
 *   back to a state in which nothing seems to be missing. What it still holds while the machine runs on, it does not lose with a process.
 *
 * What is left, a folder put back from an old copy while the machine runs on, or a disk that lies and is unplugged, shows only when a peer
 * knows more: see `Body.hearOfUs`.
 */
import type { Durability } from './committer.ts'

/** What is kept on disk of the incarnation that was written under last. */
export interface Kept {
  readonly incarnation: number
  /** The start of the machine in which it was taken: see `Witness.boot`. */
  readonly boot: string
}

/** How a log was found. */
export interface Footing {
  readonly durability: Durability
  /** This start of the machine; undefined where there is no witness. */
  readonly boot: string | undefined
  readonly isDamaged: boolean
  readonly isWitnessed: boolean
}

/** The incarnation to write on under; undefined for a fresh one. */
export function incarnationOn (kept: Kept | undefined, { durability, boot, isDamaged, isWitnessed }: Footing): number | undefined {
  const mayGoOn = durability === 'strict' && isWitnessed && !isDamaged && kept?.boot === boot
  return mayGoOn ? kept?.incarnation : undefined
}
