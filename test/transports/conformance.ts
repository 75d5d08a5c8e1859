/**
 * What every implementation of `Network` promises, as one suite run against each.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { ErrorCode } from '../../lib/base/error.ts'
import { LineStream } from '../../lib/base/line.ts'
import type { ByteStream, Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { readAll, sendText } from './reading.ts'
import { until, within } from '../support/within.ts'

/** One implementation under test. */
export interface Ground {
  /** Opens the network of a new peer, which can reach every other of this ground. */
  open (): Promise<Network>
  /** An address in this implementation's form at which nobody answers. */
  readonly deadAddress: string
}

const MIB = 2 ** 20

/** A signal that never fires, fresh each time: Node warns of many listeners on one. */
const never = (): AbortSignal => new AbortController().signal

export function conformance (name: string, makeGround: () => Ground): void {
  const test = suite(name)
  let ground = makeGround()
  let networks: Network[] = []

  test.before.each(() => {
    ground = makeGround()
    networks = []
  })
  test.after.each(async () => {
    await within(10_000, 'closing every network', Promise.all(networks.map(async network => { await network.close() })))
  })

  const open = async (): Promise<Network> => {
    const network = await ground.open()
    networks.push(network)
    return network
  }

  /** Two peers with one connection, both ends admitted unless told otherwise. */
  const pair = async (admit = true): Promise<{ a: Network, b: Network, toB: Connection, toA: Connection }> => {
    const [a, b] = [await open(), await open()]
    const arrived = new Promise<Connection>(resolve => { b.onConnection(resolve) })
    const toB = await within(5_000, 'dial', a.dial(b.peerId, b.addresses(), never()))
    const toA = await within(5_000, 'the inbound end', arrived)
    if (admit) {
      toA.admit()
      toB.admit()
    }
    return { a, b, toB, toA }
  }

  test('dials, proves the other end, and tells of the connection before dial resolves', async () => {
    const [a, b] = [await open(), await open()]
    const told: Connection[] = []
    a.onConnection(connection => told.push(connection))
    const arrived = new Promise<Connection>(resolve => { b.onConnection(resolve) })
    const toB = await within(5_000, 'dial', a.dial(b.peerId, b.addresses(), never()))
    assert.is(told[0], toB)
    assert.is(toB.peerId, b.peerId)
    assert.is(toB.direction, 'outbound')
    assert.ok(b.addresses().includes(toB.address), `${toB.address} among ${b.addresses()}`)
    const toA = await within(5_000, 'the inbound end', arrived)
    assert.is(toA.peerId, a.peerId)
    assert.is(toA.direction, 'inbound')
    assert.is.not(toA.id, toB.id)
  })

  test('returns the connection it has, also to dials at the same time', async () => {
    const [a, b] = [await open(), await open()]
    const dials = await within(5_000, 'dials', Promise.all([1, 2, 3].map(async () => await a.dial(b.peerId, b.addresses(), never()))))
    assert.is(new Set(dials.map(connection => connection.id)).size, 1)
    assert.is(await a.dial(b.peerId, [ground.deadAddress], never()), dials[0])
  })

  test('gives every dial a connection when two peers dial each other at once', async () => {
    const [a, b] = [await open(), await open()]
    const [toB, toA] = await within(5_000, 'both dials', Promise.all([a.dial(b.peerId, b.addresses(), never()), b.dial(a.peerId, a.addresses(), never())]))
    assert.is(toB.peerId, b.peerId)
    assert.is(toA.peerId, a.peerId)
  })

  test('reaches a peer by its second address when the first is dead', async () => {
    const [a, b] = [await open(), await open()]
    const connection = await within(5_000, 'dial', a.dial(b.peerId, [ground.deadAddress, ...b.addresses()], never()))
    assert.is(connection.peerId, b.peerId)
  })

  test('refuses dials that cannot succeed, saying why', async () => {
    const [a, b, c] = [await open(), await open(), await open()]
    await fails('UNREACHABLE', /nothing listens/, a.dial(b.peerId, [ground.deadAddress], never()))
    await fails('UNREACHABLE', /another peer/, a.dial(b.peerId, c.addresses(), never()))
    await fails('UNREACHABLE', /no address/, a.dial(b.peerId, [], never()))
    await fails('UNREACHABLE', /itself/, a.dial(a.peerId, a.addresses(), never()))
    await fails('ADDRESS_INVALID', /nonsense/, a.dial(b.peerId, ['nonsense'], never()))
    await fails('ABORTED', /given up/, a.dial(b.peerId, b.addresses(), AbortSignal.abort()))
    const gone = b.addresses()
    await b.close()
    await fails('UNREACHABLE', /nothing listens|hangs up/, a.dial(b.peerId, gone, never()))
  })

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
    await assertRejects(stream.drained(), 'CLOSED')
    assert.is(here.events.filter(event => event === 'closed').length, 1)
    await stream.end()
  })

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
    readAll(await within(5_000, 'the handler', served)).closed.catch(() => {})
    ;(await served).pause()
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

  test('answers a stranger only what is open to strangers', async () => {
    const { a, b, toB, toA } = await pair(false)
    const hello = serving(b, '/hello', true)
    const secret = serving(b, '/secret')
    a.handle('/secret', () => {})
    await fails('UNREACHABLE', /refused/, toB.open('/secret', never()))
    await fails('UNREACHABLE', /refused/, toA.open('/secret', never()))
    await fails('UNREACHABLE', /refused/, toB.probe(never()))
    sendText(await within(5_000, 'hello', toB.open('/hello', never())), 'hi')
    assert.is((await within(5_000, 'hello', hello)).protocol, '/hello')
    assert.not(toA.admitted)
    toA.admit()
    toA.admit()
    assert.ok(toA.admitted)
    sendText(await within(5_000, 'secret', toB.open('/secret', never())), 'now')
    assert.is((await within(5_000, 'secret', secret)).protocol, '/secret')
    await fails('UNREACHABLE', /refused/, toA.open('/secret', never())) // we have not admitted them
  })

  test('measures a round trip on that connection', async () => {
    const { toB, toA } = await pair()
    for (const connection of [toB, toA]) {
      const tookMs = await within(5_000, 'probe', connection.probe(never()))
      assert.ok(tookMs >= 0 && tookMs < 1_000, `${tookMs} ms`)
    }
    await within(5_000, 'ten at once', Promise.all(Array.from({ length: 10 }, async () => await toB.probe(never()))))
    await fails('ABORTED', /given up/, toB.probe(AbortSignal.abort()))
  })

  test('stops answering what is unhandled, and lets open streams go on', async () => {
    const { b, toB } = await pair()
    const served = serving(b, '/once')
    const stream = await toB.open('/once', never())
    sendText(stream, 'still ')
    const heard = readAll(await within(5_000, 'the handler', served))
    b.unhandle('/once')
    await fails('UNREACHABLE', /refused/, toB.open('/once', never()))
    sendText(stream, 'here')
    await stream.end()
    assert.is(text(await within(5_000, 'text', heard.whole)), 'still here')
    const again = serving(b, '/once')
    sendText(await toB.open('/once', never()), 'x')
    await within(5_000, 'the new handler', again)
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

  test('is dialled by 60 peers within a second, and refuses none', async () => {
    const hub = await open()
    hub.onConnection(connection => { connection.admit() })
    const peers = await Promise.all(Array.from({ length: 60 }, open))
    const connections = await within(30_000, '60 dials', Promise.all(peers.map(async peer => await peer.dial(hub.peerId, hub.addresses(), never()))))
    for (const connection of connections) connection.admit()
    await within(30_000, '60 probes', Promise.all(connections.map(async connection => await connection.probe(never()))))
  })

  test.run()
}

/** The first stream of a protocol that a peer is asked to serve. */
async function serving (network: Network, protocol: string, beforeAdmission = false): Promise<ByteStream> {
  return await new Promise(resolve => { network.handle(protocol, resolve, { beforeAdmission }) })
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

function text (bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function isError (code: ErrorCode): (error: unknown) => boolean {
  return error => error instanceof SwarmError && error.code === code
}

async function fails (code: ErrorCode, message: RegExp, work: Promise<unknown>): Promise<void> {
  await within(8_000, `${code} ${message}`, work.then(() => assert.unreachable(`not ${code} ${message}`), (error: unknown) => {
    assert.ok(isError(code)(error), `${String(error)} instead of ${code}`)
    assert.match((error as Error).message, message)
  }))
}

async function assertRejects (work: Promise<unknown>, code: ErrorCode): Promise<void> {
  await fails(code, /./, work)
}
