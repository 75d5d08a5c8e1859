import { duplexPair, PassThrough, Readable } from 'node:stream'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { LINE_BYTES_MAX, readFirstLine, readLines, writeLine } from '../../lib/cli/lines.ts'
import { SwarmError } from '../../lib/base/error.ts'

async function linesOf (...chunks: readonly (string | Buffer)[]): Promise<string[]> {
  const lines = []
  for await (const line of readLines(Readable.from(chunks.map(chunk => Buffer.from(chunk))))) lines.push(line)
  return lines
}

for (const [name, chunks, expected] of [
  ['several in one chunk', ['a\nb\nc\n'], ['a', 'b', 'c']],
  ['one in several chunks', ['a', 'b', 'c\nd', '\n'], ['abc', 'd']],
  ['empty lines', ['\n\na\n'], ['', '', 'a']],
  ['what follows the last newline is no line', ['a\nb'], ['a']],
  ['a character cut in two', [Buffer.from('é').subarray(0, 1), Buffer.concat([Buffer.from('é').subarray(1), Buffer.from('\n')])], ['é']]
] as const) {
  test(`reads lines: ${name}`, async () => { assert.equal(await linesOf(...chunks), expected) })
}

test('takes a line at the limit, and refuses one over it', async () => {
  const half = Buffer.alloc(LINE_BYTES_MAX / 2, 'x')
  assert.is((await linesOf(half, half, '\n'))[0]?.length, LINE_BYTES_MAX)
  for (const chunks of [[half, half, 'x\n'], [half, half, 'x'], [Buffer.alloc(LINE_BYTES_MAX + 1, 'x')]]) {
    let thrown: unknown
    await linesOf(...chunks).catch((error: unknown) => { thrown = error })
    assert.ok(thrown instanceof SwarmError && thrown.code === 'TOO_LARGE')
  }
})

test('reads the first line and leaves the rest', async () => {
  const [near, far] = duplexPair()
  far.write('{"do":"m')
  far.write('cp"}\nfirst\nsec')
  assert.is(await readFirstLine(near), '{"do":"mcp"}')
  far.end('ond\n')
  const rest = []
  for await (const line of readLines(near)) rest.push(line)
  assert.equal(rest, ['first', 'second'])
})

test('after the first line a later reader of data gets the rest without asking', async () => {
  const [near, far] = duplexPair()
  far.write('first\n')
  assert.is(await readFirstLine(near), 'first')
  const rest = new Promise<string>(resolve => { near.on('data', (bytes: Buffer) => { resolve(bytes.toString()) }) })
  far.write('second')
  assert.is(await rest, 'second')
})

test('of a stream that ends first there is no first line', async () => {
  const [near, far] = duplexPair()
  far.end('no newline')
  assert.is(await readFirstLine(near), undefined)
})

test('a write waits for the reader, and not for one that is gone', async () => {
  const slow = new PassThrough({ highWaterMark: 4 })
  let written = false
  const writing = writeLine(slow, 'longer than four bytes').then(() => { written = true })
  await Promise.resolve()
  assert.is(written, false)
  slow.resume()
  await writing
  const gone = new PassThrough({ highWaterMark: 4 })
  const waiting = writeLine(gone, 'longer than four bytes')
  gone.destroy()
  await waiting
  await writeLine(gone, 'more')
})

test.run()
