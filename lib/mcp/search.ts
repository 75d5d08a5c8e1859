/**
 * Finds tools by words: of their names, titles and descriptions, and of their agents.
 *
 * The index is made at the first search, and from then on follows the list: an entry that is the same object has not changed.
 * How much a word says of a tool depends on that tool alone, so that an index which has followed ranks as a new one does;
 * of two that fit alike the first by name comes first. Own code: in 10,000 tools MiniSearch 7.2 took some forty times as long
 * and three times the memory, since it notes of each match what has matched where.
 * Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; lengths against fixed ones.
 */
import type { GatewayTool } from './names.ts'
import { Vocabulary } from './vocabulary.ts'
import { wordsOf } from './words.ts'

/** Characters of a title or a description that are looked at: what is said later says less, and others write it. */
export const INDEXED_CHARS_MAX = 1_000

/** Characters of a query that are looked at, and words: each walks the index. */
export const QUERY_CHARS_MAX = 256
export const QUERY_WORDS_MAX = 16

/** An index with more dead entries for each living one is made anew. */
const DEAD_SHARE_MAX = 0.5

/** How fast the fifth mention of a word stops saying more than the fourth, and how much length takes away. */
const SATURATION = 1.2
const LENGTH_SHARE = 0.6

/** What a field's words count, and how many it usually has. */
const FIELDS: readonly { readonly boost: number, readonly usualWords: number, readonly textOf: (tool: GatewayTool) => string }[] = [
  { boost: 4, usualWords: 3, textOf: ({ name, tool }) => name === tool.name ? name : `${name} ${tool.name}` },
  { boost: 3, usualWords: 3, textOf: ({ tool: { title, annotations } }) => title ?? (typeof annotations?.['title'] === 'string' ? annotations['title'] : '') },
  { boost: 2, usualWords: 3, textOf: ({ agent, pool = '', peerName }) => `${agent} ${pool} ${peerName}` },
  { boost: 1, usualWords: 25, textOf: ({ tool: { description = '' } }) => description }
]

export class ToolSearch {
  #indexed: readonly GatewayTool[] = []
  /** By place in the index; undefined: gone. */
  #tools: (GatewayTool | undefined)[] = []
  #places = new Map<GatewayTool, number>()
  #words = new Vocabulary()

  /**
   * @param tools the whole list; the same array, and the same entries in it, for what has not changed
   * @param limit how many at most
   * @returns those that fit any of the words, the best first
   */
  find (tools: readonly GatewayTool[], query: string, limit: number): GatewayTool[] {
    const words = [...new Set(wordsOf(query.slice(0, QUERY_CHARS_MAX)))].slice(0, QUERY_WORDS_MAX)
    if (words.length === 0) return []
    this.#follow(tools)
    const scores = new Float64Array(this.#tools.length)
    const best = new Float64Array(this.#tools.length)
    const found: number[] = []
    for (const near of this.#words.nearTo(words)) {
      const touched: number[] = []
      for (const { postings, likeness } of near) {
        const live = this.#countLiving(postings)
        const weight = likeness * Math.log(1 + (tools.length - live + 0.5) / (live + 0.5))
        for (let at = 0; at < postings.length; at += 2) {
          const place = postings[at] as number
          if (this.#tools[place] === undefined) continue
          if (best[place] === 0) touched.push(place)
          best[place] = Math.max(best[place] as number, weight * (postings[at + 1] as number))
        }
      }
      for (const place of touched) {
        if (scores[place] === 0) found.push(place)
        scores[place] = (scores[place] as number) + (best[place] as number)
        best[place] = 0
      }
    }
    return this.#top(found, scores, limit)
  }

  #countLiving (postings: readonly number[]): number {
    if (this.#tools.length === this.#places.size) return postings.length / 2
    let live = 0
    for (let at = 0; at < postings.length; at += 2) if (this.#tools[postings[at] as number] !== undefined) live++
    return live
  }

  #top (found: readonly number[], scores: Float64Array, limit: number): GatewayTool[] {
    const scoreOf = (place: number): number => scores[place] as number
    const nameOf = (place: number): string => (this.#tools[place] as GatewayTool).name
    // of thousands that fit somehow, most need no place in the order
    const least = found.length <= limit ? 0 : Float64Array.from(found, scoreOf).sort()[found.length - limit] as number
    return found.filter(place => scoreOf(place) >= least)
      .sort((left, right) => scoreOf(right) - scoreOf(left) || (nameOf(left) < nameOf(right) ? -1 : 1))
      .slice(0, limit).map(place => this.#tools[place] as GatewayTool)
  }

  #follow (tools: readonly GatewayTool[]): void {
    if (this.#indexed === tools) return
    this.#indexed = tools
    const now = new Set(tools)
    for (const [tool, place] of this.#places) {
      if (now.has(tool)) continue
      this.#places.delete(tool)
      this.#tools[place] = undefined
    }
    if (this.#tools.length - this.#places.size > tools.length * DEAD_SHARE_MAX) {
      this.#tools = []
      this.#places = new Map()
      this.#words = new Vocabulary()
    }
    for (const tool of tools) if (!this.#places.has(tool)) this.#add(tool)
  }

  #add (tool: GatewayTool): void {
    const place = this.#tools.push(tool) - 1
    this.#places.set(tool, place)
    const weights = new Map<string, number>()
    for (const { boost, usualWords, textOf } of FIELDS) {
      const words = wordsOf(textOf(tool).slice(0, INDEXED_CHARS_MAX))
      const damping = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * words.length / usualWords)
      const counts = new Map<string, number>()
      for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
      for (const [word, count] of counts) weights.set(word, (weights.get(word) ?? 0) + boost * count * (SATURATION + 1) / (count + damping))
    }
    for (const [word, weight] of weights) this.#words.add(word, place, weight)
  }
}
