import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import type { GatewayTool } from '../../lib/mcp/names.ts'
import { gatewayTools } from '../../lib/mcp/names.ts'
import { INDEXED_CHARS_MAX, QUERY_CHARS_MAX, QUERY_WORDS_MAX, ToolSearch } from '../../lib/mcp/search.ts'
import { PREFIX_WORDS_MAX, TYPO_WORDS_MAX, Vocabulary, WORDS_MAX } from '../../lib/mcp/vocabulary.ts'
import { WORD_CHARS_MAX, wordsOf } from '../../lib/mcp/words.ts'
import { offeredBy, type Made } from './offered.ts'

const define = (name: string, description = '', title?: string): NonNullable<Made['tools']>[number] => ({ name, description, inputSchema: { type: 'object' }, ...title !== undefined && { title } })

const tools = gatewayTools(offeredBy(
  { agent: 'files', tools: [define('read_file', 'Reads a file from the disk'), define('writeFile', 'Writes a file'), define('list', 'Lists what is in a folder')] },
  { agent: 'mail', peer: 'bob', tools: [define('send', 'Sends an e-mail to somebody, with files', 'Send e-mail'), define('getHTTPHeaders', 'Of a message')] },
  { agent: 'weather', peer: 'carol', tools: [define('forecast', 'What the weather will be'), define('übersicht', 'Größe')] }
))
const find = (query: string, limit = 3): string[] => new ToolSearch().find(tools, query, limit).map(({ name }) => name)

for (const [what, query, expected] of [
  ['a name', 'forecast', ['forecast']],
  ['a part of a name', 'headers', ['getHTTPHeaders']],
  ['the parts of a name in one', 'readfile', ['read_file']],
  ['a name spelt otherwise', 'write-file', ['writeFile', 'read_file', 'list']],
  ['a name of capitals', 'http', ['getHTTPHeaders']],
  ['a title', 'mail', ['getHTTPHeaders', 'send']],
  ['a description', 'folder', ['list']],
  ['an agent', 'weather', ['forecast', '_bersicht']],
  ['a peer', 'carol', ['_bersicht', 'forecast']],
  ['a beginning', 'fore', ['forecast']],
  ['a word mistyped', 'forcast', ['forecast']],
  ['letters in the wrong order', 'oflder', ['list']],
  ['letters beyond ASCII', 'ÜBERSICHT größe', ['_bersicht']],
  ['nothing', '', []],
  ['no word', '-- !!', []],
  ['a word that nothing has', 'zzzzzz', []]
] as const) {
  test(`finds ${what}`, () => {
    const found = find(query)
    if (what === 'a title') return assert.equal(found.toSorted(), [...expected])
    assert.equal(found, [...expected])
  })
}

test('what fits more words, and names before descriptions, comes first; what fits alike by name; no more than asked for', () => {
  assert.is(find('read file')[0], 'read_file')
  const alike = gatewayTools(offeredBy({ tools: ['b_file', 'c_file', 'a_file'] }))
  assert.equal(new ToolSearch().find(alike, 'file', 3).map(({ name }) => name), ['a_file', 'b_file', 'c_file'])
  assert.equal(new ToolSearch().find(alike, 'file', 2).map(({ name }) => name), ['a_file', 'b_file'])
  assert.equal(find('file', 0), [])
})

test('words are split at separators and where capitals begin', () => {
  assert.equal(wordsOf('getHTTPServer2Port'), ['get', 'http', 'server2', 'port', 'gethttpserver2port'])
  assert.equal(wordsOf('a.b-c_d, and e.'), ['a', 'b', 'c', 'd', 'abcd', 'and', 'e'])
  assert.equal(wordsOf('x'.repeat(WORD_CHARS_MAX + 1)), ['x'.repeat(WORD_CHARS_MAX)])
})

test('an index that has followed a list finds what a new one does', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random.next() * items.length)] as Item
  const words = ['read', 'write', 'file', 'folder', 'mail', 'send', 'list', 'weather', 'fold', 'readme']
  const make = (): GatewayTool => {
    const name = `${pick(words)}_${pick(words)}_${Math.floor(random.next() * 1_000)}`
    return gatewayTools(offeredBy({ tools: [define(name, Array.from({ length: 8 }, () => pick(words)).join(' '))] }))[0] as GatewayTool
  }
  let list = Array.from({ length: 60 }, make)
  const search = new ToolSearch()
  for (let round = 0; round < 100; round++) {
    const share = pick([0.02, 0.2, 0.9])
    const unique = new Map(list.map(tool => random.next() < share ? make() : tool).map(tool => [tool.name, tool]))
    list = [...unique.values(), ...random.next() < 0.5 ? [] : [make()].filter(({ name }) => !unique.has(name))]
    const query = `${pick(words)} ${pick(words)} ${pick(['fil', 'wether', ''])}`
    const namesOf = (index: ToolSearch): string[] => index.find(list, query, 10).map(({ name }) => name)
    assert.equal(namesOf(search), namesOf(new ToolSearch()), `seed ${seed}, round ${round}: ${query}`)
  }
})

test('looks at so much of a query, of a text and of a word, and no more', () => {
  const filler = 'x '.repeat(QUERY_CHARS_MAX / 2 - 4)
  assert.equal(find(`${filler}list`.slice(-QUERY_CHARS_MAX)), ['list'])
  assert.equal(find(`${filler}xxxxx list`), [])
  const many = Array.from({ length: QUERY_WORDS_MAX }, (_, index) => `q${index}`)
  assert.equal(find([...many.slice(1), 'list'].join(' ')), ['list'])
  assert.equal(find([...many, 'list'].join(' ')), [])
  const far = (chars: number): string => `${'y '.repeat(chars / 2)}treasure`
  const [near, past] = [INDEXED_CHARS_MAX - 8, INDEXED_CHARS_MAX].map(chars => gatewayTools(offeredBy({ tools: [define('a', far(chars))] })))
  assert.is(new ToolSearch().find(near as GatewayTool[], 'treasure', 1).length, 1)
  assert.is(new ToolSearch().find(past as GatewayTool[], 'treasure', 1).length, 0)
})

test('a vocabulary holds so many words, and looks at so many', () => {
  const nearTo = (words: readonly string[], query: string): number => {
    const vocabulary = new Vocabulary()
    words.forEach((word, place) => { vocabulary.add(word, place, 1) })
    return vocabulary.nearTo([query])[0]?.length ?? 0
  }
  const numbered = (count: number, prefix = ''): string[] => Array.from({ length: count }, (_, index) => `${prefix}${index}`)
  assert.is(nearTo([...numbered(WORDS_MAX - 1), 'fits'], 'fits'), 1)
  assert.is(nearTo([...numbered(WORDS_MAX), 'late'], 'late'), 0)
  assert.is(nearTo(numbered(PREFIX_WORDS_MAX + 1, 'pq'), 'pq'), 0) // two letters begin too much
  assert.is(nearTo(numbered(PREFIX_WORDS_MAX + 1, 'pqr'), 'pqr'), PREFIX_WORDS_MAX)
  const others = numbered(TYPO_WORDS_MAX, 'n').map(word => word.padEnd(7, 'z'))
  assert.is(nearTo([...others.slice(1), 'treasur'], 'trexsur'), 1)
  assert.is(nearTo([...others, 'treasur'], 'trexsur'), 0)
})

test.run()
