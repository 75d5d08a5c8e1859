/**
 * Whether two directories hold the same, in a few bytes: a pure core.
 *
 * Each record of a living peer has a mark, the first characters of its text: they belong to its signature, so that two
 * records share one only if their signers mean them to, at their own cost alone. The digest of a set of marks is their sum by
 * exclusive or, 60 bits wide, so it does not depend on an order. Directories that differ compare the digests of 2 ** n parts,
 * told apart by the mark's first bits, and list the marks of the parts that differ: for d differences among N records some
 * d * sqrt(N) marks pass, for none a line of fifty bytes. The sums of the finest parts are kept as marks come and go, and those of
 * fewer parts are sums of theirs: a comparison that finds nothing costs the same in a swarm of any size.
 *
 * A digest proves nothing against one who wants to be wrong: a neighbour that lies about what it holds is no worse than one that
 * is silent, and another is asked the next time.
 */

/** Characters of a mark: 66 bits of a signature in base64url. */
export const MARK_CHARS = 11

/** Most parts, as a power of two. */
export const PARTS_BITS_MAX = 8

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUES = new Uint8Array(128)
for (let value = 0; value < ALPHABET.length; value++) VALUES[ALPHABET.charCodeAt(value)] = value

/** The mark of a signed record. */
export function markOf (wire: string): string {
  return wire.slice(0, MARK_CHARS)
}

export function isMark (value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{11}$/.test(value)
}

export function isDigest (value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-z]{1,6}\.[0-9a-z]{1,6}$/.test(value)
}

/** How many parts to compare, as a power of two: about the root of how many marks there are. */
export function bitsFor (count: number): number {
  return count <= 16 ? 0 : Math.min(PARTS_BITS_MAX, Math.ceil(Math.log2(count) / 2))
}

/** Which of 2 ** bits parts a mark belongs to. */
export function partOf (mark: string, bits: number): number {
  return number(mark, 5) >>> (30 - bits)
}

/** The marks of a directory, each with the peer whose record it is. */
export class Marks {
  readonly #peers = new Map<string, string>()
  /** Two sums of each of the finest parts. */
  readonly #sums = new Int32Array(2 ** (PARTS_BITS_MAX + 1))

  get size (): number {
    return this.#peers.size
  }

  /** The peer whose record has a mark. */
  get (mark: string): string | undefined {
    return this.#peers.get(mark)
  }

  set (mark: string, peerId: string): void {
    if (!this.#peers.has(mark)) this.#flip(mark)
    this.#peers.set(mark, peerId)
  }

  delete (mark: string): void {
    if (this.#peers.delete(mark)) this.#flip(mark)
  }

  /** The digest of all. */
  digest (): string {
    return this.digests(0)[0] as string
  }

  /** The digests of 2 ** bits parts; at most PARTS_BITS_MAX. */
  digests (bits: number): string[] {
    const finer = 2 ** (PARTS_BITS_MAX - bits)
    return Array.from({ length: 2 ** bits }, (_, part) => {
      let [high, low] = [0, 0]
      for (let index = part * finer; index < (part + 1) * finer; index++) {
        high ^= this.#sums[2 * index] as number
        low ^= this.#sums[2 * index + 1] as number
      }
      return `${high.toString(36)}.${low.toString(36)}`
    })
  }

  /** The marks of those parts whose digests differ from another's, as many parts as those are. */
  differing (theirs: readonly string[]): { readonly bits: number, readonly parts: Map<number, string[]> } {
    const bits = Math.log2(theirs.length)
    const parts = new Map<number, string[]>()
    for (const [part, digest] of this.digests(bits).entries()) if (digest !== theirs[part]) parts.set(part, [])
    if (parts.size > 0) for (const mark of this.#peers.keys()) parts.get(partOf(mark, bits))?.push(mark)
    return { bits, parts }
  }

  /** Of the parts that another has listed: what it lacks, and what we do. */
  compare (bits: number, theirs: ReadonlyMap<number, readonly string[]>): { readonly missingThere: string[], readonly missingHere: string[] } {
    const listed = new Set([...theirs.values()].flat())
    return {
      missingThere: [...this.#peers.keys()].filter(mark => theirs.has(partOf(mark, bits)) && !listed.has(mark)),
      missingHere: [...listed].filter(mark => !this.#peers.has(mark))
    }
  }

  #flip (mark: string): void {
    const part = partOf(mark, PARTS_BITS_MAX)
    this.#sums[2 * part] = (this.#sums[2 * part] as number) ^ number(mark, 5)
    this.#sums[2 * part + 1] = (this.#sums[2 * part + 1] as number) ^ number(mark, 10)
  }
}

/** 30 bits: of the five characters that end there. */
function number (mark: string, end: number): number {
  let value = 0
  for (let index = end - 5; index < end; index++) value = value << 6 | (VALUES[mark.charCodeAt(index) & 127] as number)
  return value
}
