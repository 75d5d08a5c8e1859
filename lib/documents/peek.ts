/** What a driver must know of messages and envelopes without reading them: their kind, and which document they are about. */
import { MESSAGE_KINDS, type Message } from '../../crdt/message.ts'
import { KEY_BYTES } from '../../crdt/name.ts'
import { hex } from '../../crdt/record.ts'

/** Undefined for what is no message. */
export function kindOf (message: Uint8Array): Message['kind'] | undefined {
  return MESSAGE_KINDS[message[1] ?? MESSAGE_KINDS.length]
}

/** The key in a message about one document. */
export function keyOf (message: Uint8Array): string {
  return hex(message.subarray(2, 2 + KEY_BYTES))
}

/** The key in an envelope. */
export function keyOfEnvelope (envelope: Uint8Array): string {
  return hex(envelope.subarray(1, 1 + KEY_BYTES))
}
