/**
 * What one peer says about itself, signed: addresses, lease, agents.
 *
 * A signed record is one text: 86 characters of base64url signature, a dot, the record as JSON. Signed is that very JSON
 * text behind a domain prefix that names the swarm, so a record of one swarm is worth nothing in another. Of two records
 * of one peer the one with the higher (incarnation, sequence) counts. Members that version 1 does not know are ignored
 * by the reader and stay in the text, under the signature: later versions may add, but never change a meaning.
 */
import { fromBase64Url, toBase64Url, utf8 } from '../base/bytes.ts'
import { SwarmError } from '../base/error.ts'
import { canonicalJson, isObject, parseObject, type JsonObject } from '../base/json.ts'
import { publicKeyOf, verify, type PrivateKey } from '../identity/key.ts'
import { isHash, isPlainText } from './catalogue.ts'

/** Longest signed record in bytes; it bounds the agents of a peer too (18 with names of ten characters; 17 where the grant is shown, for which room is kept). */
export const RECORD_BYTES_MAX = 2_048

/**
 * How long a record counts after it was heard, by default; in milliseconds. Peers that are linked watch each other, and tell the
 * others who is gone: the lease is for what none of them has seen.
 */
export const LEASE_MS = 1_800_000

export const LEASE_MS_MIN = 1_000
export const LEASE_MS_MAX = 3_600_000

/** Characters in the name of a peer or an agent, a pool, a role or a version. */
export const LABEL_CHARS_MAX = 64

/** Characters in a description, and in the reason why an agent is not available. */
export const REMARK_CHARS_MAX = 512

/** Characters that stay of every description and reason where a record would otherwise be too large. */
const REMARK_CHARS_SHORT = 40

/** Characters of a grant in its short form. */
export const GRANT_CHARS_MAX = 128

export const ADDRESSES_MAX = 16
export const ADDRESS_CHARS_MAX = 256

const SIGNATURE_CHARS = 86

/** Texts that an agent may have, and their characters. */
const OPTIONAL = [['role', LABEL_CHARS_MAX], ['pool', LABEL_CHARS_MAX], ['description', REMARK_CHARS_MAX], ['version', LABEL_CHARS_MAX], ['reason', REMARK_CHARS_MAX]] as const

export interface AgentEntry {
  readonly name: string
  readonly role?: string
  readonly pool?: string
  readonly description?: string
  readonly version?: string
  /** The hash of its catalogue. */
  readonly catalogue: string
  readonly available: boolean
  /** Why it is not available. */
  readonly reason?: string
  /** Not every member may see its catalogue: only its own peer shows it, to those it allows. */
  readonly restricted?: boolean
}

export interface PeerRecord {
  readonly v: 1
  readonly peerId: string
  readonly name: string
  /** Higher at every start of the peer. */
  readonly incarnation: number
  /** Higher with every change within an incarnation. */
  readonly sequence: number
  /** How long the reader may believe the record after hearing it; LEASE_MS_MIN to LEASE_MS_MAX. */
  readonly leaseMs: number
  readonly addresses: readonly string[]
  readonly agents: readonly AgentEntry[]
  /** Which of the gossip topics of documents it takes part in: 8 hexadecimal digits, the first topic the lowest bit. */
  readonly documents?: string
  /** That its peer was let in, in the short form: only where so many peers are known that some may be made up. Whoever needs it checks it. */
  readonly grant?: string
  /** The peer has left the swarm in order: the last record of an incarnation. */
  readonly left?: boolean
}

/** Negative where `left` is the older of two records of one peer, 0 where they are one age. */
export function compareAge (left: PeerRecord, right: PeerRecord): number {
  return left.incarnation - right.incarnation || left.sequence - right.sequence
}

/**
 * Signs this peer's record. Where it would be over RECORD_BYTES_MAX, descriptions and reasons are shortened, then left out:
 * they are for people to read, and one long reason must not make a peer invisible.
 *
 * @throws SwarmError TOO_LARGE with `details.fits`, the agents there is room for; RECORD_INVALID naming the member at fault
 */
