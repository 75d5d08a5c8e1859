import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import {
  CATALOGUE_BYTES_MAX, ENTRY_NAME_CHARS_MAX, TOOLS_MAX, TOOL_NAME_CHARS_MAX, catalogueHash, readCatalogue, sealCatalogue, toolHash,
  type Catalogue
} from '../../lib/directory/catalogue.ts'
import { tool } from './sample.ts'

const withCode = (code: string, words = '') => (error: unknown): boolean =>
  error instanceof SwarmError && error.code === code && error.message.includes(words)

/** Reads a value as a catalogue; where it is refused, before its hash is looked at. */
const read = (value: unknown): Catalogue => readCatalogue(JSON.stringify(value), catalogueHash(value as Catalogue))

test('a sealed catalogue is read back as it was, in the provider\'s order', () => {
  const catalogue: Catalogue = {
    tools: [tool('write'), tool('append'), { ...tool('größe/ändern 🙂'), _meta: { 'x/y': [1, 2.5, null] } }],
    resources: [{ uri: 'file:///b', name: 'b' }, { uri: 'file:///a', name: 'a' }],
    resourceTemplates: [{ uriTemplate: 'file:///{path}', name: 'any' }],
    prompts: [{ name: 'greet' }],
    instructions: 'Be kind.',
    capabilities: { completions: {}, resources: { subscribe: true } },
    session: 'caller'
  }
  const { hash, text } = sealCatalogue(catalogue)
  assert.match(hash, /^[A-Za-z0-9_-]{43}$/)
  assert.equal(readCatalogue(text, hash), catalogue)
})

test('the hash ignores order and white space, and nothing else', () => {
  const hash = catalogueHash({ tools: [tool('a'), tool('b')] })
  assert.is(catalogueHash({ tools: [tool('b'), tool('a')] }), hash)
  const spaced = JSON.stringify({ tools: [tool('b'), { inputSchema: tool('a').inputSchema, description: 'does a', name: 'a' }] }, null, 2)
  assert.equal(readCatalogue(spaced, hash).tools.map(({ name }) => name), ['b', 'a'])
  for (const other of [
    { tools: [tool('a')] },
    { tools: [tool('a'), tool('b', 'other words')] },
    { tools: [tool('a'), tool('b')], instructions: '' },
    { tools: [tool('a'), tool('b')], later: true }
  ]) assert.is.not(catalogueHash(other), hash)
})

test('the definition hash tells definitions apart and not their spelling', () => {
  assert.is(toolHash(tool('a')), toolHash(JSON.parse(JSON.stringify(tool('a'), null, 1)) as ReturnType<typeof tool>))
  assert.is.not(toolHash(tool('a')), toolHash(tool('a', 'else')))
})

test('a catalogue under another hash is refused', () => {
  const { text } = sealCatalogue({ tools: [tool('a')] })
  assert.throws(() => readCatalogue(text, catalogueHash({ tools: [] })), withCode('MALFORMED', 'hash'))
})

const inputSchema = { type: 'object' }
const deep = (levels: number): unknown => levels === 0 ? 1 : { next: deep(levels - 1) }

for (const [name, value, code, words] of [
  ['no tools', {}, 'MALFORMED', 'not a list'],
  ['tools that are no list', { tools: { a: tool('a') } }, 'MALFORMED', 'not a list'],
  ['a tool that is no object', { tools: ['a'] }, 'MALFORMED', 'not an object'],
  ['a tool without a name', { tools: [{ inputSchema }] }, 'MALFORMED', 'printable'],
  ['an empty tool name', { tools: [{ name: '', inputSchema }] }, 'MALFORMED', 'printable'],
  ['a tool name one over the limit', { tools: [tool('n'.repeat(TOOL_NAME_CHARS_MAX + 1))] }, 'MALFORMED', '128'],
  ['a control character in a tool name', { tools: [tool('a\u001b[31m')] }, 'MALFORMED', 'printable'],
  ['a tool listed twice', { tools: [tool('a'), tool('b'), tool('a')] }, 'MALFORMED', 'twice'],
  ['a tool without inputSchema', { tools: [{ name: 'a' }] }, 'MALFORMED', 'inputSchema'],
  ['an inputSchema that is a list', { tools: [{ name: 'a', inputSchema: [] }] }, 'MALFORMED', 'inputSchema'],
  ['an outputSchema that is a text', { tools: [{ name: 'a', inputSchema, outputSchema: 'x' }] }, 'MALFORMED', 'outputSchema'],
  ['a description that is a number', { tools: [{ name: 'a', inputSchema, description: 1 }] }, 'MALFORMED', 'description'],
  ['a resource without uri', { tools: [], resources: [{ name: 'a' }] }, 'MALFORMED', 'uri'],
  ['a resource with a uri over the limit', { tools: [], resources: [{ uri: 'u'.repeat(ENTRY_NAME_CHARS_MAX + 1) }] }, 'MALFORMED', '2048'],
  ['a prompt listed twice', { tools: [], prompts: [{ name: 'p' }, { name: 'p' }] }, 'MALFORMED', 'twice'],
  ['instructions that are no text', { tools: [], instructions: {} }, 'MALFORMED', 'instructions'],
  ['capabilities that are a list', { tools: [], capabilities: [] }, 'MALFORMED', 'capabilities'],
  ['a session of a kind that we do not know', { tools: [], session: 'shared' }, 'MALFORMED', 'session'],
  ['a schema nested too deep', { tools: [{ name: 'a', inputSchema: deep(62) }] }, 'MALFORMED', 'deeper'],
  ['one tool over the limit', { tools: Array.from({ length: TOOLS_MAX + 1 }, (_, index) => ({ name: `t${index}`, inputSchema: {} })) }, 'TOO_LARGE', '10000']
] as const) {
  test(`refuses ${name}, from a peer and of our own`, () => {
    const expected = withCode(code, words)
    assert.throws(() => readCatalogue(JSON.stringify(value), 'x'.repeat(43)), expected)
    assert.throws(() => sealCatalogue(value as unknown as Catalogue), expected)
  })
}

test('takes what just meets the limits', () => {
  const tools = Array.from({ length: TOOLS_MAX }, (_, index) => ({ name: `t${index}`, inputSchema: {} }))
  assert.is(read({ tools }).tools.length, TOOLS_MAX)
  assert.is(read({ tools: [tool('n'.repeat(TOOL_NAME_CHARS_MAX))] }).tools.length, 1)
  assert.is(read({ tools: [{ name: 'a', inputSchema: deep(61) }] }).tools.length, 1)
})

test('holds the limit of bytes to the byte, counted as UTF-8', () => {
  const bare = JSON.stringify({ tools: [], instructions: '' }).length
  const fits = { tools: [], instructions: 'é'.repeat((CATALOGUE_BYTES_MAX - bare) / 2) }
  assert.is(read(fits).tools.length, 0)
  assert.throws(() => sealCatalogue({ tools: [], instructions: fits.instructions + 'x' }), withCode('TOO_LARGE', String(CATALOGUE_BYTES_MAX)))
  assert.throws(() => readCatalogue('['.repeat(CATALOGUE_BYTES_MAX + 1), 'x'), withCode('TOO_LARGE'))
})

for (const [name, text] of [['cut short', '{"tools":['], ['a list', '[]'], ['nothing', ''], ['nested without end', '['.repeat(100_000)]] as const) {
  test(`refuses a text that is ${name}`, () => assert.throws(() => readCatalogue(text, 'x'), withCode('MALFORMED')))
}

test.run()
