/** What a replica wants done, in order; its driver does it. See replica.ts. */
import type * as Y from 'yjs'
import type { SwarmError } from '../lib/base/error.ts'
import type { Alarm } from './alarm.ts'
import type { Merging } from './merge.ts'
import type { DocumentMessage } from './message.ts'

export type Effect =
  /** Append to the log; the sequence is the one the log gives. */
  | { readonly kind: 'append', readonly seq: number, readonly update: Uint8Array, readonly origin: string }
  /** Gossip; then tell `published`. */
  | { readonly kind: 'publish', readonly envelope: Uint8Array, readonly after: number }
  | { readonly kind: 'send', readonly to: string, readonly message: DocumentMessage, readonly after: number }
  /** Something is missing: send a `want` (`ask`) to that peer, or to any other. */
  | { readonly kind: 'pull', readonly from: string }
  | { readonly kind: 'alarm', readonly alarm: Alarm }
  /** Show this document from now on; the one before is destroyed. */
  | { readonly kind: 'replaced', readonly doc: Y.Doc }
  /** Merge this aside, and tell `merged`: it would keep everybody from their turn. */
  | { readonly kind: 'merge', readonly merging: Merging }
  /** Compare with that peer, in a later turn. */
  | { readonly kind: 'compare', readonly from: string }
  /** What a peer said was refused. */
  | { readonly kind: 'refused', readonly from: string, readonly error: SwarmError }
  /** An observer of the application threw this. */
  | { readonly kind: 'raise', readonly error: unknown }
  /** Yjs stopped halfway through what that peer sent: open the document anew from its log. */
  | { readonly kind: 'reload', readonly from: string, readonly error: unknown }

/** What gossip is to do with an envelope: pass it on, drop it and blame its sender, or just drop it. */
export type Verdict = 'accept' | 'reject' | 'ignore'
