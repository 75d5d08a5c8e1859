/**
 * What a Yjs update (version 1 of its format) holds, read without Yjs and without building anything: which clocks of which clients,
 * what those need to be there before, what is deleted.
 *
 * It is stricter than Yjs, whose `applyUpdate` reads while it changes the document: an update that passes here, and that fits
 * (gap.ts), does not throw in Yjs. So everything that Yjs would throw at is looked at: kinds of content, texts that are not
 * UTF-8, JSON that is not JSON, empty structs, a client that stands twice, depths that would break the stack.
 *
 * Source: yjs 13.6.33, src/utils/encoding.js, UpdateDecoder.js, structs/*.js; lib0, decoding.js `readAny`.
 */
import { SwarmError } from '../lib/base/error.ts'
import { Reader } from './cursor.ts'

/** Bytes of the largest update that is read, a whole document among them. */
export const UPDATE_BYTES_MAX = 64 * 2 ** 20

/**
 * Clients that write in one update: what it takes to find out whether it fits grows with them, to about 30 ms. A document of more
 * reaches nobody who does not have most of it; a peer takes a fresh clientID only after a crash, see author.ts.
 */
export const CLIENTS_MAX = 2 ** 15

/** Deepest nesting of a value in an update; lib0 reads by recursion. */
export const VALUE_DEPTH_MAX = 256

/** Clocks `from` to `to`, without `to`, of one client. */
export interface Range { readonly client: number, readonly from: number, readonly to: number }

export interface Content {
  readonly bytes: number
  /** The highest client first, its clocks in order; one per run without a hole. Yjs's own updates have one per client. */
  readonly ranges: readonly Range[]
  /** Each struct that needs something of another client; a client's together, in the order of its clocks. */
  readonly needs: readonly Need[]
  /** As written, so they may touch or overlap. */
  readonly deletes: readonly Range[]
  readonly structs: number
  /** What may be put between two clocks in the wrong order: see twist.ts. */
  readonly twists: readonly Twist[]
  /** Whether something is put between two others. */
  readonly hasBetween: boolean
}

/** The struct at `clock` of `client` is put behind `left` and before `right`, both of the client `of`, and `right` is not the later one. */
export interface Twist { readonly client: number, readonly clock: number, readonly of: number, readonly left: number, readonly right: number }

/** The struct at `clock` of `client` needs the clock `needClock` of `needClient`. */
export interface Need { readonly client: number, readonly clock: number, readonly needClient: number, readonly needClock: number }

interface Mutable { ranges: Range[], needs: Need[], deletes: Range[], structs: number, twists: Twist[], hasBetween: boolean }

const HAS_ORIGIN = 0x80
const HAS_RIGHT_ORIGIN = 0x40
const HAS_PARENT_SUB = 0x20
const KIND = 0x1f

/** Kinds of structs and contents, by Yjs's numbers. */
const GC = 0, DELETED = 1, JSON_LIST = 2, BINARY = 3, STRING = 4, EMBED = 5, FORMAT = 6, TYPE = 7, ANY = 8, DOC = 9, SKIP = 10

/** Types that Yjs knows; those of XmlElement and XmlHook have a name. */
const TYPES = 7
const NAMED_TYPES = [3, 5]

/**
 * Reads an update from outside.
 *
 * @throws SwarmError MALFORMED if Yjs could not apply it, TOO_LARGE over UPDATE_BYTES_MAX
 */
export function readUpdate (update: Uint8Array): Content {
  if (update.byteLength > UPDATE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `an update of ${update.byteLength} bytes; limit ${UPDATE_BYTES_MAX}`)
  const reader = new Reader(update, 'an update')
  const content: Mutable = { ranges: [], needs: [], deletes: [], structs: 0, twists: [], hasBetween: false }
  let above = Infinity
  for (let clients = reader.count(CLIENTS_MAX); clients > 0; clients--) {
    const structs = reader.count()
    const client = reader.count()
    if (client >= above) throw reader.malformed('names a client twice, or not in descending order as Yjs does')
    above = client
    readStructs(reader, content, client, structs)
  }
  readDeletes(reader, content.deletes)
  reader.end()
  return { bytes: update.byteLength, ...content }
}

/** The clients whose clocks an update holds. */
export function clientsOf (content: Content): Set<number> {
  return new Set(content.ranges.map(({ client }) => client))
}

function readStructs (reader: Reader, content: Mutable, client: number, structs: number): void {
  let clock = reader.count()
  let from = clock
  for (; structs > 0; structs--) {
    const info = reader.byte()
    const kind = info & KIND
    if (kind === SKIP) {
      if (clock > from) content.ranges.push({ client, from, to: clock })
      from = clock += reader.count()
      if (!Number.isSafeInteger(clock)) throw reader.malformed('has a clock over 2^53')
      continue
    }
    const length = kind === GC ? reader.count() : readItem(reader, content, client, clock, info)
    if (length === 0) throw reader.malformed('has an empty struct')
    clock += length
    if (!Number.isSafeInteger(clock)) throw reader.malformed('has a clock over 2^53')
    content.structs++
  }
  if (clock > from) content.ranges.push({ client, from, to: clock })
}

/** Reads an item behind its first byte. Returns its length. */
function readItem (reader: Reader, content: Mutable, client: number, clock: number, info: number): number {
  if ((info & HAS_ORIGIN) !== 0 && (info & HAS_RIGHT_ORIGIN) !== 0) readBetween(reader, content, client, clock)
  else if ((info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN)) !== 0) readNeed(reader, content, client, clock)
  else {
    // The parent: a root type by its name, or the type that a struct holds.
    if (reader.count() === 1) reader.passText()
    else readNeed(reader, content, client, clock)
    if ((info & HAS_PARENT_SUB) !== 0) reader.passText()
  }
  return readContent(reader, info & KIND)
}

