/**
 * The lines of `/mcp-swarm/<swarmId>/directory/2.0.0`, each a JSON object told apart by the one member it must have.
 *
 * Of the peers at both ends:
 *
 *     {"record": "<signed record>", "follows": ["<hash>"]}   what I say of myself; catalogues that come right behind, unasked
 *     {"newer": "<signed record>"}                           your record is older than this one of yours
 *     {"want": "<hash>", "held": true}                       may I see that catalogue (I have its text already)
 *     {"catalogue": "<hash>", "text": "<JSON>"}              yes, here it is
 *     {"readable": "<hash>"}                                 yes, and you have it
 *     {"refused": "<hash>", "code": "FORBIDDEN"}             no
 *     {"ping": 1}, {"pong": 1}                               do you live; I do
 *     {"part": true}                                         I shall close this connection, of which we have enough
 *
 * Of third ones (mark: the first characters of a signed record, which its signature makes unlike any other):
 *
 *     {"told": [["<signed record>", 60]]}                    what they say of themselves, heard first so many seconds ago
 *     {"have": ["<mark>"]}                                   new here
 *     {"need": ["<mark>"]}                                   tell me
 *     {"gone": [["<peerId>", incarnation, sequence]]}        whom that is said of is not to be reached
 *     {"sum": [count, "<digest>"]}                           all that I hold of living peers
 *     {"sums": ["<digest>"]}                                 the same in parts, 2 ** n of them: ours differ
 *     {"marks": [n, {"<part>": ["<mark>"]}]}                 what I hold of those parts that differ
 *
 * A line that is none of these is ignored, as are further members: a later minor version may add some.
 */
import { SwarmError, isErrorCode, type ErrorCode } from '../base/error.ts'
import { isObject, parseObject, type JsonObject } from '../base/json.ts'
import { CATALOGUE_BYTES_MAX, isHash } from './catalogue.ts'
import { PARTS_BITS_MAX, isDigest, isMark } from './digest.ts'

/** Longest line, in bytes: the largest catalogue, every character of it escaped, and what stands around it. */
export const DIRECTORY_LINE_BYTES_MAX = 2 * CATALOGUE_BYTES_MAX + 1_024

/** Catalogues announced to come behind one record. */
export const FOLLOWS_MAX = 64

/** Records in one line. */
export const TOLD_MAX = 32

/** Marks in one line of `have` or `need`, and peers in one of `gone`. */
export const MARKS_MAX = 1_024

/** Marks in one line of `marks`: every peer that a directory may hold. */
export const MARKS_ALL_MAX = 10_000

/** What identifies a state of a peer: its id, its incarnation, its sequence. */
export type Gone = readonly [peerId: string, incarnation: number, sequence: number]

export type Message =
  | { readonly kind: 'record', readonly wire: string, readonly follows: readonly string[] }
  | { readonly kind: 'newer', readonly wire: string }
  | { readonly kind: 'want', readonly hash: string, readonly held: boolean }
  | { readonly kind: 'catalogue', readonly hash: string, readonly text: string }
  | { readonly kind: 'readable', readonly hash: string }
  | { readonly kind: 'refused', readonly hash: string, readonly code: ErrorCode }
  | { readonly kind: 'ping' | 'pong', readonly count: number }
  | { readonly kind: 'part' }
  | { readonly kind: 'told', readonly records: readonly (readonly [wire: string, ageS: number])[] }
  | { readonly kind: 'have' | 'need', readonly marks: readonly string[] }
  | { readonly kind: 'gone', readonly peers: readonly Gone[] }
  | { readonly kind: 'sum', readonly count: number, readonly digest: string }
  | { readonly kind: 'sums', readonly digests: readonly string[] }
  | { readonly kind: 'marks', readonly bits: number, readonly parts: ReadonlyMap<number, readonly string[]> }
  | { readonly kind: 'unknown' }

/** What this version says. */
export type Said = Exclude<Message, { kind: 'unknown' }>

/** The protocol id of a swarm's directory. */
export function directoryProtocol (swarmId: string): string {
  return `/mcp-swarm/${swarmId}/directory/2.0.0`
}

export function writeMessage (message: Said): string {
  switch (message.kind) {
    case 'record': return JSON.stringify(message.follows.length === 0 ? { record: message.wire } : { record: message.wire, follows: message.follows })
    case 'newer': return JSON.stringify({ newer: message.wire })
    case 'want': return JSON.stringify(message.held ? { want: message.hash, held: true } : { want: message.hash })
    case 'catalogue': return JSON.stringify({ catalogue: message.hash, text: message.text })
    case 'readable': return JSON.stringify({ readable: message.hash })
    case 'refused': return JSON.stringify({ refused: message.hash, code: message.code })
    case 'ping': return JSON.stringify({ ping: message.count })
    case 'pong': return JSON.stringify({ pong: message.count })
    case 'part': return JSON.stringify({ part: true })
    case 'told': return JSON.stringify({ told: message.records })
    case 'have': return JSON.stringify({ have: message.marks })
    case 'need': return JSON.stringify({ need: message.marks })
    case 'gone': return JSON.stringify({ gone: message.peers })
    case 'sum': return JSON.stringify({ sum: [message.count, message.digest] })
    case 'sums': return JSON.stringify({ sums: message.digests })
    case 'marks': return JSON.stringify({ marks: [message.bits, Object.fromEntries(message.parts)] })
  }
}

