/**
 * The packets by which peers of a swarm find each other on a LAN: multicast DNS (RFC 6762) with names as of DNS-SD (RFC 6763,
 * section 7.1), reading and writing no more of it than that takes. Other DNS software on the LAN reads them as what they are.
 *
 *   question   PTR  _<tag>._sub._mcp-swarm._udp.local
 *   answer     PTR  _<tag>._sub._mcp-swarm._udp.local → <label>._mcp-swarm._udp.local
 *              TXT  <label>._mcp-swarm._udp.local     → the sealed announcement, in strings of at most 255 bytes
 *   leaving    the answer with lifetime 0
 *
 * A label names one announcement: another one has another label, so that a list of known labels says what is known exactly.
 * Nothing is asked of names: whoever answers is heard, and what it says is opened by seal.ts.
 */
import { concatBytes, utf8 } from '../../lib/base/bytes.ts'

/** Longest packet written, and about the longest read: one frame of Ethernet holds it, with its headers. */
export const PACKET_BYTES_MAX = 1_400

/** Longest packet read. */
const READ_BYTES_MAX = 1_500

/** Longest sealed announcement that a packet has room for. */
export const SEALED_BYTES_MAX = 1_250

/** Known labels that one question lists: what a packet has room for. */
export const KNOWN_MAX = 36

/** Bounds of what one packet makes us do. */
const RECORDS_MAX = 64
const HOPS_MAX = 16
const NAME_CHARS_MAX = 255

const SERVICE = ['_mcp-swarm', '_udp', 'local']
const TYPE_PTR = 12
const TYPE_TXT = 16
const CLASS_IN = 1
/** In a record: those before it count no more (RFC 6762, section 10.2). */
const FLUSH = 0x8000
const FLAGS_RESPONSE = 0x8400
const HEADER_BYTES = 12
const STRING_BYTES_MAX = 255
const LABEL = /^[0-9a-f]{16}$/

/** A label is 16 digits of base 16. */
export interface Known { readonly label: string, readonly ttlS: number }

/** What a packet says to the peers of one swarm. `known`: what the asker need not be told. */
export type Message =
  | { readonly kind: 'question', readonly known: readonly Known[] }
  | { readonly kind: 'answer', readonly answers: readonly (Known & { readonly sealed: Uint8Array })[] }

/** @param known the first KNOWN_MAX are sent */
export function writeQuestion (tag: string, known: readonly Known[]): Uint8Array {
  const listed = known.slice(0, KNOWN_MAX)
  const question = [...nameBytes([`_${tag}`, '_sub', ...SERVICE]), 0, TYPE_PTR, 0, CLASS_IN]
  // The question's name stands right after the header, and the service's name at its end.
  const service = serviceOffset(tag)
  const answers = listed.map(({ label, ttlS }) => pointer(HEADER_BYTES, TYPE_PTR, CLASS_IN, ttlS, [...labelBytes(label), ...jump(service)]))
  return concatBytes(header(0, 1, listed.length), Uint8Array.from(question), ...answers)
}

/** @param sealed at most SEALED_BYTES_MAX @param ttlS 0: it leaves */
export function writeAnswer (tag: string, label: string, ttlS: number, sealed: Uint8Array): Uint8Array {
  const name = nameBytes([`_${tag}`, '_sub', ...SERVICE])
  const target = [...labelBytes(label), ...jump(serviceOffset(tag))]
  const strings: Uint8Array[] = []
  for (let start = 0; start < sealed.byteLength; start += STRING_BYTES_MAX) {
    const part = sealed.subarray(start, start + STRING_BYTES_MAX)
    strings.push(Uint8Array.of(part.byteLength), part)
  }
  const first = [...name, ...fixed(TYPE_PTR, CLASS_IN, ttlS, target.length), ...target]
  const instance = HEADER_BYTES + first.length - target.length
  return concatBytes(header(FLAGS_RESPONSE, 0, 2), Uint8Array.from(first), pointer(instance, TYPE_TXT, CLASS_IN | FLUSH, ttlS, concatBytes(...strings)))
}

/** @returns undefined for whatever is not for the peers of that swarm, or broken: a LAN has much of both */
export function readMessage (bytes: Uint8Array, tag: string): Message | undefined {
  if (bytes.byteLength < HEADER_BYTES || bytes.byteLength > READ_BYTES_MAX || !holds(bytes, tag)) return undefined
  try {
    return new Reader(bytes).message([`_${tag}`, '_sub', ...SERVICE].join('.'))
  } catch (error) {
    if (error instanceof RangeError) return undefined // cut short, or pointing outside
    throw error
  }
}

