/**
 * Finds tools by words: of their names, titles and descriptions, and of their agents. The index is MiniSearch's.
 *
 * It is made at the first search, and from then on follows the list: an entry that is the same object has not changed. What has
 * gone is removed, where MiniSearch could also discard it and clean up later: only so does an index that has followed rank as a
 * new one does. Words are looked up one by one, so that only those that nothing has are looked up again as mistyped, and so that
 * no turn of the event loop has more to do than one word, or some of the changes.
 */
import MiniSearch, { type SearchResult } from 'minisearch'
import { afterTurn } from '../base/clock.ts'
import type { GatewayTool } from './names.ts'
import { wordsOf } from './words.ts'

/** Characters of a title or a description that are looked at: what is said later says less, and others write it. */
export const INDEXED_CHARS_MAX = 500

/** Different words that go into an index: others write the texts they come from. */
export const WORDS_MAX = 100_000

/** Characters of a query that are looked at, and words: each walks the index. */
export const QUERY_CHARS_MAX = 256
export const QUERY_WORDS_MAX = 16

/** Tools that go into the index, or out of it, in one turn of the event loop. */
export const TURN_TOOLS_MAX = 50

/** Shortest word that may be the beginning of another, in characters. */
const PREFIX_CHARS_MIN = 3

/** Shortest word in which one letter may be wrong, and in which two may, in characters. */
const TYPO_CHARS_MIN: readonly number[] = [4, 6]

/** What is indexed, and what its words count. Always text: what is none MiniSearch would leave out of a field's usual length. */
const FIELDS: Readonly<Record<string, { readonly boost: number, readonly textOf: (tool: GatewayTool) => string }>> = {
  name: { boost: 4, textOf: ({ name, tool }) => name === tool.name ? name : `${name} ${tool.name}` },
  title: { boost: 3, textOf: ({ tool: { title, annotations } }) => title ?? (typeof annotations?.['title'] === 'string' ? annotations['title'] : '') },
  provider: { boost: 2, textOf: ({ agent, pool = '', peerName }) => `${agent} ${pool} ${peerName}` },
  description: { boost: 1, textOf: ({ tool: { description = '' } }) => description }
}

export class ToolSearch {
  #index = newIndex()
  #tools = new Set<GatewayTool>()
  #followed: readonly GatewayTool[] = []
  #removed = 0
  #changes = 0
  #last: Promise<unknown> = Promise.resolve()

  /**
   * @param tools the whole list; the same array, and the same entries in it, for what has not changed
   * @param limit how many at most
   * @returns those that fit any of the words, the best first; of two that fit alike the first by name comes first
   */
  async find (tools: readonly GatewayTool[], query: string, limit: number): Promise<GatewayTool[]> {
    const words = [...new Set(wordsOf(query.slice(0, QUERY_CHARS_MAX)))].slice(0, QUERY_WORDS_MAX)
    if (words.length === 0) return []
    // One search after the other: the index is of one list at a time.
    const found = this.#last.then(async () => {
      await this.#follow(tools)
      return await this.#rank(words, limit)
    })
    this.#last = Promise.allSettled([found])
    return await found
  }

  async #rank (words: readonly string[], limit: number): Promise<GatewayTool[]> {
    const scores = new Map<GatewayTool, number>()
    for (const [at, word] of words.entries()) {
      if (at > 0) await new Promise<void>(afterTurn)
      for (const { id, score } of this.#lookUp(word)) scores.set(id as GatewayTool, (scores.get(id as GatewayTool) ?? 0) + score)
    }
    // Rounded: in the last digits scores tell in which order they were added up.
    return Array.from(scores, ([tool, score]) => ({ tool, score: Math.fround(score) }))
      .sort((left, right) => right.score - left.score || (left.tool.name < right.tool.name ? -1 : 1))
      .slice(0, limit).map(({ tool }) => tool)
  }

  #lookUp (word: string): SearchResult[] {
    const typosMax = TYPO_CHARS_MIN.filter(chars => word.length >= chars).length
    for (let typos = 0; typos <= typosMax; typos++) {
      const found = this.#index.search(word, { fuzzy: typos })
      if (found.length > 0) return found
    }
    return []
  }

  async #follow (tools: readonly GatewayTool[]): Promise<void> {
    if (this.#followed === tools) return
    const now = new Set(tools)
    let gone = [...this.#tools].filter(tool => !now.has(tool))
    if (this.#removed + gone.length > now.size) {
      // More would have gone than is there: a new index is less work, and has no words to count that nothing has any more.
      gone = []
      this.#index = newIndex()
      this.#tools = new Set()
      this.#removed = 0
    }
    for (const tool of gone) {
      this.#index.remove(tool)
      this.#tools.delete(tool)
      this.#removed++
      await this.#pause()
    }
    for (const tool of now) {
      if (this.#tools.has(tool)) continue
      this.#index.add(tool)
      this.#tools.add(tool)
      await this.#pause()
    }
    this.#followed = tools
  }

  /** After each so many changes, lets others have their turn. */
  async #pause (): Promise<void> {
    if (++this.#changes % TURN_TOOLS_MAX === 0) await new Promise<void>(afterTurn)
  }
}

function newIndex (): MiniSearch<GatewayTool> {
  const words = new Set<string>()
  return new MiniSearch<GatewayTool>({
    fields: Object.keys(FIELDS),
    extractField: (tool, field) => field === 'id' ? tool : FIELDS[field]?.textOf(tool).slice(0, INDEXED_CHARS_MAX),
    tokenize: wordsOf,
    processTerm (word) {
      if (words.size < WORDS_MAX) words.add(word)
      return words.has(word) ? word : null
    },
    searchOptions: {
      tokenize: word => [word],
      processTerm: word => word,
      prefix: word => word.length >= PREFIX_CHARS_MIN,
      boost: Object.fromEntries(Object.entries(FIELDS).map(([field, { boost }]) => [field, boost]))
    }
  })
}
