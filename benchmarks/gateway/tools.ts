/** Tools as servers define them: names of two words or three, a sentence or two about each, a handful of described arguments. */
import { seededRandom } from '../../lib/base/random.ts'
import type { ToolDefinition } from '../../lib/directory/catalogue.ts'

const VERBS = 'read write list create delete update search send fetch open close rename copy move upload download merge review run stop'.split(' ')
const THINGS = 'file folder issue comment branch commit message channel page table row query invoice customer order image video event task note'.split(' ')
const REST = 'the a of in with for by when from to given path name text user result returns all one new existing matching optional limit filter'.split(' ')
const ARGUMENTS = 'path content query owner repo branch limit cursor title body labels since until recursive format'.split(' ')

/** @param of whose they are: other agents have other tools @returns names all different */
export function makeTools (of: string, count: number): ToolDefinition[] {
  const random = seededRandom(Array.from(of).reduce((sum, letter) => sum * 31 + letter.charCodeAt(0) >>> 0, 7))
  const pick = (words: readonly string[]): string => words[Math.floor(random.next() * words.length)] as string
  const sentence = (words: number): string => Array.from({ length: words }, () => pick(random.next() < 0.6 ? REST : random.next() < 0.5 ? VERBS : THINGS)).join(' ')
  return Array.from({ length: count }, (_, index): ToolDefinition => {
    const names = new Set(Array.from({ length: 2 + Math.floor(random.next() * 4) }, () => pick(ARGUMENTS)))
    const properties = Object.fromEntries([...names].map((name, at) => [name, {
      type: at === 2 ? 'integer' : 'string', description: sentence(9), ...at === 2 && { minimum: 1, maximum: 100, default: 20 }
    }]))
    return {
      name: `${pick(VERBS)}_${pick(THINGS)}_${of}_${index}`,
      description: `${sentence(18)}. ${sentence(12)}.`,
      inputSchema: { type: 'object', properties, required: [...names].slice(0, 2), additionalProperties: false },
      annotations: { title: sentence(3), readOnlyHint: index % 2 === 0 }
    }
  })
}

/** What one looks for: two words. */
export function makeQueries (count: number): string[] {
  const random = seededRandom(4127)
  return Array.from({ length: count }, () => `${VERBS[Math.floor(random.next() * VERBS.length)] ?? ''} ${THINGS[Math.floor(random.next() * THINGS.length)] ?? ''}`)
}
