/**
 * Whether two directories hold the same, in a few bytes: a pure core.
 *
 * Each record of a living peer has a mark, the first characters of its text: they belong to its signature, so that two
 * records share one only if their signers mean them to, at their own cost alone. The digest of a set of marks is their sum by
 * exclusive or, 60 bits wide, so it does not depend on an order. Directories that differ compare the digests of 2 ** n parts,
 * told apart by the mark's first bits, and list the marks of the parts that differ: for d differences among N records some
 * d * sqrt(N) marks pass, for none a line of fifty bytes.
 *
 * A digest proves nothing against one who wants to be wrong: a neighbour that lies about what it holds is no worse than one that
 * is silent, and another is asked the next time.
 */

/** Characters of a mark: 66 bits of a signature in base64url. */
export const MARK_CHARS = 11

/** Most parts, as a power of two. */
export const PARTS_BITS_MAX = 8

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const VALUES: ReadonlyMap<string, number> = new Map([...ALPHABET].map((char, index) => [char, index]))

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

/** The digest of a set of marks. */
export function digestOf (marks: Iterable<string>): string {
  return digestsOf(marks, 0)[0] as string
}

/** The digests of its 2 ** bits parts. */
export function digestsOf (marks: Iterable<string>, bits: number): string[] {
  const sums = Array.from({ length: 2 ** bits }, (): [number, number] => [0, 0])
  for (const mark of marks) {
    const sum = sums[partOf(mark, bits)] as [number, number]
    sum[0] ^= number(mark, 5)
    sum[1] ^= number(mark, 10)
  }
  return sums.map(([high, low]) => `${high.toString(36)}.${low.toString(36)}`)
}

/** The marks of those parts whose digests differ from another's, as many parts as those are. */
export function differing (marks: Iterable<string>, theirs: readonly string[]): { readonly bits: number, readonly parts: Map<number, string[]> } {
  const bits = Math.log2(theirs.length)
  const all = [...marks]
  const parts = new Map<number, string[]>()
  for (const [part, digest] of digestsOf(all, bits).entries()) if (digest !== theirs[part]) parts.set(part, [])
  for (const mark of all) parts.get(partOf(mark, bits))?.push(mark)
  return { bits, parts }
}

/** Of the parts that another has listed: what it lacks, and what we do. */
export function compare (marks: Iterable<string>, bits: number, theirs: ReadonlyMap<number, readonly string[]>): { readonly missingThere: string[], readonly missingHere: string[] } {
  const own = new Set(marks)
  const listed = new Set([...theirs.values()].flat())
  return {
    missingThere: [...own].filter(mark => theirs.has(partOf(mark, bits)) && !listed.has(mark)),
    missingHere: [...listed].filter(mark => !own.has(mark))
  }
}

/** 30 bits: of the five characters that end there. */
function number (mark: string, end: number): number {
  let value = 0
  for (let index = end - 5; index < end; index++) value = value * 64 + (VALUES.get(mark[index] as string) ?? 0)
  return value
}
