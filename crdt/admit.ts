/**
 * What must hold before anything of an envelope is taken in, the cheapest first: its bytes, its author's signature for this swarm, the
 * right to write, and of every update that Yjs could read it and that it holds clocks of its author alone.
 */
import { SwarmError } from '../lib/base/error.ts'
import type { Checked } from './apply.ts'
import { clientOf } from './author.ts'
import { fromHex } from './cursor.ts'
import { readEnvelope, type Envelope, type Verify } from './envelope.ts'
import { readUpdate } from './update.ts'

export interface Admitted {
  readonly envelope: Envelope
  /** Views on the envelope's bytes; none of one that is sealed with a key, which only tells that there is something. */
  readonly updates: readonly Checked[]
}

/** @throws SwarmError as `readEnvelope` and `readUpdate`; FORBIDDEN if its author may not write, or writes under another's clientID */
export function admit (bytes: Uint8Array, { document, swarmId, verify, mayWrite }: {
  readonly document: string
  readonly swarmId: string
  readonly verify: Verify | undefined
  readonly mayWrite: ((author: string) => boolean) | undefined
}): Admitted {
  const envelope = readEnvelope(bytes, swarmId, verify)
  const { author, publicKey, incarnation, keyId } = envelope
  if (envelope.document !== document) throw new SwarmError('MALFORMED', 'an envelope is for another document')
  if (mayWrite?.(author) === false) throw new SwarmError('FORBIDDEN', `${author} may not write to this document`)
  const updates = keyId === 0 ? envelope.updates.map(update => ({ update, content: readUpdate(update) })) : []
  const own = clientOf(fromHex(document), publicKey, incarnation)
  for (const { content } of updates) {
    for (const { client } of content.ranges) {
      if (client !== own) throw new SwarmError('FORBIDDEN', `${author} wrote under the clientID ${client}, which is not its own`)
    }
  }
  return { envelope, updates }
}
