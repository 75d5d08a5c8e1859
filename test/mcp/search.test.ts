import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import type { GatewayTool } from '../../lib/mcp/names.ts'
import { gatewayTools } from '../../lib/mcp/names.ts'
import { INDEXED_CHARS_MAX, QUERY_CHARS_MAX, QUERY_WORDS_MAX, ToolSearch, TURN_TOOLS_MAX, WORDS_MAX } from '../../lib/mcp/search.ts'
import { WORD_CHARS_MAX, wordsOf } from '../../lib/mcp/words.ts'
import { offeredBy, type Made } from './offered.ts'

const define = (name: string, description = '', title?: string): NonNullable<Made['tools']>[number] => ({ name, description, inputSchema: { type: 'object' }, ...title !== undefined && { title } })

const tools = gatewayTools(offeredBy(
  { agent: 'files', tools: [define('read_file', 'Reads a file from the disk'), define('writeFile', 'Writes a file'), define('list', 'Lists what is in a folder')] },
  { agent: 'mail', peer: 'bob', tools: [define('send', 'Sends an e-mail to somebody, with files', 'Send e-mail'), define('getHTTPHeaders', 'Of a message')] },
  { agent: 'weather', peer: 'carol', tools: [define('forecast', 'What the weather will be'), define('übersicht', 'Größe')] }
))
const namesIn = async (list: readonly GatewayTool[], query: string, limit = 3, search = new ToolSearch()): Promise<string[]> => (await search.find(list, query, limit)).map(({ name }) => name)
const find = async (query: string, limit = 3): Promise<string[]> => await namesIn(tools, query, limit)

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
  test(`finds ${what}`, async () => {
    const found = await find(query)
    if (what === 'a title') return assert.equal(found.toSorted(), [...expected])
    assert.equal(found, [...expected])
  })
}

test('what fits more words, and names before descriptions, comes first; what fits alike by name; no more than asked for', async () => {
  assert.is((await find('read file'))[0], 'read_file')
  const told = gatewayTools(offeredBy({ tools: [define('a', 'Opens a folder'), define('folder_b', 'Opens it'), define('c', 'Opens it', 'A folder')] }))
  assert.equal(await namesIn(told, 'folder'), ['folder_b', 'c', 'a'])
  const alike = gatewayTools(offeredBy({ tools: ['b_file', 'c_file', 'a_file'] }))
  assert.equal(await namesIn(alike, 'file'), ['a_file', 'b_file', 'c_file'])
  assert.equal(await namesIn(alike, 'file', 2), ['a_file', 'b_file'])
  assert.equal(await find('file', 0), [])
})

test('only what nothing has and nothing begins with counts as mistyped', async () => {
  const list = gatewayTools(offeredBy({ tools: ['mail', 'mailbox', 'nail', 'sail_boat', 'weather'] }))
  assert.equal(await namesIn(list, 'mail', 9), ['mail', 'mailbox'])
  assert.equal(await namesIn(list, 'maul', 9), ['mail'])
  assert.equal(await namesIn(list, 'mial', 9), []) // two letters wrong, in four
  assert.equal(await namesIn(list, 'wetaher', 9), ['weather'])
  assert.equal(await namesIn(list, 'wetahre', 9), [])
  assert.equal(await namesIn(list, 'boat wether', 9), ['sail_boat', 'weather'])
})

for (const [what, query, expected] of [
  ['a very long one', 'file '.repeat(100_000), ['writeFile', 'read_file']],
  ['a very long word', 'x'.repeat(1_000_000), []],
  ['control characters', '\u0000\u001b[31m forecast\u0007\n', ['forecast']],
  ['emoji', '📁👩‍👩‍👧 forecast 🌦️', ['forecast']],
  ['emoji alone', '📁👩‍👩‍👧', []],
  ['half a character', '\ud83d forecast \udcc1', ['forecast']],
  ['blanks', ' \t\n\u00a0', []],
  ['names of what every object has', '__proto__ constructor prototype', []],
  ['what means something to other searches', '* AND +forecast* ~ "(', ['forecast']]
] as const) {
  test(`takes any query: ${what}`, async () => {
    assert.equal((await find(query)).slice(0, 2), [...expected])
  })
}

test('takes any text of a tool', async () => {
  const odd = ['\u0000\u001b[2J', '\ud83d', '📁'.repeat(500), '__proto__ constructor toString', 'ü'.repeat(3_000), '']
  const list = gatewayTools(offeredBy({ tools: odd.map((text, index) => define(`odd_${index}`, text, text)) }))
  assert.is((await namesIn(list, 'odd', 9)).length, odd.length)
  assert.equal(await namesIn(list, 'constructor'), ['odd_3'])
  assert.equal(await namesIn(list, 'proto'), ['odd_3'])
})

