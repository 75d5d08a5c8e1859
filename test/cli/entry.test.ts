import fc from 'fast-check'
import { createScanner, getNodeValue, parseTree, type Node } from 'jsonc-parser'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { DEPTH_MAX, putEntry, type Put } from '../../lib/cli/entry.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
console.log(`entry: SEED=${seed}`)

const PLACE = { path: '/c.json', member: 'mcpServers', name: 'swarm' }
const ENTRY = { command: 'npx', args: ['-y'] }
const put = (text: string): Put => putEntry(text, PLACE, ENTRY)
const lines = (...each: string[]): string => each.map(line => `${line}\n`).join('')

for (const [name, before, after] of [
  ['an empty file', '', '{\n  "mcpServers": {\n    "swarm": {\n      "command": "npx",\n      "args": [\n        "-y"\n      ]\n    }\n  }\n}\n'],
  ['an empty object', '{}', '{\n  "mcpServers": {\n    "swarm": {\n      "command": "npx",\n      "args": [\n        "-y"\n      ]\n    }\n  }\n}'],
  ['an object without servers', lines('{', '\t"theme": "dark"', '}'),
    lines('{', '\t"theme": "dark",', '\t"mcpServers": {', '\t\t"swarm": {', '\t\t\t"command": "npx",', '\t\t\t"args": [', '\t\t\t\t"-y"', '\t\t\t]', '\t\t}', '\t}', '}')],
  ['servers with none in them', lines('{', '    "mcpServers": {}', '}'),
    lines('{', '    "mcpServers": {', '        "swarm": {', '            "command": "npx",', '            "args": [', '                "-y"', '            ]', '        }', '    }', '}')],
  ['comments behind the last server', lines('{ // mine', '  "mcpServers": {', '    "a": {} // the first', '    // "b": {}', '  } /* end */', '}'),
    lines('{ // mine', '  "mcpServers": {', '    "a": {}, // the first', '    // "b": {}', '    "swarm": {', '      "command": "npx",', '      "args": [', '        "-y"', '      ]', '    }', '  } /* end */', '}')],
  ['a trailing comma', lines('{', '  "mcpServers": {', '    "a": {}, // last', '  },', '}'),
    lines('{', '  "mcpServers": {', '    "a": {}, // last', '    "swarm": {', '      "command": "npx",', '      "args": [', '        "-y"', '      ]', '    },', '  },', '}')],
  ['a byte order mark and carriage returns', '\ufeff{\r\n  "mcpServers": {\r\n  }\r\n}\r\n',
    '\ufeff{\r\n  "mcpServers": {\r\n    "swarm": {\r\n      "command": "npx",\r\n      "args": [\r\n        "-y"\r\n      ]\r\n    }\r\n  }\r\n}\r\n'],
  ['one line without blanks', '{"mcpServers":{"a":{}},"z":1}', '{"mcpServers":{"a":{},"swarm":{"command":"npx","args":["-y"]}},"z":1}'],
  ['one line with blanks', '{ "mcpServers": { "a": {} } }', '{ "mcpServers": { "a": {}, "swarm": { "command": "npx", "args": [ "-y" ] } } }'],
  ['a project of the same shape deeper down', '{"projects":{"p":{"mcpServers":{"swarm":1}}}}', '{"projects":{"p":{"mcpServers":{"swarm":1}}},"mcpServers":{"swarm":{"command":"npx","args":["-y"]}}}']
] as const) {
  test(`puts the entry into ${name}`, () => {
    assert.equal(put(before), { found: 'nothing', text: after })
    assert.equal(put(after), { found: 'same', text: after })
  })
}

