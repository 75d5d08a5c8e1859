/**
 * The lines of `/mcp-swarm/<swarmId>/directory/1.0.0`, each a JSON object told apart by the one member it must have:
 *
 *     {"record": "<signed record>", "follows": ["<hash>"]}   what I say of myself; catalogues that come right behind, unasked
 *     {"alive": [incarnation, sequence]}                     that record still holds: a further lease
 *     {"newer": "<signed record>"}                           your record is older than this one of yours
 *     {"want": "record"}                                     I do not have the record you mean
 *     {"want": "<hash>", "held": true}                       may I see that catalogue of yours (I have its text already)
 *     {"catalogue": "<hash>", "text": "<JSON>"}              yes, here it is
 *     {"readable": "<hash>"}                                 yes, and you have it
 *     {"refused": "<hash>", "code": "FORBIDDEN"}             no
 *
 * A line that is none of these is ignored, as are further members: a later minor version may add some.
 */
import { SwarmError, isErrorCode, type ErrorCode } from '../base/error.ts'
import { parseObject, type JsonObject } from '../base/json.ts'
import { CATALOGUE_BYTES_MAX, isHash } from './catalogue.ts'

/** Longest line, in bytes: the largest catalogue, every character of it escaped, and what stands around it. */
export const DIRECTORY_LINE_BYTES_MAX = 2 * CATALOGUE_BYTES_MAX + 1_024

/** Catalogues announced to come behind one record. */
export const FOLLOWS_MAX = 64

export type Message =
  | { readonly kind: 'record', readonly wire: string, readonly follows: readonly string[] }
  | { readonly kind: 'alive', readonly incarnation: number, readonly sequence: number }
  | { readonly kind: 'newer', readonly wire: string }
  | { readonly kind: 'want-record' }
  | { readonly kind: 'want', readonly hash: string, readonly held: boolean }
  | { readonly kind: 'catalogue', readonly hash: string, readonly text: string }
  | { readonly kind: 'readable', readonly hash: string }
  | { readonly kind: 'refused', readonly hash: string, readonly code: ErrorCode }
  | { readonly kind: 'unknown' }

/** What this version says. */
export type Said = Exclude<Message, { kind: 'unknown' }>

/** The protocol id of a swarm's directory. */
export function directoryProtocol (swarmId: string): string {
  return `/mcp-swarm/${swarmId}/directory/1.0.0`
}

export function writeMessage (message: Said): string {
  switch (message.kind) {
    case 'record': return JSON.stringify(message.follows.length === 0 ? { record: message.wire } : { record: message.wire, follows: message.follows })
    case 'alive': return JSON.stringify({ alive: [message.incarnation, message.sequence] })
    case 'newer': return JSON.stringify({ newer: message.wire })
    case 'want-record': return JSON.stringify({ want: 'record' })
    case 'want': return JSON.stringify(message.held ? { want: message.hash, held: true } : { want: message.hash })
    case 'catalogue': return JSON.stringify({ catalogue: message.hash, text: message.text })
    case 'readable': return JSON.stringify({ readable: message.hash })
    case 'refused': return JSON.stringify({ refused: message.hash, code: message.code })
  }
}

/** @throws SwarmError MALFORMED naming the member at fault */
export function readMessage (line: string): Message {
  const value = parseObject(line, 'a line of the directory')
  if (value.record !== undefined) return { kind: 'record', wire: textIn(value, 'record'), follows: followsIn(value) }
  if (value.alive !== undefined) return aliveIn(value)
  if (value.newer !== undefined) return { kind: 'newer', wire: textIn(value, 'newer') }
  if (value.want === 'record') return { kind: 'want-record' }
  if (value.want !== undefined) return { kind: 'want', hash: hashIn(value, 'want'), held: value.held === true }
  if (value.catalogue !== undefined) return { kind: 'catalogue', hash: hashIn(value, 'catalogue'), text: textIn(value, 'text') }
  if (value.readable !== undefined) return { kind: 'readable', hash: hashIn(value, 'readable') }
  if (value.refused !== undefined) {
    return { kind: 'refused', hash: hashIn(value, 'refused'), code: isErrorCode(value.code) ? value.code : 'UNAVAILABLE' }
  }
  return { kind: 'unknown' }
}

function aliveIn ({ alive }: JsonObject): Message {
  if (!Array.isArray(alive)) throw malformed('alive is not a list')
  const [incarnation, sequence] = alive as readonly unknown[]
  if (typeof incarnation !== 'number' || typeof sequence !== 'number') throw malformed('alive does not hold two numbers')
  return { kind: 'alive', incarnation, sequence }
}

function followsIn ({ follows = [] }: JsonObject): readonly string[] {
  if (!Array.isArray(follows) || follows.length > FOLLOWS_MAX || !follows.every(isHash)) {
    throw malformed(`follows is not a list of at most ${FOLLOWS_MAX} hashes`)
  }
  return follows
}

function hashIn (value: JsonObject, member: string): string {
  const hash = value[member]
  if (!isHash(hash)) throw malformed(`${member} is not a hash`)
  return hash
}

function textIn (value: JsonObject, member: string): string {
  const text = value[member]
  if (typeof text !== 'string') throw malformed(`${member} is not a text`)
  return text
}

function malformed (reason: string): SwarmError {
  return new SwarmError('MALFORMED', `a line of the directory breaks its format: ${reason}`)
}
