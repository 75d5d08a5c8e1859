import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { utf8 } from '../../lib/base/bytes.ts'
import { afterTurn } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { LineStream, UNSENT_BYTES_HIGH, UNSENT_BYTES_MAX, type LineOptions } from '../../lib/base/line.ts'
import { ScriptedStream } from '../support/bytestream.ts'

interface Heard { lines: string[], ended: number, closed: (Error | undefined)[] }

function open (options?: LineOptions): { stream: ScriptedStream, line: LineStream, heard: Heard } {
  const stream = new ScriptedStream()
  const line = new LineStream(stream, options)
  const heard: Heard = { lines: [], ended: 0, closed: [] }
  line.read({ line: text => heard.lines.push(text), ended: () => { heard.ended++ }, closed: error => heard.closed.push(error) })
  return { stream, line, heard }
}

function hear (pieces: readonly Uint8Array[], options?: LineOptions): Heard {
  const { stream, heard } = open(options)
  for (const piece of pieces) stream.reader?.data(piece)
  return heard
}

function codeOf (error: unknown): string {
  return error instanceof SwarmError ? error.code : String(error)
}

const turn = async (): Promise<void> => { await new Promise<void>(resolve => { afterTurn(resolve) }) }

/** Texts in which every kind of trouble is common: empty lines, marks, several bytes a character, broken UTF-8. */
const piece = fc.oneof(
  fc.constantFrom('\n', '\n\n', '', '\r\n', '\uFEFF', 'é', '😀', '\u0000', 'abcdefgh').map(utf8),
  fc.string({ unit: 'binary' }).map(utf8),
  fc.uint8Array({ maxLength: 3 })
)
const bytes = fc.array(piece, { maxLength: 20 }).map(parts => new Uint8Array(Buffer.concat(parts)))
const cuts = fc.array(fc.nat(200), { maxLength: 12 })

function split (whole: Uint8Array, at: readonly number[]): Uint8Array[] {
  const edges = [0, ...at.map(cut => cut % (whole.byteLength + 1)).sort((left, right) => left - right), whole.byteLength]
  return edges.slice(1).map((edge, index) => whole.subarray(edges[index], edge))
}

test('any split of the bytes gives the same lines and the same refusal', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  console.log(`\nseed ${seed}`)
  fc.assert(fc.property(bytes, cuts, fc.integer({ min: 0, max: 40 }), (whole, at, lineBytesMax) => {
    const one = hear([whole], { lineBytesMax })
    for (const pieces of [split(whole, at), [...whole].map(byte => Uint8Array.of(byte))]) {
      const other = hear(pieces, { lineBytesMax })
      assert.equal(other.lines, one.lines)
      assert.equal(other.closed.map(codeOf), one.closed.map(codeOf))
    }
  }), { seed, numRuns: 2_000 })
})

test('lines come back as they were sent, in any split', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  console.log(`\nseed ${seed}`)
  await fc.assert(fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' }).filter(text => !text.includes('\n'))), cuts, async (texts, at) => {
    const { stream, line } = open()
    for (const text of texts) line.send(text)
    await line.end()
    assert.equal(hear(split(new Uint8Array(Buffer.concat(stream.sent)), at)).lines, texts)
  }), { seed, numRuns: 300 })
})

for (const [name, text, lineBytesMax, lines, code] of [
  ['a line exactly at the limit passes', 'abcd\n', 4, ['abcd'], undefined],
  ['one byte over is refused', 'abcde\n', 4, [], 'TOO_LARGE'],
  ['one byte over is refused before its newline', 'abcde', 4, [], 'TOO_LARGE'],
  ['the limit counts bytes, not characters', 'ab\néé\nééé\nab\n', 5, ['ab', 'éé'], 'TOO_LARGE'],
  ['many lines may be longer than the limit together', 'abcd\nefgh\nijkl\n', 4, ['abcd', 'efgh', 'ijkl'], undefined],
  ['lines before a wrong one are heard', 'ab\nabcdef\ncd\n', 4, ['ab'], 'TOO_LARGE'],
  ['an empty line is a line', '\n\n', 4, ['', ''], undefined]
] as const) {
  test(name, () => {
    const heard = hear([utf8(text)], { lineBytesMax })
    assert.equal(heard.lines, lines)
    assert.equal(heard.closed.map(codeOf), code === undefined ? [] : [code])
  })
}

