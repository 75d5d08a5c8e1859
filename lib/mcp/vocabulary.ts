/** The words of an index, each with where it stands; found by themselves, by their beginnings, and where mistyped. */
import { distance } from 'fastest-levenshtein'

/** Different words held: others write the texts they come from. */
export const WORDS_MAX = 100_000

/** Words that one beginning stands for. */
export const PREFIX_WORDS_MAX = 256

/** Shortest word that may be the beginning of another, in characters. */
const PREFIX_CHARS_MIN = 3

/** Shortest word that may be mistyped, and shortest in which two letters may be wrong, in characters. */
const TYPO_CHARS_MIN = 4
const TYPOS_CHARS_MIN = 8

/** Words looked at for those that may be mistyped, in one search. */
export const TYPO_WORDS_MAX = 20_000

/** What a word counts that only begins so, at most, and one that is mistyped. */
const PREFIX_LIKENESS = 0.7
const TYPO_LIKENESS = 0.4

/** A word that is near to one that is looked for. */
export interface Near {
  /** Place and weight by turns, for everything that has the word. */
  readonly postings: readonly number[]
  /** 1 for the word itself, less for others; more than 0. */
  readonly likeness: number
}

export class Vocabulary {
  readonly #postings = new Map<string, number[]>()
  /** All words, in order, but for the last, which are new. */
  readonly #ordered: string[] = []
  #orderedCount = 0
  readonly #byLength = new Map<number, { readonly word: string, readonly letters: number }[]>()

  add (word: string, place: number, weight: number): void {
    const postings = this.#postings.get(word)
    if (postings !== undefined) postings.push(place, weight)
    else if (this.#postings.size < WORDS_MAX) {
      this.#postings.set(word, [place, weight])
      this.#ordered.push(word)
      const alike = this.#byLength.get(word.length)
      const entry = { word, letters: lettersOf(word) }
      if (alike === undefined) this.#byLength.set(word.length, [entry])
      else alike.push(entry)
    }
  }

  /** For each word those that are near; mistyped ones only where nothing has the word or begins so. */
  nearTo (words: readonly string[]): Near[][] {
    let left = TYPO_WORDS_MAX
    return words.map(word => {
      const near = this.#beginningWith(word)
      if (near.length > 0 || word.length < TYPO_CHARS_MIN) return near
      const { found, looked } = this.#mistyped(word, left)
      left -= looked
      return found
    })
  }

  #beginningWith (word: string): Near[] {
    const exact = this.#postings.get(word)
    const near: Near[] = exact === undefined ? [] : [{ postings: exact, likeness: 1 }]
    if (word.length < PREFIX_CHARS_MIN) return near
    if (this.#orderedCount < this.#ordered.length) this.#ordered.sort()
    this.#orderedCount = this.#ordered.length
    for (let at = this.#firstFrom(word); near.length < PREFIX_WORDS_MAX; at++) {
      const longer = this.#ordered[at]
      if (longer?.startsWith(word) !== true) break
      if (longer !== word) near.push({ postings: this.#postings.get(longer) as number[], likeness: PREFIX_LIKENESS * word.length / longer.length })
    }
    return near
  }

  #firstFrom (word: string): number {
    let [low, high] = [0, this.#ordered.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ordered[middle] as string < word) low = middle + 1
      else high = middle
    }
    return low
  }

  #mistyped (word: string, lookedMax: number): { found: Near[], looked: number } {
    const typosMax = word.length < TYPOS_CHARS_MIN ? 1 : 2
    const own = lettersOf(word)
    const found: Near[] = []
    let looked = 0
    for (let length = word.length - typosMax; length <= word.length + typosMax; length++) {
      for (const { word: other, letters } of this.#byLength.get(length) ?? []) {
        if (looked === lookedMax) return { found, looked }
        looked++
        if (bitsOf(own ^ letters) > 2 * typosMax) continue // each typo takes a letter away and brings one, at most
        const typos = areSwapped(word, other) ? 1 : distance(word, other)
        if (typos <= typosMax) found.push({ postings: this.#postings.get(other) as number[], likeness: TYPO_LIKENESS / typos })
      }
    }
    return { found, looked }
  }
}

/** A bit for each letter that a word has; some share one. */
function lettersOf (word: string): number {
  let letters = 0
  for (let at = 0; at < word.length; at++) letters |= 1 << (word.charCodeAt(at) & 31)
  return letters
}

function bitsOf (letters: number): number {
  let bits = 0
  for (let left = letters; left !== 0; left &= left - 1) bits++
  return bits
}

/** Whether two letters next to each other have changed places, and nothing else. */
function areSwapped (left: string, right: string): boolean {
  if (left.length !== right.length) return false
  let at = 0
  while (left[at] === right[at] && at < left.length) at++
  return at < left.length && left[at] === right[at + 1] && left[at + 1] === right[at] && left.slice(at + 2) === right.slice(at + 2)
}