for (const [name, old, found] of [
  ['its members in another order', '{"args":["-y"],"command":"npx"}', 'same'],
  ['members of the user’s own', '{"command":"npx","args":["-y"],"env":{"A":"1"}}', 'same'],
  ['other arguments', '{"command":"npx","args":["-y","x"]}', 'other'],
  ['a member less', '{"command":"npx"}', 'other'],
  ['null', 'null', 'other'],
  ['a text', '"npx"', 'other']
] as const) {
  test(`tells what an entry is that has ${name}`, () => {
    assert.is(put(`{"mcpServers":{"swarm":${old}}}`).found, found)
  })
}

test('replaces another entry where it stands, and nothing else', () => {
  assert.is(put(lines('{', '  "mcpServers": {', '    "swarm": { "url": "x" }, // mine', '    "z": {}', '  }', '}')).text,
    lines('{', '  "mcpServers": {', '    "swarm": {', '      "command": "npx",', '      "args": [', '        "-y"', '      ]', '    }, // mine', '    "z": {}', '  }', '}'))
})

for (const [name, text, words] of [
  ['a missing comma', '{\n  "a": 1\n  "b": 2\n}', '/c.json:3:3: not JSON: comma expected'],
  ['an object that never ends', '{"a": 1', '/c.json:1:8: not JSON: close brace expected'],
  ['nothing but a comment', '// here', '/c.json:1:8: not JSON: value expected'],
  ['a byte order mark before an error', '\ufeff{x}', '/c.json:1:2: not JSON: invalid symbol'],
  ['a list', ' []', '/c.json:1:2: expected an object, to put "mcpServers" into'],
  ['servers that are a list', '{"mcpServers": []}', '/c.json:1:16: expected an object, to put "swarm" into'],
  ['servers that are null', '{"mcpServers": null}', '/c.json:1:16: expected an object'],
  ['servers twice', '{"mcpServers": {},\r\n"mcpServers": {}}', '/c.json:2:1: "mcpServers" stands here a second time'],
  ['the entry twice', '{"mcpServers": {"swarm": 1, "swarm": 2}}', '/c.json:1:29: "swarm" stands here a second time'],
  ['brackets alone', '['.repeat(1_000_000), `/c.json:1:${DEPTH_MAX + 1}: nested deeper than ${DEPTH_MAX}`]
] as const) {
  test(`refuses ${name}`, () => {
    assert.throws(() => put(text), (error: unknown) => error instanceof SwarmError && error.code === 'CONFIG_INVALID' && error.message.startsWith(words) && typeof error.details['line'] === 'number')
  })
}

test('takes a document that nests as deep as is allowed', () => {
  const inner = DEPTH_MAX - 1
  assert.is(put(`{"a":${'['.repeat(inner)}${']'.repeat(inner)}}`).found, 'nothing')
})

/** Documents as people and programs write them: any values, any layout, comments, trailing commas. */
interface Layout { readonly blanks: readonly string[], readonly commas: readonly boolean[], readonly mark: boolean }

function render (value: unknown, { blanks, commas, mark }: Layout): string {
  let turn = 0
  const blank = (): string => blanks[turn++ % blanks.length] ?? ''
  const listed = (each: string[]): string => each.join(`${blank()},`) + (each.length > 0 && commas[turn++ % commas.length] === true ? `${blank()},` : '')
  const write = (part: unknown): string => {
    if (Array.isArray(part)) return `[${blank()}${listed(part.map(item => blank() + write(item) + blank()))}${blank()}]`
    if (typeof part !== 'object' || part === null) return JSON.stringify(part)
    return `{${blank()}${listed(Object.entries(part).map(([key, item]) => `${blank()}${JSON.stringify(key)}${blank()}:${blank()}${write(item)}`))}${blank()}}`
  }
  return `${mark ? '\ufeff' : ''}${blank()}${write(value)}${blank()}`
}

