import * as assert from 'uvu/assert'
import { LineStream } from '../../../lib/base/line.ts'
import type { ByteStream } from '../../../lib/base/network.ts'
import { seededRandom } from '../../../lib/base/random.ts'
import { until, within } from '../../support/within.ts'
import { readAll, sendText } from '../reading.ts'
import { isError, never, serving, text } from './arena.ts'
import type { Arena, Suite } from './arena.ts'

const MIB = 2 ** 20

/** Back-pressure and many streams. */
export function load (test: Suite, arena: Arena): void {
  const { pair } = arena

  test('carries 20 MiB each way to slow readers without piling up', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/bulk')
    const stream = await toB.open('/bulk', never())
    sendText(stream, ' ')
    const there = await within(5_000, 'the handler', served)
    const payload = seededRandom(20).bytes(64 * 2 ** 10)
    const total = 20 * MIB
    const results = await within(60_000, 'both directions', Promise.all([
      pump(stream, there, payload, total, 1),
      pump(there, stream, payload, total, 0)
    ]))
    for (const { received, ahead } of results) {
      assert.is(received, total)
      assert.ok(ahead < 10 * MIB, `sender was ${ahead} bytes ahead of the reader`)
    }
  })

  test('gives a stream up whose sender ignores that nobody reads', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/flood')
    const stream = await toB.open('/flood', never())
    const here = readAll(stream)
    sendText(stream, ' ')
    const there = await within(5_000, 'the handler', served)
    readAll(there)
    there.pause()
    const chunk = new Uint8Array(MIB)
    let sent = 0
    try {
      while (sent < 128) {
        stream.send(chunk)
        sent += 1
      }
    } catch (error) {
      assert.ok(isError('CLOSED')(error), String(error))
    }
    assert.ok(sent < 64, `${sent} MiB were taken`)
    assert.ok(isError('OVERLOADED')(await within(5_000, 'close', here.closed)))
  })

  test('opens 900 streams at once right after dialling', async () => {
    const { b, toB } = await pair()
    b.handle('/many', stream => {
      stream.read({ data: bytes => { stream.send(bytes) }, ended: () => { void stream.end() }, closed: () => {} })
    })
    const streams = await within(30_000, '900 streams', Promise.all(Array.from({ length: 900 }, async () => await toB.open('/many', never()))))
    const answers = await within(30_000, '900 answers', Promise.all(streams.map(async (stream, index) => {
      const reading = readAll(stream)
      sendText(stream, String(index))
      await stream.end()
      return text(await reading.whole)
    })))
    assert.equal(answers, answers.map((_answer, index) => String(index)))
  })

  test('answers 300 requests over one stream while one of them is slow', async () => {
    const { b, toB } = await pair()
    b.handle('/lines', stream => {
      const lines = new LineStream(stream, { holdWhenFull: true })
      let slow = ''
      lines.read({
        line (question) {
          if (question === '0') slow = question
          else lines.send(`re ${question}`)
          if (question === '299') lines.send(`re ${slow}`)
        },
        closed () {}
      })
    })
    const lines = new LineStream(await toB.open('/lines', never()))
    const answers: string[] = []
    lines.read({ line: answer => { answers.push(answer) }, closed () {} })
    for (let index = 0; index < 300; index++) lines.send(String(index))
    await until('300 answers', () => answers.length === 300, 10_000)
    assert.is(answers.at(-1), 're 0')
    assert.is(answers[0], 're 1')
  })
}

/** Sends `total` bytes; the reader stops for some turns after each portion. Tells how far ahead the sender ever was. */
async function pump (from: ByteStream, to: ByteStream, payload: Uint8Array, total: number, skip: number): Promise<{ received: number, ahead: number }> {
  let sent = 0
  let received = -skip
  let ahead = 0
  const done = new Promise<void>((resolve, reject) => {
    to.read({
      data (bytes) {
        received += bytes.byteLength
        if (received >= total) return resolve()
        to.pause()
        setTimeout(() => { to.resume() }, 1)
      },
      ended () {},
      closed (error) { reject(error ?? new Error('closed early')) }
    })
  })
  while (sent < total) {
    const more = from.send(payload)
    sent += payload.byteLength
    ahead = Math.max(ahead, sent - received)
    if (!more) await from.drained()
  }
  await done
  return { received, ahead }
}