export function signRecord (key: PrivateKey, record: PeerRecord, swarmId: string): string {
  const room = RECORD_BYTES_MAX - SIGNATURE_CHARS - 1
  for (const remarkChars of [REMARK_CHARS_MAX, REMARK_CHARS_SHORT, 0]) {
    const text = canonicalJson(shorten(record, remarkChars))
    if (utf8(text).byteLength > room) continue
    checkRecord(parseObject(text, 'a record'))
    return `${toBase64Url(key.sign(signedBytes(text, swarmId)))}.${text}`
  }
  const bare = shorten(record, 0)
  let fits = record.agents.length
  const bytesWith = (count: number): number => utf8(canonicalJson({ ...bare, agents: bare.agents.slice(0, count) })).byteLength
  while (fits > 0 && bytesWith(fits) > room) fits--
  throw new SwarmError('TOO_LARGE',
    `a record with ${record.agents.length} agents is over the limit of ${RECORD_BYTES_MAX} bytes; ${fits} of them fit`,
    { details: { limit: RECORD_BYTES_MAX, agents: record.agents.length, fits } })
}

/**
 * Reads a signed record from outside.
 *
 * @param share gives for a text the same one, where it is held already: see texts.ts
 * @throws SwarmError RECORD_INVALID with `details.reason`: size, format, version or signature
 */
export function readRecord (wire: string, swarmId: string, share: Share = own): PeerRecord {
  if (wire.length > RECORD_BYTES_MAX || utf8(wire).byteLength > RECORD_BYTES_MAX) {
    throw invalid('size', `it is over the limit of ${RECORD_BYTES_MAX} bytes`)
  }
  if (wire[SIGNATURE_CHARS] !== '.') throw invalid('format', 'no signature stands before its text')
  const text = wire.slice(SIGNATURE_CHARS + 1)
  const { body, signature, publicKey } = unwrap(wire, text)
  if (!verify(publicKey, signedBytes(text, swarmId), signature)) throw invalid('signature', 'its signature is not that of its peer for this swarm')
  return checkRecord(body, share)
}

/**
 * Reads a record that was verified when it came, and kept where nobody else writes: its signature is not checked again.
 *
 * @param share as of `readRecord`
 * @throws SwarmError RECORD_INVALID
 */
export function recallRecord (wire: string, share: Share = own): PeerRecord {
  return checkRecord(unwrap(wire, wire.slice(SIGNATURE_CHARS + 1)).body, share)
}

function unwrap (wire: string, text: string): { body: JsonObject, signature: Uint8Array, publicKey: Uint8Array } {
  try {
    const body = parseObject(text, 'a record')
    if (typeof body.peerId !== 'string') throw invalid('format', 'its peerId is not a text')
    return { body, signature: fromBase64Url(wire.slice(0, SIGNATURE_CHARS)), publicKey: publicKeyOf(body.peerId) }
  } catch (cause) {
    if (cause instanceof SwarmError && cause.code === 'MALFORMED') throw invalid('format', cause.message, cause)
    throw cause
  }
}

type Share = (text: string) => string
const own: Share = text => text

function checkRecord (body: JsonObject, share: Share = own): PeerRecord {
  if (body.v !== 1) throw invalid('version', `its version is ${JSON.stringify(body.v)}; we read 1`)
  if (body.left !== undefined && typeof body.left !== 'boolean') throw invalid('format', 'left is neither true nor false')
  const peerId = body.peerId
  if (typeof peerId !== 'string') throw invalid('format', 'its peerId is not a text')
  const agents = listOf(body, 'agents').map(agent => checkAgent(agent, share))
  if (new Set(agents.map(agent => agent.name)).size < agents.length) throw invalid('format', 'two of its agents have one name')
  // Member by member: a thousand records that are put together from parts take a tenth more room.
  const record: { -readonly [Member in keyof PeerRecord]: PeerRecord[Member] } = {
    v: 1,
    peerId,
    name: textIn(body, 'name', LABEL_CHARS_MAX),
    incarnation: countIn(body, 'incarnation', 0, Number.MAX_SAFE_INTEGER),
    sequence: countIn(body, 'sequence', 0, Number.MAX_SAFE_INTEGER),
    leaseMs: countIn(body, 'leaseMs', LEASE_MS_MIN, LEASE_MS_MAX),
    addresses: checkAddresses(listOf(body, 'addresses')),
    agents
  }
  if (body.documents !== undefined) record.documents = share(documentsIn(body.documents))
  if (body.grant !== undefined) record.grant = textIn(body, 'grant', GRANT_CHARS_MAX)
  if (body.left === true) record.left = true
  return record
}

