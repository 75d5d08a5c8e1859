import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { UriTemplate } from '@modelcontextprotocol/server'
import { seededRandom } from '../../lib/base/random.ts'
import { locate } from '../../lib/mcp/locate.ts'
import { gatewayResources } from '../../lib/mcp/resources.ts'
import { EXPRESSIONS_MAX, fitsTemplate, parseTemplate, TEMPLATE_URI_CHARS_MAX } from '../../lib/mcp/template.ts'
import { offeredBy, type Made } from './offered.ts'

const fits = (template: string, uri: string): boolean => {
  const parsed = parseTemplate(template)
  return parsed !== undefined && fitsTemplate(parsed, uri)
}

for (const [template, yes, no] of [
  ['note://{name}', ['note://a', 'note://a b?c'], ['note://', 'note://a/b', 'notes://a', 'note:/']],
  ['file:///{+path}', ['file:///a', 'file:///a/b/c.txt'], ['file:///', 'file:/a']],
  ['db://{table}/{id}', ['db://t/1', 'db://t/a,b'], ['db://t', 'db://t/', 'db:///1', 'db://t/1/2']],
  ['db://{table}/rows{?limit,at}', ['db://t/rows', 'db://t/rows?limit=1&at=2', 'db://t/rows?at=2'], ['db://t/row', 'db://t/rows#x', 'db://t/rows?']],
  ['x:{a}{&b}', ['x:1', 'x:1&b=2'], ['x:']],
  ['x:{a}{#f}', ['x:1', 'x:1#f'], ['x:']],
  ['x:{a}{.ext}', ['x:1', 'x:1.txt'], ['x:1/txt']],
  ['x:{a}{/rest*}', ['x:1', 'x:1/b/c'], ['x:/b']],
  ['x:{a}-{b}', ['x:1-2', 'x:1-2-3', 'x:---'], ['x:-', 'x:12', 'x:1-', 'x:--']],
  ['{a}b{c}b', ['abcb', 'abbb', 'bbbb'], ['abb', 'abca', 'b']]
] as const) {
  test(`${template} fits what may be made of it`, () => {
    for (const uri of yes) assert.ok(fits(template, uri), uri)
    for (const uri of no) assert.not.ok(fits(template, uri), uri)
  })
}

test('fits all that a template of the SDK fits', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = seededRandom(seed)
  const pick = (...items: readonly string[]): string => items[Math.floor(random.next() * items.length)] as string
  let fitting = 0
  for (let round = 0; round < 20_000; round++) {
    const template = Array.from({ length: 5 }, () => pick('a', '/', 'ab', '{x}', '{+y}', '{/z}', '{.e}', '{?q}', '{#f}', '')).join('')
    const uri = Array.from({ length: 6 }, () => pick('a', 'b', '/', '.', '?q=', '#', '')).join('')
    if (!UriTemplate.isTemplate(template) || new UriTemplate(template).match(uri) === null) continue
    fitting++
    assert.ok(fits(template, uri), `seed ${seed}: ${template} and ${uri}`)
  }
  assert.ok(fitting > 100, `seed ${seed}: only ${fitting} fit`)
})

test('a template made to take for ever takes no time', () => {
  const template = parseTemplate('{+a}'.repeat(EXPRESSIONS_MAX))
  const startMs = performance.now()
  assert.is(template && fitsTemplate({ ...template, parts: [...template.parts, '!'] }, 'a'.repeat(TEMPLATE_URI_CHARS_MAX)), false)
  const tookMs = performance.now() - startMs
  assert.ok(tookMs < 5_000, `${tookMs} ms`)
})

test('holds its limits, and what is no template fits nothing', () => {
  assert.ok(fits('{a}'.repeat(EXPRESSIONS_MAX), 'a'.repeat(EXPRESSIONS_MAX)))
  assert.is(parseTemplate('{a}'.repeat(EXPRESSIONS_MAX + 1)), undefined)
  assert.ok(fits('{+a}', 'a'.repeat(TEMPLATE_URI_CHARS_MAX)))
  assert.not.ok(fits('{+a}', 'a'.repeat(TEMPLATE_URI_CHARS_MAX + 1)))
  for (const text of ['', 'file:///a', 'x:{}', 'x:{a']) assert.is(parseTemplate(text), undefined)
})

function find (uri: string, ...made: readonly Made[]): string | undefined {
  const { resources, templates, holders } = gatewayResources(offeredBy(...made))
  const found = locate({ resources, resourceTemplates: templates, holders }, uri)
  return found && `${found.target.pool ?? found.target.agent} ${found.uri}`
}

const notes: Made = { resources: ['note://a', 'note://shared'], templates: ['note://{name}', 'any://{+x}'] }
const files: Made = { agent: 'files', resources: ['file:///a', 'note://shared'], templates: ['note://by/{name}', 'any://{+x}'] }

for (const [what, uri, made, expected] of [
  ['listed', 'file:///a', [notes, files], 'files file:///a'],
  ['listed by two, with a label', 'swarm://files/note://shared', [notes, files], 'files note://shared'],
  ['of a template', 'note://b', [notes, files], 'notes note://b'],
  ['of the template that says more', 'note://by/b', [notes, files, { agent: 'wide', templates: ['note://{+x}'] }], 'files note://by/b'],
  ['of a template of two, with a label', 'swarm://notes/any://b/c', [notes, files], 'notes any://b/c'],
  ['of no template, with a label', 'swarm://notes/else:x', [notes, files], 'notes else:x'],
  ['of no template, with a label of nobody', 'swarm://others/else:x', [notes, files], undefined],
  ['of nobody', 'else:x', [notes, files], undefined],
  ['of nobody, where only one has resources', 'else:x', [notes, { agent: 'tools', tools: ['x'] }], 'notes else:x'],
  ['of nobody, where only one pool has resources', 'else:x', [{ pool: 'p', capabilities: { resources: {} } }, { peer: 'bob', pool: 'p', capabilities: { resources: {} } }], 'p else:x'],
  ['of nobody, where nobody has resources', 'else:x', [{ tools: ['x'] }], undefined]
] as readonly [string, string, Made[], string | undefined][]) {
  test(`a URI ${what} is ${expected === undefined ? 'not found' : 'found'}`, () => { assert.is(find(uri, ...made), expected) })
}

test.run()