test('bytes that are not UTF-8 reset the stream after the lines before them', () => {
  const heard = hear([Uint8Array.of(97, 10, 0xff, 10, 98, 10)])
  assert.equal(heard.lines, ['a'])
  assert.equal(heard.closed.map(codeOf), ['MALFORMED'])
})

test('a peer that sends byte by byte costs little more than its bytes', async () => {
  const { stream } = open({ lineBytesMax: 2 ** 17 })
  const before = await heldBytes()
  for (let count = 0; count < 2 ** 17; count++) {
    // Each byte is a view of a buffer of its own, as a socket would give it.
    stream.reader?.data(new Uint8Array(1_024).subarray(0, 1).fill(97))
  }
  const grown = await heldBytes() - before
  assert.ok(grown < 2 ** 20, `holds ${grown} bytes for a line of ${2 ** 17}`)
})

/** Bytes in use after collecting what is not; V8 frees buffers beside the program, so it gets some turns for that. */
async function heldBytes (): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let least = Infinity
  for (let round = 0; round < 10; round++) {
    collect()
    await new Promise<void>(resolve => { setTimeout(resolve, 10) })
    const { arrayBuffers, heapUsed } = process.memoryUsage()
    least = Math.min(least, arrayBuffers + heapUsed)
  }
  return least
}

test('what arrives after the end of a stream is not heard', () => {
  const { stream, heard, line } = open()
  line.abort(new Error('enough'))
  stream.reader?.data(utf8('late\n'))
  stream.reader?.ended()
  stream.reader?.closed()
  assert.equal(heard.lines, [])
  assert.is(heard.ended, 0)
  assert.equal(heard.closed.map(String), ['Error: enough'])
})

test('a reader that ends the stream hears no further line', () => {
  const stream = new ScriptedStream()
  const line = new LineStream(stream)
  const lines: string[] = []
  let closed = 0
  line.read({
    line (text) {
      lines.push(text)
      line.abort(new Error('enough'))
    },
    closed: () => { closed++ }
  })
  stream.reader?.data(utf8('a\nb\nc'))
  assert.equal(lines, ['a'])
  assert.is(closed, 1)
})

test('a reader handed over to hears from the next line on', () => {
  const stream = new ScriptedStream()
  const line = new LineStream(stream)
  const [first, rest]: [string[], string[]] = [[], []]
  line.read({
    line (text) {
      first.push(text)
      line.handOver({ line: text => rest.push(text), closed () {} })
    },
    closed () {}
  })
  stream.reader?.data(utf8('a\nb\nc\n'))
  assert.equal([first, rest], [['a'], ['b', 'c']])
})

test('an expected failure of a reader resets the stream with its code', () => {
  const stream = new ScriptedStream()
  const closed: (Error | undefined)[] = []
  new LineStream(stream).read({
    line () { throw new SwarmError('MALFORMED', 'not what was asked for') },
    closed: error => closed.push(error)
  })
  stream.reader?.data(utf8('a\nb\n'))
  assert.equal(closed.map(codeOf), ['MALFORMED'])
  assert.equal(stream.events, ['abort'])
})

test('a bug in a reader resets the stream and surfaces', () => {
  const stream = new ScriptedStream()
  let closed = 0
  new LineStream(stream).read({ line () { throw new Error('bug: here') }, closed: () => { closed++ } })
  assert.throws(() => stream.reader?.data(utf8('a\n')), 'bug: here')
  assert.is(closed, 1)
})

test('a stream read only after it was given up still closes, once', async () => {
  const line = new LineStream(new ScriptedStream())
  line.abort(new Error('enough'))
  const closed: (Error | undefined)[] = []
  line.read({ line () {}, closed: error => closed.push(error) })
  assert.equal(closed, [])
  await turn()
  assert.equal(closed.map(String), ['Error: enough'])
})