const anyName = fc.oneof(fc.constantFrom('a', 'swarm', 'mcpServers', '', '"\\'), fc.string({ maxLength: 5 })).filter(name => name !== '__proto__')
const anyPart = fc.letrec<{ part: unknown, object: object }>(tie => ({
  part: fc.oneof({ depthSize: 'small' }, fc.string({ maxLength: 5 }), fc.integer(), fc.boolean(), fc.constant(null), fc.array(tie('part'), { maxLength: 3 }), tie('object')),
  object: fc.dictionary(anyName, tie('part'), { maxKeys: 4, noNullPrototype: true })
}))
const anyDocument = fc.record({
  rest: anyPart.object,
  servers: fc.option(anyPart.object, { nil: undefined }),
  layout: fc.record({
    blanks: fc.array(fc.constantFrom('', '', ' ', '\n', '\r\n', '\n\t', '\n  ', '/* } " */', ' // , {\n'), { minLength: 1, maxLength: 12 }),
    commas: fc.array(fc.boolean(), { minLength: 1, maxLength: 4 }),
    mark: fc.boolean()
  })
}).map(({ rest, servers, layout }) => {
  const { mcpServers: _, ...others } = rest as Record<string, unknown>
  return render(servers === undefined ? others : { ...others, mcpServers: servers }, layout)
})

/** Names and values in order, as a list: an object of JavaScript would forget the order of its members. */
function ordered (node: Node | undefined): unknown {
  if (node?.type === 'object') return { object: (node.children ?? []).map(({ children }): unknown[] => [children?.[0]?.value, ordered(children?.[1])]) }
  return node?.type === 'array' ? (node.children ?? []).map(ordered) : getNodeValue(node as Node) as unknown
}

const treeOf = (text: string): Node => parseTree(text.replace(/^\ufeff/, ''), [], { allowTrailingComma: true }) as Node
const member = (node: Node | undefined, name: string): Node | undefined => node?.children?.find(({ children }) => children?.[0]?.value === name)?.children?.[1]

function comments (text: string): string[] {
  const scanner = createScanner(text, false)
  const found: string[] = []
  for (let kind: number = scanner.scan(); kind !== 17; kind = scanner.scan()) {
    if (kind === 12 || kind === 13) found.push(text.slice(scanner.getTokenOffset(), scanner.getTokenOffset() + scanner.getTokenLength()))
  }
  return found
}

/** Whether one text becomes the other by insertions alone. */
function isWithin (before: string, after: string): boolean {
  let at = 0
  for (const character of after) if (before.startsWith(character, at)) at += character.length
  return at === before.length
}

test('whatever document goes in, only the entry differs after', () => {
  const seen = { nothing: 0, same: 0, other: 0 }
  fc.assert(fc.property(anyDocument, before => {
    const { found, text: after } = put(before)
    seen[found]++
    assert.equal(put(after), { found: 'same', text: after })
    const [tree, grown] = [treeOf(before), treeOf(after)]
    const [servers, old] = [member(tree, 'mcpServers'), member(member(tree, 'mcpServers'), 'swarm')]
    if (found === 'other') {
      const [from, length] = [(old?.offset ?? 0) + (before.startsWith('\ufeff') ? 1 : 0), old?.length ?? 0]
      assert.is(after.slice(0, from), before.slice(0, from))
      assert.ok(after.endsWith(before.slice(from + length)))
      assert.is(after.length - before.length + length, member(member(grown, 'mcpServers'), 'swarm')?.length, 'nothing but the value')
      return
    }
    assert.ok(isWithin(before, after), 'only insertions')
    assert.equal(comments(after), comments(before))
    const expected = ordered(tree) as { object: [string, { object: unknown[] }][] }
    const entry = ordered(parseTree(JSON.stringify(ENTRY)))
    if (servers === undefined) expected.object.push(['mcpServers', { object: [['swarm', entry]] }])
    else expected.object.find(([name]) => name === 'mcpServers')?.[1].object.push(['swarm', entry])
    assert.equal(ordered(grown), expected)
  }), { numRuns: 500, seed })
  assert.ok(seen.nothing > 100 && seen.other > 20, JSON.stringify(seen))
})

test.run()
