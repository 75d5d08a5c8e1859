import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { findMismatch, MARKED_MAX } from '../../lib/mcp/http-params.ts'
import type { JsonObject } from '../../lib/base/json.ts'

const mark = (header: string, type = 'string'): JsonObject => ({ type, 'x-mcp-header': header })
const object = (properties: JsonObject): JsonObject => ({ type: 'object', properties })
const region = object({ region: mark('Region') })
const count = object({ count: mark('Count', 'integer') })

for (const [name, schema, args, header, expected] of [
  ['takes a header that says the same', region, { region: 'north' }, 'north', undefined],
  ['takes it in base64', region, { region: 'süd' }, '=?base64?c8O8ZA==?=', undefined],
  ['takes what only begins like base64 as it is', region, { region: '=?base64?c8O8ZA==' }, '=?base64?c8O8ZA==', undefined],
  ['refuses another value', region, { region: 'north' }, 'south', /Mcp-Param-Region says something else than region/],
  ['refuses base64 without its padding', region, { region: 'Hello' }, '=?base64?SGVsbG8?=', /not the base64/],
  ['refuses what base64 cannot hold', region, { region: 'Hello' }, '=?base64?SGVs!!!bG8=?=', /not the base64/],
  ['refuses base64 of what is not UTF-8', region, { region: 'Hello' }, '=?base64?/w==?=', /not the base64/],
  ['refuses an argument without its header', region, { region: 'north' }, undefined, /Mcp-Param-Region is missing/],
  ['does not look at a header without its argument', region, {}, 'north', undefined],
  ['does not look at an argument that is null', region, { region: null }, undefined, undefined],
  ['compares numbers as numbers', count, { count: 42 }, '42.0', undefined],
  ['refuses another number', count, { count: 42 }, '43', /says something else/],
  ['does not compare what no number can hold exactly', count, { count: 2 ** 60 }, undefined, undefined],
  ['compares truth', object({ deep: mark('Region', 'boolean') }), { deep: true }, 'true', undefined],
  ['looks into objects', object({ where: region }), { where: { region: 'north' } }, 'south', /than where.region/],
  ['leaves what is no header name alone', object({ region: mark('No Name') }), { region: 'north' }, undefined, undefined],
  ['leaves marks elsewhere alone', { type: 'object', anyOf: [region] }, { region: 'north' }, undefined, undefined]
] as const) {
  test(name, () => {
    const found = findMismatch(schema, args, new Headers(header === undefined ? {} : { [schema === count ? 'mcp-param-count' : 'mcp-param-region']: header }))
    if (expected === undefined) assert.is(found, undefined)
    else assert.match(found ?? 'nothing found', expected)
  })
}

test('looks at MARKED_MAX properties of a tool', () => {
  const many = (number: number): JsonObject => object(Object.fromEntries(Array.from({ length: number }, (_, at) => [`p${at}`, mark(`P${at}`)])))
  const last = { [`p${MARKED_MAX - 1}`]: 'x' }
  assert.match(findMismatch(many(MARKED_MAX), last, new Headers()) ?? '', /is missing/)
  assert.is(findMismatch(many(MARKED_MAX + 1), { [`p${MARKED_MAX}`]: 'x' }, new Headers()), undefined)
})

test.run()
