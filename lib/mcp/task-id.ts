/**
 * What a task is called: `<peer id>.<agent, base64url>.<192 random bits, base64url>`, so that any gateway of the swarm knows
 * whom to ask, and keeps no table.
 *
 * Whoever holds an id and may use the agent may read, answer and cancel the task: a client shall be able to go on through
 * another gateway, where it is another caller. Hence the random bits, drawn where the task runs: nobody guesses them.
 */
import { fromBase64Url, textOf, toBase64Url, utf8 } from '../base/bytes.ts'
import { SwarmError } from '../base/error.ts'
import type { Random } from '../base/random.ts'
import { publicKeyOf } from '../identity/key.ts'
import { refusal } from './task-error.ts'
import { AGENT_NAME_MAX, RPC } from './wire.ts'

/** Longest id of a task, in characters: a peer id, the longest name of an agent, and the random part. */
export const TASK_ID_CHARS_MAX = 640

const RANDOM_BYTES = 24
const RANDOM_PART = /^[A-Za-z0-9_-]{32}$/

/** Where a task runs. */
export interface TaskPlace {
  readonly peerId: string
  readonly agent: string
}

export function makeTaskId ({ peerId, agent }: TaskPlace, random: Random): string {
  return `${peerId}.${toBase64Url(utf8(agent))}.${toBase64Url(random.bytes(RANDOM_BYTES))}`
}

/** Reads an id that came from a client. @throws SwarmError TOOL_FAILED with the specification's `-32602` in `details.rpc` */
export function parseTaskId (taskId: unknown): TaskPlace {
  try {
    if (typeof taskId !== 'string' || taskId.length > TASK_ID_CHARS_MAX) throw new SwarmError('MALFORMED', `no text of at most ${TASK_ID_CHARS_MAX} characters`)
    const [peerId = '', name = '', random = '', ...rest] = taskId.split('.')
    if (rest.length > 0 || !RANDOM_PART.test(random)) throw new SwarmError('MALFORMED', 'not of the form of our ids')
    publicKeyOf(peerId)
    const agent = textOf(fromBase64Url(name))
    if (agent === '' || agent.length > AGENT_NAME_MAX || toBase64Url(utf8(agent)) !== name) throw new SwarmError('MALFORMED', 'it names no agent')
    return { peerId, agent }
  } catch (cause) {
    if (!(cause instanceof SwarmError)) throw cause
    throw refusal(RPC.params, `unknown task: that is no task id of this swarm (${cause.message})`, { cause })
  }
}