/** @throws SwarmError MALFORMED naming the member at fault */
export function readMessage (line: string): Message {
  const value = parseObject(line, 'a line of the directory')
  if (value.record !== undefined) return { kind: 'record', wire: textIn(value, 'record'), follows: followsIn(value) }
  if (value.told !== undefined) return { kind: 'told', records: listIn(value, 'told', TOLD_MAX, isTold) }
  if (value.have !== undefined) return { kind: 'have', marks: listIn(value, 'have', MARKS_MAX, isMark) }
  if (value.need !== undefined) return { kind: 'need', marks: listIn(value, 'need', MARKS_MAX, isMark) }
  if (value.gone !== undefined) return { kind: 'gone', peers: listIn(value, 'gone', MARKS_MAX, isGone) }
  if (value.ping !== undefined) return { kind: 'ping', count: countIn(value, 'ping') }
  if (value.pong !== undefined) return { kind: 'pong', count: countIn(value, 'pong') }
  if (value.sum !== undefined) return sumIn(value)
  if (value.sums !== undefined) return sumsIn(value)
  if (value.marks !== undefined) return marksIn(value)
  if (value.part === true) return { kind: 'part' }
  if (value.newer !== undefined) return { kind: 'newer', wire: textIn(value, 'newer') }
  if (value.want !== undefined) return { kind: 'want', hash: hashIn(value, 'want'), held: value.held === true }
  if (value.catalogue !== undefined) return { kind: 'catalogue', hash: hashIn(value, 'catalogue'), text: textIn(value, 'text') }
  if (value.readable !== undefined) return { kind: 'readable', hash: hashIn(value, 'readable') }
  if (value.refused !== undefined) {
    return { kind: 'refused', hash: hashIn(value, 'refused'), code: isErrorCode(value.code) ? value.code : 'UNAVAILABLE' }
  }
  return { kind: 'unknown' }
}

function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isTold (value: unknown): value is readonly [string, number] {
  return Array.isArray(value) && value.length >= 2 && typeof value[0] === 'string' && isCount(value[1])
}

function isGone (value: unknown): value is Gone {
  return Array.isArray(value) && value.length >= 3 && typeof value[0] === 'string' && isCount(value[1]) && isCount(value[2])
}

function sumIn ({ sum }: JsonObject): Message {
  const [count, digest] = Array.isArray(sum) ? sum as readonly unknown[] : []
  if (!isCount(count) || !isDigest(digest)) throw malformed('sum is not a count and a digest')
  return { kind: 'sum', count, digest }
}

function sumsIn (value: JsonObject): Message {
  const digests = listIn(value, 'sums', 2 ** PARTS_BITS_MAX, isDigest)
  if (!Number.isInteger(Math.log2(digests.length))) throw malformed('sums are not as many as a power of two')
  return { kind: 'sums', digests }
}

function marksIn ({ marks }: JsonObject): Message {
  const [bits, parts] = Array.isArray(marks) ? marks as readonly unknown[] : []
  if (!isCount(bits) || bits > PARTS_BITS_MAX || !isObject(parts)) throw malformed('marks are not a number of bits and an object')
  let count = 0
  const read = new Map<number, readonly string[]>()
  for (const key of Object.keys(parts)) {
    const list = listIn(parts, key, MARKS_ALL_MAX, isMark)
    const part = Number(key)
    if (!/^\d{1,4}$/.test(key) || part >= 2 ** bits) throw malformed('a part of marks is none of its parts')
    if ((count += list.length) > MARKS_ALL_MAX) throw malformed(`marks are over ${MARKS_ALL_MAX}`)
    read.set(part, list)
  }
  return { kind: 'marks', bits, parts: read }
}

function followsIn (value: JsonObject): readonly string[] {
  return value.follows === undefined ? [] : listIn(value, 'follows', FOLLOWS_MAX, isHash)
}

function listIn<Entry> (value: JsonObject, member: string, max: number, isEntry: (value: unknown) => value is Entry): readonly Entry[] {
  const list = value[member]
  if (!Array.isArray(list) || list.length > max || !list.every(isEntry)) throw malformed(`${member} is not a list of at most ${max} of what it should hold`)
  return list
}

function countIn (value: JsonObject, member: string): number {
  const count = value[member]
  if (!isCount(count)) throw malformed(`${member} is not a count`)
  return count
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
