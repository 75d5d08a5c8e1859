import * as assert from 'uvu/assert'
import { SwarmError } from '../../../lib/base/error.ts'
import type { ByteStream } from '../../../lib/base/network.ts'
import { until, within } from '../../support/within.ts'
import { readAll, sendText } from '../reading.ts'
import { fails, isError, never, serving, text } from './arena.ts'
import type { Arena, Suite } from './arena.ts'

/** Bytes and ends of one stream. */
export function streams (test: Suite, arena: Arena): void {
  const { pair } = arena

  test('carries bytes both ways, and each end ends on its own', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/echo')
    const stream = await within(5_000, 'open', toB.open('/echo', never()))
    assert.is(stream.protocol, '/echo')
    const here = readAll(stream)
    sendText(stream, 'question')
    const there = await within(5_000, 'the handler', served)
    const heard = readAll(there)
    await within(5_000, 'end', stream.end())
    assert.is(text(await within(5_000, 'the question', heard.whole)), 'question')
    sendText(there, 'answer')
    await within(5_000, 'end', there.end())
    assert.is(text(await within(5_000, 'the answer', here.whole)), 'answer')
    assert.is(await within(5_000, 'close here', here.closed), undefined)
    assert.is(await within(5_000, 'close there', heard.closed), undefined)
    assert.equal(here.events, ['data', 'ended', 'closed'])
    assert.equal(heard.events, ['data', 'ended', 'closed'])
    assert.throws(() => stream.send(Uint8Array.of(1)), isError('CLOSED'))
  })

  test('lets the end that was dialled open streams too', async () => {
    const { a, toA } = await pair()
    const served = serving(a, '/back')
    const stream = await within(5_000, 'open', toA.open('/back', never()))
    sendText(stream, 'hello')
    await stream.end()
    assert.is(text(await within(5_000, 'text', readAll(await served).whole)), 'hello')
  })

  test('hears all of a protocol whose server speaks first and ends at once', async () => {
    const { b, toB } = await pair()
    b.handle('/first', async stream => {
      readAll(stream)
      sendText(stream, 'all I have to say')
      await stream.end()
    })
    for (let round = 0; round < 20; round++) {
      const stream = await toB.open('/first', never())
      const heard = readAll(stream)
      assert.is(text(await within(5_000, `round ${round}`, heard.whole)), 'all I have to say')
      await stream.end()
      assert.is(await within(5_000, 'close', heard.closed), undefined)
    }
  })

  test('does not alias bytes between the ends', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/own')
    const stream = await toB.open('/own', never())
    const sent = Uint8Array.of(1, 2, 3)
    stream.send(sent)
    await stream.end()
    const received = await within(5_000, 'bytes', readAll(await served).whole)
    received.fill(9)
    assert.equal([...sent], [1, 2, 3])
  })

  test('keeps bytes that come before they are read, and tells the end after them', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/early')
    const stream = await toB.open('/early', never())
    const here = readAll(stream)
    sendText(stream, 'early')
    const there = await within(5_000, 'the handler', served)
    await stream.end()
    there.resume() // before anyone reads: nothing to resume
    await there.end()
    await within(5_000, 'the end of the other side', here.whole)
    const heard = readAll(there)
    assert.is(text(await within(5_000, 'text', heard.whole)), 'early')
    assert.is(await within(5_000, 'close', heard.closed), undefined)
    assert.equal(heard.events, ['data', 'ended', 'closed'])
  })

  test('tells a paused reader of the end only after what it has not read', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/paused')
    const stream = await toB.open('/paused', never())
    const here = readAll(stream)
    const there = await within(5_000, 'the handler', served)
    const heard = readAll(there)
    there.pause()
    sendText(stream, 'late')
    await stream.end()
    await there.end()
    assert.is(await within(5_000, 'close here', here.closed), undefined)
    assert.equal(heard.events, [])
    there.resume()
    assert.is(await within(5_000, 'close there', heard.closed), undefined)
    assert.equal(heard.events, ['data', 'ended', 'closed'])
    assert.is(heard.text(), 'late')
  })

  test('shows an abort as an error at both ends, once', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/abort')
    const stream = await toB.open('/abort', never())
    const here = readAll(stream)
    sendText(stream, 'x')
    const heard = readAll(await within(5_000, 'the handler', served))
    const why = new SwarmError('MALFORMED', 'nonsense')
    stream.abort(why)
    stream.abort(new Error('a second time'))
    assert.is(await within(5_000, 'close here', here.closed), why)
    const there = await within(5_000, 'close there', heard.closed)
    assert.ok(isError('CLOSED')(there), String(there))
    await fails('CLOSED', /closed/, stream.drained())
    assert.is(here.events.filter(event => event === 'closed').length, 1)
    await stream.end()
  })

  test('resets a stream over the limit of its protocol, and forgets those that have closed', async () => {
    const { b, toB } = await pair()
    const held: ByteStream[] = []
    b.handle('/few', stream => {
      held.push(stream)
      stream.read({ data: () => {}, ended: () => {}, closed: () => {} })
    }, { streamsMax: 2 })
    const first = readAll(await toB.open('/few', never()))
    await toB.open('/few', never())
    await until('two streams', () => held.length === 2)
    const third = await toB.open('/few', never()).then(readAll)
    assert.ok(isError('CLOSED')(await within(5_000, 'the reset', third.closed)))
    held[0]?.abort(new Error('make room'))
    await within(5_000, 'the first to close', first.closed)
    await toB.open('/few', never())
    await until('a third stream', () => held.length === 3)
  })

  test('resets the stream of a handler or a reader that throws, and nothing else', async () => {
    const { b, toB } = await pair()
    b.handle('/throws', () => { throw new Error('broken handler') })
    b.handle('/rejects', async () => { throw new Error('broken handler') })
    b.handle('/reader', stream => { stream.read({ data () { throw new Error('broken reader') }, ended () {}, closed () { throw new Error('broken to the end') } }) })
    for (const protocol of ['/throws', '/rejects', '/reader']) {
      const stream = await toB.open(protocol, never())
      const reading = readAll(stream)
      if (protocol === '/reader') sendText(stream, 'x')
      assert.ok(isError('CLOSED')(await within(5_000, protocol, reading.closed)), protocol)
    }
    await within(5_000, 'probe', toB.probe(never()))
  })

  test('gives up opening when asked to', async () => {
    const { b, toB } = await pair()
    b.handle('/x', () => {})
    await fails('ABORTED', /given up/, toB.open('/x', AbortSignal.abort()))
    const controller = new AbortController()
    const opening = toB.open('/x', controller.signal)
    controller.abort()
    await fails('ABORTED', /given up/, opening)
    await within(5_000, 'another', toB.open('/x', never()))
  })

  test('stops answering what is unhandled, and lets open streams go on', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/once')
    const stream = await toB.open('/once', never())
    sendText(stream, 'still ')
    const heard = readAll(await within(5_000, 'the handler', served))
    b.unhandle('/once')
    await fails('UNREACHABLE', /refused/, toB.open('/once', never()))
    assert.is(await toB.open('/once', never()).then(() => undefined, (error: SwarmError) => error.details['reason']), 'unspoken')
    sendText(stream, 'here')
    await stream.end()
    assert.is(text(await within(5_000, 'text', heard.whole)), 'still here')
    const again = serving(b, '/once')
    sendText(await toB.open('/once', never()), 'x')
    await within(5_000, 'the new handler', again)
  })
}