test('words are split at separators and where capitals begin', () => {
  assert.equal(wordsOf('getHTTPServer2Port'), ['get', 'http', 'server2', 'port', 'gethttpserver2port'])
  assert.equal(wordsOf('a.b-c_d, and e.'), ['a', 'b', 'c', 'd', 'abcd', 'and', 'e'])
  assert.equal(wordsOf('x'.repeat(WORD_CHARS_MAX + 1)), ['x'.repeat(WORD_CHARS_MAX)])
})

test('an index that has followed a list finds what a new one does', async () => {
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
  for (let round = 0; round < 500; round++) {
    const share = pick([0.02, 0.2, 0.9])
    const unique = new Map(list.map(tool => random.next() < share ? make() : tool).map(tool => [tool.name, tool]))
    list = [...unique.values(), ...random.next() < 0.5 ? [] : [make()].filter(({ name }) => !unique.has(name))]
    const query = `${pick(words)} ${pick(words)} ${pick(['fil', 'wether', ''])}`
    assert.equal(await namesIn(list, query, 10, search), await namesIn(list, query, 10), `seed ${seed}, round ${round}: ${query}`)
  }
})

test('searches at the same time each find what is in their own list', async () => {
  const search = new ToolSearch()
  const lists = Array.from({ length: 5 }, (_, at) => gatewayTools(offeredBy({ tools: Array.from({ length: 2 * TURN_TOOLS_MAX }, (_, index) => `t_${at}_${index}`) })))
  const found = await Promise.all([...lists, ...lists].map(async list => await search.find(list, 't', 500)))
  for (const [at, tools] of found.entries()) assert.equal(new Set(tools), new Set(lists[at % 5]))
})

test('others have their turn while many tools change', async () => {
  const many = Array.from({ length: 10 * TURN_TOOLS_MAX }, (_, index) => `t_${index}`)
  const list = gatewayTools(offeredBy({ tools: many }))
  const search = new ToolSearch()
  const turnsOf = async (list: readonly GatewayTool[]): Promise<number> => {
    let turns = 0
    let done = false
    const count = (): void => {
      if (done) return
      turns++
      setImmediate(count)
    }
    setImmediate(count)
    await search.find(list, 't', 1)
    done = true
    return turns
  }
  assert.ok(await turnsOf(list) >= 9)
  assert.ok(await turnsOf(list.slice(4 * TURN_TOOLS_MAX)) >= 3)
  assert.ok(await turnsOf(list.slice(4 * TURN_TOOLS_MAX)) <= 1)
})

test('looks at so much of a query, of a text and of a word, and no more', async () => {
  const filler = 'x '.repeat(QUERY_CHARS_MAX / 2 - 4)
  assert.equal(await find(`${filler}list`.slice(-QUERY_CHARS_MAX)), ['list'])
  assert.equal(await find(`${filler}xxxxx list`), [])
  const many = Array.from({ length: QUERY_WORDS_MAX }, (_, index) => `q${index}`)
  assert.equal(await find([...many.slice(1), 'list'].join(' ')), ['list'])
  assert.equal(await find([...many, 'list'].join(' ')), [])
  const far = (chars: number): string => `${'y '.repeat(chars / 2)}treasure`
  const [near, past] = [INDEXED_CHARS_MAX - 8, INDEXED_CHARS_MAX].map(chars => gatewayTools(offeredBy({ tools: [define('a', far(chars))] })))
  assert.is((await namesIn(near as GatewayTool[], 'treasure')).length, 1)
  assert.is((await namesIn(past as GatewayTool[], 'treasure')).length, 0)
})

test('an index takes so many different words; those that nothing has any more count no longer', async () => {
  const numbered = Array.from({ length: WORDS_MAX }, (_, index) => index.toString(36))
  const perTool = Math.floor(INDEXED_CHARS_MAX / 5)
  const filling = Array.from({ length: WORDS_MAX / perTool }, (_, at) => define(`0${at}`, numbered.slice(at * perTool, (at + 1) * perTool).join(' ')))
  const late = define('zz', 'treasure')
  const search = new ToolSearch()
  const full = gatewayTools(offeredBy({ tools: [...filling, late] }))
  assert.equal(await namesIn(full, 'treasure', 3, search), [])
  assert.equal(await namesIn(full, numbered[perTool] as string, 1, search), ['01'])
  assert.equal(await namesIn(full.slice(1), 'zz', 1, search), ['zz'])
  const [left] = full.slice(-1) as [GatewayTool]
  assert.equal(await namesIn([left], 'treasure', 3, search), ['zz'])
})

test.run()