function documentsIn (documents: unknown): string {
  if (typeof documents !== 'string' || !/^[0-9a-f]{8}$/.test(documents)) throw invalid('format', 'its documents are not 8 hexadecimal digits')
  return documents
}

function checkAgent (value: unknown, share: Share): AgentEntry {
  if (!isObject(value)) throw invalid('format', 'one of its agents is not an object')
  if (typeof value.available !== 'boolean') throw invalid('format', 'available of an agent is neither true nor false')
  if (value.restricted !== undefined && typeof value.restricted !== 'boolean') throw invalid('format', 'restricted of an agent is neither true nor false')
  if (!isHash(value.catalogue)) throw invalid('format', 'the catalogue of an agent is not a hash')
  const agent: { -readonly [Member in keyof AgentEntry]: AgentEntry[Member] } = { name: share(textIn(value, 'name', LABEL_CHARS_MAX)), catalogue: share(value.catalogue), available: value.available }
  for (const [member, charsMax] of OPTIONAL) if (value[member] !== undefined) agent[member] = textIn(value, member, charsMax)
  if (value.restricted === true) agent.restricted = true
  return agent
}

function checkAddresses (addresses: readonly unknown[]): string[] {
  if (addresses.length > ADDRESSES_MAX) throw invalid('format', `it has ${addresses.length} addresses; limit ${ADDRESSES_MAX}`)
  return addresses.map(address => {
    if (!isPlainText(address, ADDRESS_CHARS_MAX) || !address.startsWith('/')) throw invalid('format', 'one of its addresses is no multiaddr')
    return address
  })
}

function listOf (value: JsonObject, member: string): readonly unknown[] {
  const list = value[member]
  if (!Array.isArray(list)) throw invalid('format', `its ${member} are not a list`)
  return list
}

function textIn (value: JsonObject, member: string, charsMax: number): string {
  const text = value[member]
  if (!isPlainText(text, charsMax)) throw invalid('format', `its ${member} is not 1 to ${charsMax} printable characters`)
  return text
}

function countIn (value: JsonObject, member: string, min: number, max: number): number {
  const count = value[member]
  if (typeof count !== 'number' || !Number.isSafeInteger(count) || count < min || count > max) {
    throw invalid('format', `its ${member} is not a whole number from ${min} to ${max}`)
  }
  return count
}

function shorten (record: PeerRecord, remarkChars: number): PeerRecord {
  const cut = (remark: string | undefined): string | undefined => {
    const plain = remark?.replace(/\p{Cc}+/gu, ' ')
    if (plain === undefined || plain === '' || remarkChars === 0) return undefined
    return plain.length <= remarkChars ? plain : `${plain.slice(0, remarkChars - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
  }
  return { ...record, agents: record.agents.map(agent => ({ ...agent, description: cut(agent.description), reason: cut(agent.reason) })) }
}

function signedBytes (text: string, swarmId: string): Uint8Array {
  return utf8(`mcp-swarm record 1\n${swarmId}\n${text}`)
}

function invalid (reason: 'size' | 'format' | 'version' | 'signature', what: string, cause?: unknown): SwarmError {
  return new SwarmError('RECORD_INVALID', `a record is refused: ${what}`, { cause, details: { reason } })
}
