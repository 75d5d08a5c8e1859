/** The lines of hello, as data: what may stand in them, and what they mean. Nothing here sends or waits. */
import { verifyGrant } from './grant.ts'
import type { Role } from './grant.ts'
import { utf8 } from '../base/bytes.ts'
import { SwarmError, assert } from '../base/error.ts'
import { isObject, parseObject } from '../base/json.ts'
import type { JsonObject } from '../base/json.ts'

/** Versions of hello and of all that follows it which we speak. */
export const HELLO_VERSIONS: readonly number[] = [1]

/** Longest line of hello, in bytes: what a stranger can make us hold. */
export const HELLO_LINE_BYTES_MAX = 8 * 2 ** 10

/** Entries in an introduction's lists. */
export const VERSIONS_MAX = 16
export const FEATURES_MAX = 32
export const FEATURE_CHARS_MAX = 64

/** Longest name of a peer, in UTF-16 units. */
export const NAME_CHARS_MAX = 64

/** What one end says of itself. Members unknown to us are left alone: a later version may add some. */
export interface Introduction {
  readonly versions: readonly number[]
  /** Optional abilities, by name: used where both ends have them. */
  readonly features: readonly string[]
  /** A token of grant.ts, bound to the peer that says it. */
  readonly grant: string
  /** What people call the peer; proves nothing. */
  readonly name: string
}

/** What this peer is to the swarm. */
export interface Membership {
  readonly swarmId: string
  readonly swarmPublicKey: Uint8Array
  /** Our own grant. */
  readonly grant: string
  /** 1 to NAME_CHARS_MAX printable characters. */
  readonly name: string
  /** Optional abilities we have, at most FEATURES_MAX. */
  readonly features?: readonly string[]
}

/** Who the other end is, as proven. */
export interface Welcome {
  readonly peerId: string
  readonly name: string
  readonly role: Role
  /** The version both ends now speak. */
  readonly version: number
  /** The features both ends have. */
  readonly features: string[]
  /** When its grant ends, in milliseconds since 1970 UTC: the connection is to be closed then. Null: never. */
  readonly memberUntilMs: number | null
}

/** Codes that one end tells the other; every other failure is told as a reset. */
export const REFUSALS = ['MALFORMED', 'NOT_ADMITTED', 'VERSION_UNSUPPORTED'] as const

/** Our introduction, as a line with its newline. */
export function writeIntroduction (own: Membership): Uint8Array {
  const introduction: Introduction = { versions: HELLO_VERSIONS, features: own.features ?? [], grant: own.grant, name: own.name }
  assert(readFeatures(introduction.features) !== undefined && isName(own.name), `${JSON.stringify(own.name)} cannot be introduced`)
  const line = utf8(`${JSON.stringify(introduction)}\n`)
  assert(line.byteLength <= HELLO_LINE_BYTES_MAX, `an introduction of ${line.byteLength} bytes`)
  return line
}

/** A refusal, as a line with its newline. */
export function writeRefusal (code: typeof REFUSALS[number]): Uint8Array {
  return utf8(`${JSON.stringify({ error: { code } })}\n`)
}

/**
 * Judges the other end by its line.
 *
 * @param peerId the other end, as proven by the connection
 * @param nowWallMs our clock, milliseconds since 1970 UTC
 * @throws SwarmError MALFORMED, VERSION_UNSUPPORTED, NOT_ADMITTED with `details.reason` (a GrantReason)
 */
export function judge (line: string, own: Membership, peerId: string, nowWallMs: number): Welcome {
  const members = parseObject(line, 'an introduction')
  const { versions } = members
  if (!Array.isArray(versions) || versions.length > VERSIONS_MAX || !versions.every(isVersion)) throw malformed('versions')
  const version = chooseVersion(HELLO_VERSIONS, versions)
  if (version === undefined) {
    throw new SwarmError('VERSION_UNSUPPORTED', `peer ${peerId} speaks versions ${versions.join(', ') || 'of nothing'}; we speak ${HELLO_VERSIONS.join(', ')}`, { details: { versions } })
  }
  const features = readFeatures(members['features'])
  if (features === undefined) throw malformed('features')
  if (typeof members['grant'] !== 'string') throw malformed('grant')
  if (!isName(members['name'])) throw malformed('name')
  const { role, memberUntilMs } = verifyGrant(members['grant'], own.swarmPublicKey, peerId, nowWallMs)
  return { peerId, name: members['name'], role, version, features: features.filter(feature => own.features?.includes(feature)), memberUntilMs }
}

/** The highest version in both lists. Both ends choose alike, whoever asks. */
export function chooseVersion (ours: readonly number[], theirs: readonly number[]): number | undefined {
  const common = ours.filter(version => theirs.includes(version))
  return common.length === 0 ? undefined : Math.max(...common)
}

/**
 * The failure that a line of refusal tells of, or undefined if the line is none. A code that is not in REFUSALS counts as
 * NOT_ADMITTED: the other end has refused us, whatever it calls it.
 */
export function readRefusal (line: string, peerId: string): SwarmError | undefined {
  const { error }: JsonObject = parseObject(line, 'an answer to hello')
  if (error === undefined) return undefined
  const told = isObject(error) ? error['code'] : undefined
  const code = REFUSALS.find(known => known === told) ?? 'NOT_ADMITTED'
  return new SwarmError(code, `peer ${peerId} refused us`, { details: { reason: 'refused' } })
}

function readFeatures (value: unknown): string[] | undefined {
  if (!Array.isArray(value) || value.length > FEATURES_MAX) return undefined
  return value.every(feature => typeof feature === 'string' && feature.length <= FEATURE_CHARS_MAX) ? value as string[] : undefined
}

function isVersion (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0
}

function isName (value: unknown): value is string {
  return typeof value === 'string' && value.length >= 1 && value.length <= NAME_CHARS_MAX && !/\p{C}/u.test(value)
}

function malformed (member: string): SwarmError {
  return new SwarmError('MALFORMED', `an introduction's ${member} breaks its format`)
}
