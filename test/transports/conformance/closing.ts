import * as assert from 'uvu/assert'
import { SwarmError } from '../../../lib/base/error.ts'
import { until, within } from '../../support/within.ts'
import { readAll, sendText } from '../reading.ts'
import { fails, isError, never, serving } from './arena.ts'
import type { Arena, Suite } from './arena.ts'

/** Connections and networks that end. */
export function closing (test: Suite, arena: Arena): void {
  const { pair } = arena

  test('ends streams with an error when their connection is closed, after what was sent', async () => {
    const { b, toB, toA } = await pair()
    const served = serving(b, '/cut')
    const stream = await toB.open('/cut', never())
    const here = readAll(stream)
    sendText(stream, 'last words')
    const heard = readAll(await within(5_000, 'the handler', served))
    const gone = [toB, toA].map(async connection => { await new Promise<void>(resolve => { connection.onClose(resolve) }) })
    await within(2_000, 'close', toB.close())
    await within(2_000, 'both ends to notice', Promise.all(gone))
    assert.ok(isError('CLOSED')(await within(5_000, 'here', here.closed)))
    assert.ok(isError('CLOSED')(await within(5_000, 'there', heard.closed)))
    assert.is(heard.text(), 'last words')
    await fails('CLOSED', /closed/, toB.open('/cut', never()))
    await toB.close()
  })

  test('ends streams with the error a connection is aborted with', async () => {
    const { b, toB, toA } = await pair()
    const served = serving(b, '/cut')
    const stream = await toB.open('/cut', never())
    const here = readAll(stream)
    sendText(stream, 'x')
    const heard = readAll(await within(5_000, 'the handler', served))
    let closes = 0
    toA.onClose(() => { closes += 1 })
    const why = new SwarmError('NOT_ADMITTED', 'go away')
    toB.abort(why)
    toB.abort(why)
    assert.is(await within(5_000, 'here', here.closed), why)
    assert.ok(isError('CLOSED')(await within(5_000, 'there', heard.closed)))
    await until('the other end to notice', () => closes === 1)
    toA.onClose(() => { closes += 1 }) // at once: it has closed already
    assert.is(closes, 2)
  })

  test('tells who reads only after the connection has gone how each stream ended', async () => {
    const { b, toB, toA } = await pair()
    const [orderly, broken] = [serving(b, '/orderly'), serving(b, '/broken')]
    const first = await toB.open('/orderly', never())
    const here = readAll(first)
    sendText(first, 'complete')
    const theirFirst = await within(5_000, 'the handler', orderly)
    const second = await toB.open('/broken', never())
    sendText(second, 'cut sh')
    const theirSecond = await within(5_000, 'the handler', broken)
    await first.end()
    await theirFirst.end()
    assert.is(await within(5_000, 'an orderly close', here.closed), undefined)
    const gone = new Promise<void>(resolve => { toA.onClose(resolve) })
    await toB.close()
    await within(5_000, 'the other end to notice', gone)
    const [late, later] = [readAll(theirFirst), readAll(theirSecond)]
    assert.is(await within(5_000, 'a late reader', late.closed), undefined)
    assert.is(late.text(), 'complete')
    assert.equal(late.events, ['data', 'ended', 'closed'])
    assert.ok(isError('CLOSED')(await within(5_000, 'another late reader', later.closed)))
    theirSecond.resume()
    theirSecond.pause()
  })

  test('survives a connection that is aborted while streams open on it', async () => {
    const { b, toB } = await pair()
    b.handle('/x', () => {})
    const opening = [1, 2, 3].map(async () => await toB.open('/x', never()))
    toB.abort(new Error('changed my mind'))
    for (const attempt of opening) await attempt.then(() => assert.unreachable('it opened'), error => assert.ok(error instanceof SwarmError))
  })

  test('closes with streams open, once, and refuses everything after', async () => {
    const { a, b, toB, toA } = await pair()
    const served = serving(b, '/open')
    const stream = await toB.open('/open', never())
    const here = readAll(stream)
    sendText(stream, 'x')
    const heard = readAll(await within(5_000, 'the handler', served))
    const noticed = new Promise<void>(resolve => { toA.onClose(resolve) })
    await within(2_000, 'close', Promise.all([a.close(), a.close()]))
    await a.close()
    assert.ok(isError('CLOSED')(await within(5_000, 'here', here.closed)))
    assert.ok(isError('CLOSED')(await within(5_000, 'there', heard.closed)))
    await within(5_000, 'the other peer to notice', noticed)
    await fails('CLOSED', /closed/, a.dial(b.peerId, b.addresses(), never()))
    assert.throws(() => { a.handle('/late', () => {}) }, isError('CLOSED'))
    assert.equal(a.addresses(), [])
  })
}