class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor (bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  message (name: string): Message | undefined {
    const flags = this.#view.getUint16(2)
    const [questions, ...sections] = [4, 6, 8, 10].map(at => this.#view.getUint16(at)) as [number, number, number, number]
    const records = sections.reduce((sum, count) => sum + count, 0)
    // An operation or a result other than 0 is to be ignored (RFC 6762, sections 18.3 and 18.11).
    if ((flags & 0x780f) !== 0 || questions + records > RECORDS_MAX) return undefined
    this.#at = HEADER_BYTES
    let isAsked = false
    for (let count = 0; count < questions; count++) {
      const asked = this.#name()
      const type = this.#number16()
      this.#at += 2
      if (asked === name && (type === TYPE_PTR || type === 255)) isAsked = true
    }
    const labels = new Map<string, number>()
    const texts = new Map<string, Uint8Array>()
    for (let count = 0; count < records; count++) this.#record(name, labels, texts)
    const known = [...labels].map(([label, ttlS]) => ({ label, ttlS }))
    if ((flags & 0x8000) === 0) return isAsked ? { kind: 'question', known } : undefined
    const answers = known.flatMap(({ label, ttlS }) => {
      const sealed = texts.get(label)
      return sealed === undefined ? [] : [{ label, ttlS, sealed }]
    })
    return answers.length > 0 ? { kind: 'answer', answers } : undefined
  }

  #record (name: string, labels: Map<string, number>, texts: Map<string, Uint8Array>): void {
    const owner = this.#name()
    const type = this.#number16()
    this.#at += 2
    const ttlS = this.#view.getUint32(this.#at)
    this.#at += 4
    const length = this.#number16()
    const end = this.#at + length
    if (end > this.#bytes.byteLength) throw new RangeError('a record reaches outside')
    if (type === TYPE_PTR && owner === name) {
      const label = labelOf(this.#name())
      if (label !== undefined) labels.set(label, ttlS)
    } else if (type === TYPE_TXT) {
      const label = labelOf(owner)
      if (label !== undefined) texts.set(label, this.#text(end))
    }
    this.#at = end
  }

  /** The strings of a TXT record, as one. */
  #text (end: number): Uint8Array {
    const parts: Uint8Array[] = []
    while (this.#at < end) {
      const length = this.#view.getUint8(this.#at)
      if (this.#at + 1 + length > end) throw new RangeError('a string reaches outside')
      parts.push(this.#bytes.subarray(this.#at + 1, this.#at + 1 + length))
      this.#at += 1 + length
    }
    return concatBytes(...parts)
  }

  /** Names are ASCII here; pointers go backwards only, so that none leads in a circle. */
  #name (): string {
    let text = ''
    let [at, after, hops] = [this.#at, -1, 0]
    for (;;) {
      const length = this.#view.getUint8(at)
      if (length === 0) break
      if ((length & 0xc0) === 0xc0) {
        const target = this.#view.getUint16(at) & 0x3fff
        if (target >= at || ++hops > HOPS_MAX) throw new RangeError('a name points forwards')
        if (after < 0) after = at + 2
        at = target
        continue
      }
      if (length > 63 || at + 1 + length > this.#bytes.byteLength || text.length + length > NAME_CHARS_MAX) throw new RangeError('a name is too long')
      text += `${text === '' ? '' : '.'}${String.fromCharCode(...this.#bytes.subarray(at + 1, at + 1 + length))}`
      at += 1 + length
    }
    this.#at = after < 0 ? at + 1 : after
    return text.toLowerCase()
  }

  #number16 (): number {
    this.#at += 2
    return this.#view.getUint16(this.#at - 2)
  }
}

/** The label of an instance of the service, or undefined. */
function labelOf (name: string): string | undefined {
  const [label = '', ...rest] = name.split('.')
  return LABEL.test(label) && rest.join('.') === SERVICE.join('.') ? label : undefined
}

/** Whether the tag stands anywhere: most packets of a LAN are dropped by this alone. */
function holds (bytes: Uint8Array, tag: string): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).includes(tag, HEADER_BYTES, 'latin1')
}

function header (flags: number, questions: number, answers: number): Uint8Array {
  return Uint8Array.from([0, 0, ...two(flags), ...two(questions), ...two(answers), 0, 0, 0, 0])
}

/** A record whose name is written at another place of the packet. */
function pointer (nameAt: number, type: number, dnsClass: number, ttlS: number, data: readonly number[] | Uint8Array): Uint8Array {
  return Uint8Array.from([...jump(nameAt), ...fixed(type, dnsClass, ttlS, data.length), ...data])
}

const two = (value: number): number[] => [value >>> 8, value & 255]

const jump = (at: number): number[] => two(0xc000 | at)

const fixed = (type: number, dnsClass: number, ttlS: number, length: number): number[] => [...two(type), ...two(dnsClass), ...two(ttlS >>> 16), ...two(ttlS & 0xffff), ...two(length)]

const labelBytes = (label: string): number[] => [label.length, ...utf8(label)]

const nameBytes = (labels: readonly string[]): number[] => [...labels.flatMap(labelBytes), 0]

/** Where the service's name stands, in a packet whose first name is that of the swarm. */
const serviceOffset = (tag: string): number => HEADER_BYTES + 1 + 1 + tag.length + 1 + '_sub'.length