test('an end inside a line is malformed', () => {
  const { stream, heard } = open()
  stream.reader?.data(utf8('whole\nhal'))
  stream.reader?.ended()
  assert.equal(heard.lines, ['whole'])
  assert.equal(heard.closed.map(codeOf), ['MALFORMED'])
})

test('a reader without ended ends our side too', async () => {
  const stream = new ScriptedStream()
  new LineStream(stream).read({ line () {}, closed () {} })
  stream.reader?.ended()
  await turn()
  assert.equal(stream.events, ['end'])
})

test('the lines of one turn leave together', async () => {
  const { stream, line } = open()
  for (const text of ['a', 'b', 'c']) line.send(text)
  assert.is(stream.sent.length, 0)
  await turn()
  assert.is(stream.sent.length, 1)
  assert.is(stream.text, 'a\nb\nc\n')
})

test('end waits until what is queued was sent', async () => {
  const { stream, line } = open()
  stream.full = true
  line.send('a')
  const ended = line.end().then(() => stream.events.push('told'))
  await turn()
  assert.equal(stream.events, [], 'the stream is still full')
  assert.is(line.isClosed, false)
  stream.drain()
  await Promise.all([ended, line.end()])
  assert.is(stream.text, 'a\n')
  assert.equal(stream.events, ['end', 'told'])
})

test('an end that fails closes the stream instead of rejecting', async () => {
  const { stream, line, heard } = open()
  stream.endsWith = new SwarmError('CLOSED', 'reset meanwhile')
  await line.end()
  assert.equal(heard.closed.map(codeOf), ['CLOSED'])
})

test('nothing can be sent after the end', async () => {
  const { line } = open()
  await line.end()
  assert.throws(() => line.send('a'), (error: unknown) => codeOf(error) === 'CLOSED')
})

test('a message over the limit is refused and the stream lives', async () => {
  const { stream, line } = open({ lineBytesMax: 4 })
  assert.throws(() => line.send('éé.'), (error: unknown) => codeOf(error) === 'TOO_LARGE')
  line.send('éé')
  await turn()
  assert.is(stream.text, 'éé\n')
})

test('a newline inside a line is a bug', () => {
  assert.throws(() => open().line.send('a\nb'), 'bug: a line holds no newline')
})

test('a slow other end is told to the sender, holds a serving end, and lets go', async () => {
  const { stream, line } = open({ holdWhenFull: true })
  stream.full = true
  assert.is(line.send('a'.repeat(1_000)), true)
  assert.is(line.send('a'.repeat(UNSENT_BYTES_HIGH)), false)
  assert.is(line.send('b'), false)
  assert.equal(stream.events, ['pause'])
  let drained = false
  const waiting = line.drained().then(() => { drained = true })
  await turn()
  assert.is(drained, false)
  stream.drain()
  await waiting
  assert.equal(stream.events, ['pause', 'resume'])
  assert.is(line.send('c'), true)
})

test('a calling end is never held', () => {
  const { stream, line } = open()
  assert.is(line.send('a'.repeat(UNSENT_BYTES_HIGH + 1)), false)
  assert.equal(stream.events, [])
})

test('an other end that never reads is given up at the limit', async () => {
  const { stream, line, heard } = open()
  stream.full = true
  const text = 'a'.repeat(2 ** 20 - 1)
  for (let sent = 0; sent < UNSENT_BYTES_MAX; sent += text.length + 1) line.send(text)
  assert.is(line.isClosed, false)
  const waiting = line.drained()
  assert.is(line.send(''), false)
  await waiting
  assert.equal(heard.closed.map(codeOf), ['OVERLOADED'])
  assert.throws(() => line.send('a'), (error: unknown) => codeOf(error) === 'CLOSED')
})

test('a stream that breaks while it is being written closes once', async () => {
  const { stream, line, heard } = open()
  stream.full = true
  line.send('a'.repeat(200_000))
  await turn()
  line.abort(new SwarmError('CLOSED', 'reset'))
  stream.drain()
  await turn()
  assert.equal(heard.closed.map(codeOf), ['CLOSED'])
})

test.run()
