import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { Reader, Writer, fromHex } from '../../crdt/cursor.ts'

const malformed = (error: unknown): boolean => error instanceof SwarmError && error.code === 'MALFORMED'
const reader = (...bytes: number[]): Reader => new Reader(Uint8Array.from(bytes), 'it')

for (const value of [0, 1, 127, 128, 16_383, 16_384, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
  test(`a count of ${value} is read as it was written`, () => {
    const read = new Reader(new Writer().count(value).bytes(), 'it')
    assert.is(read.count(), value)
    read.end()
    if (value > 0) assert.throws(() => new Reader(new Writer().count(value).bytes(), 'it').count(value - 1), malformed)
  })
}

test('everything else is read as it was written, from one piece of memory that grows', () => {
  const long = new Uint8Array(10_000).fill(7)
  const writer = new Writer().byte(255).put(long).block(long).text('ü😀')
  const read = new Reader(writer.bytes(), 'it')
  assert.is(writer.length, 1 + 10_000 + 10_002 + 7)
  assert.equal([read.byte(), read.take(10_000), read.block(), read.text()], [255, long, long, 'ü😀'])
  read.end()
  assert.is(writer.clear().length, 0)
  assert.equal(writer.byte(1).view(), Uint8Array.of(1))
})

for (const [name, read] of [
  ['a byte where there is none', () => reader().byte()],
  ['a count cut short', () => reader(128).count()],
  ['a count over 2^53', () => reader(255, 255, 255, 255, 255, 255, 255, 127).count()],
  ['a count without end', () => reader(...new Array<number>(1_000).fill(128)).count()],
  ['bytes cut short', () => reader(1, 2).take(3)],
  ['a block cut short', () => reader(3, 1, 2).block()],
  ['a block over its bound', () => reader(2, 1, 2).block(1)],
  ['a text that is not UTF-8', () => reader(1, 255).text()],
  ['what follows the end', () => { reader(0).end() }]
] as const) {
  test(`refuses ${name}`, () => {
    assert.throws(read, malformed)
  })
}

test('a count that is none is a bug', () => {
  for (const value of [-1, 1.5, 2 ** 53, Number.NaN]) assert.throws(() => new Writer().count(value), /bug/)
})

test('reads hexadecimal digits', () => {
  assert.equal(fromHex('00ff1a'), Uint8Array.of(0, 255, 26))
})

test.run()