function readBetween (reader: Reader, content: Mutable, client: number, clock: number): void {
  const [of, left] = [reader.count(), reader.count()]
  keepNeed(reader, content, client, clock, of, left)
  const [rightClient, right] = [reader.count(), reader.count()]
  keepNeed(reader, content, client, clock, rightClient, right)
  content.hasBetween = true
  if (rightClient === of && right <= left) content.twists.push({ client, clock, of, left, right })
}

function readNeed (reader: Reader, content: Mutable, client: number, clock: number): void {
  const needClient = reader.count()
  const needClock = reader.count()
  keepNeed(reader, content, client, clock, needClient, needClock)
}

function keepNeed (reader: Reader, content: Mutable, client: number, clock: number, needClient: number, needClock: number): void {
  if (needClient !== client) content.needs.push({ client, clock, needClient, needClock })
  // Yjs does not look for those, and throws; where the later clock is known already, a merge of two branches would come to that.
  else if (needClock >= clock) throw reader.malformed('needs a later clock of its own client')
}

/** Reads a struct's content. Returns its length in clocks. */
function readContent (reader: Reader, kind: number): number {
  switch (kind) {
    case DELETED: return reader.count()
    case JSON_LIST: return times(reader, () => { readJson(reader, 'undefined') })
    case BINARY: reader.block(); return 1
    case STRING: return reader.passText()
    case EMBED: readJson(reader); return 1
    case FORMAT: reader.passText(); readJson(reader); return 1
    case TYPE: {
      const type = reader.count()
      if (type >= TYPES) throw reader.malformed(`holds a shared type ${type}`)
      if (NAMED_TYPES.includes(type)) reader.passText()
      return 1
    }
    case ANY: return times(reader, () => { skipValue(reader, 0) })
    case DOC: reader.passText(); readOptions(reader); return 1
    default: throw reader.malformed(`holds content of kind ${kind}`)
  }
}

/** Runs as often as the next number says. Every run takes a byte at least, so that the end of the bytes bounds them. */
function times (reader: Reader, step: () => void): number {
  const count = reader.count()
  if (count > reader.left) throw reader.malformed('is cut short')
  for (let left = count; left > 0; left--) step()
  return count
}

/** @param also a text that counts, though it is not JSON */
function readJson (reader: Reader, also?: string): void {
  const text = reader.text()
  if (text === also) return
  try {
    JSON.parse(text)
  } catch (cause) {
    throw new SwarmError('MALFORMED', 'an update holds JSON that is none', { cause })
  }
}

/** The options of a document within: Yjs spreads them into the options of a new Y.Doc, so only harmless ones may be there. */
function readOptions (reader: Reader): void {
  if (reader.byte() !== 118) throw reader.malformed('holds a document without options')
  for (let members = reader.count(); members > 0; members--) {
    const name = reader.text()
    const kind = reader.bytes[reader.at]
    const isFlag = kind === 120 || kind === 121
    if (!(['gc', 'autoLoad', 'shouldLoad'].includes(name) && isFlag) && name !== 'meta') throw reader.malformed(`holds a document with ${JSON.stringify(name)}`)
    skipValue(reader, 0)
  }
}

/** Passes over one of lib0's values. */
function skipValue (reader: Reader, depth: number): void {
  if (depth > VALUE_DEPTH_MAX) throw reader.malformed(`holds a value nested deeper than ${VALUE_DEPTH_MAX}`)
  const kind = reader.byte()
  switch (kind) {
    case 127: case 126: case 121: case 120: return // undefined, null, false, true
    case 125: skipInteger(reader); return
    case 124: reader.take(4); return
    case 123: case 122: reader.take(8); return
    case 119: reader.passText(); return
    case 118: times(reader, () => { reader.passText(); skipValue(reader, depth + 1) }); return
    case 117: times(reader, () => { skipValue(reader, depth + 1) }); return
    case 116: reader.block(); return
    default: throw reader.malformed(`holds a value of kind ${kind}`)
  }
}

/** A signed varint: 6 bits, then 7 a byte. */
function skipInteger (reader: Reader): void {
  let byte = reader.byte()
  let [value, unit] = [byte & 63, 64]
  while (byte >= 128) {
    byte = reader.byte()
    value += (byte & 127) * unit
    unit *= 128
    if (value > Number.MAX_SAFE_INTEGER) throw reader.malformed('holds a number over 2^53')
  }
}

/** Deletes, of one client at a time. */
export function readDeletes (reader: Reader, into: Range[]): void {
  for (let clients = reader.count(); clients > 0; clients--) {
    const client = reader.count()
    for (let left = reader.count(); left > 0; left--) {
      const from = reader.count()
      const to = from + reader.count()
      if (to === from || !Number.isSafeInteger(to)) throw reader.malformed('deletes nothing, or past 2^53')
      into.push({ client, from, to })
    }
  }
}

/** A state vector from outside. @throws SwarmError MALFORMED */
export function readVector (bytes: Uint8Array): Map<number, number> {
  const reader = new Reader(bytes, 'a state vector')
  const vector = new Map<number, number>()
  for (let clients = reader.count(); clients > 0; clients--) vector.set(reader.count(), reader.count())
  reader.end()
  return vector
}
