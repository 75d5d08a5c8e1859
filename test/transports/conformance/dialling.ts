import * as assert from 'uvu/assert'
import type { Connection } from '../../../lib/base/network.ts'
import { within } from '../../support/within.ts'
import { fails, never } from './arena.ts'
import type { Arena, Suite } from './arena.ts'

/** Dials in progress in one test process. */
const DIALS_AT_ONCE = 6

/** Finding and refusing peers. */
export function dialling (test: Suite, arena: Arena): void {
  const { open } = arena

  test('dials, proves the other end, and tells of the connection before dial resolves', async () => {
    const [a, b] = [await open(), await open()]
    const told: Connection[] = []
    a.onConnection(connection => told.push(connection))
    const arrived = new Promise<Connection>(resolve => { b.onConnection(resolve) })
    const toB = await within(5_000, 'dial', a.dial(b.peerId, b.addresses(), never()))
    assert.is(told[0], toB)
    assert.is(toB.peerId, b.peerId)
    assert.is(toB.direction, 'outbound')
    assert.ok(b.addresses().includes(toB.address), `${toB.address} among ${b.addresses().join(' ')}`)
    const toA = await within(5_000, 'the inbound end', arrived)
    assert.is(toA.peerId, a.peerId)
    assert.is(toA.direction, 'inbound')
    assert.is.not(toA.id, toB.id)
  })

  test('returns the connection it has, also to dials at the same time', async () => {
    const [a, b] = [await open(), await open()]
    const dials = await within(5_000, 'dials', Promise.all([1, 2, 3].map(async () => await a.dial(b.peerId, b.addresses(), never()))))
    assert.is(new Set(dials.map(connection => connection.id)).size, 1)
    assert.is(await a.dial(b.peerId, [arena.deadAddress()], never()), dials[0])
  })

  test('connects anew beside the connection it has, when told to', async () => {
    const [a, b] = [await open(), await open()]
    const first = await within(5_000, 'dial', a.dial(b.peerId, b.addresses(), never()))
    const [second, third] = await within(5_000, 'dials', Promise.all([1, 2].map(async () => await a.dial(b.peerId, b.addresses(), never(), { anew: true }))))
    assert.is.not(second?.id, first.id)
    assert.is(third?.id, second?.id, 'two at the same time are one')
    await fails('UNREACHABLE', /nothing listens/, a.dial(b.peerId, [arena.deadAddress()], never(), { anew: true }))
    assert.ok([first.id, second?.id].includes((await a.dial(b.peerId, [arena.deadAddress()], never())).id), 'both are open')
  })

  test('gives every dial a connection when two peers dial each other at once', async () => {
    const [a, b] = [await open(), await open()]
    const [toB, toA] = await within(5_000, 'both dials', Promise.all([a.dial(b.peerId, b.addresses(), never()), b.dial(a.peerId, a.addresses(), never())]))
    assert.is(toB.peerId, b.peerId)
    assert.is(toA.peerId, a.peerId)
  })

  test('reaches a peer by its second address when the first is dead', async () => {
    const [a, b] = [await open(), await open()]
    const connection = await within(5_000, 'dial', a.dial(b.peerId, [arena.deadAddress(), ...b.addresses()], never()))
    assert.is(connection.peerId, b.peerId)
  })

  test('refuses dials that cannot succeed, saying why', async () => {
    const [a, b, c] = [await open(), await open(), await open()]
    await fails('UNREACHABLE', /nothing listens/, a.dial(b.peerId, [arena.deadAddress()], never()))
    await fails('UNREACHABLE', /another peer/, a.dial(b.peerId, c.addresses(), never()))
    await fails('UNREACHABLE', /no address/, a.dial(b.peerId, [], never()))
    await fails('UNREACHABLE', /itself/, a.dial(a.peerId, a.addresses(), never()))
    await fails('ADDRESS_INVALID', /nonsense/, a.dial(b.peerId, ['nonsense'], never()))
    await fails('ABORTED', /given up/, a.dial(b.peerId, b.addresses(), AbortSignal.abort()))
    const gone = b.addresses()
    await b.close()
    await fails('UNREACHABLE', /nothing listens|hangs up/, a.dial(b.peerId, gone, never()))
  })

  test('is dialled by 60 peers of one host in a row, and refuses none', async () => {
    const hub = await open()
    hub.onConnection(connection => { connection.admit() })
    const peers = await Promise.all(Array.from({ length: 60 }, open))
    const connections: Connection[] = []
    // All in one process: the handshakes of many at once take turns, and on a busy machine none would end within its bound.
    const waiting = [...peers]
    await within(60_000, '60 dials', Promise.all(Array.from({ length: DIALS_AT_ONCE }, async () => {
      for (let peer = waiting.shift(); peer !== undefined; peer = waiting.shift()) {
        const connection = await peer.dial(hub.peerId, hub.addresses(), never())
        connection.admit()
        connections.push(connection)
      }
    })))
    assert.is(connections.length, peers.length)
    await within(30_000, '60 probes', Promise.all(connections.map(async connection => await connection.probe(never()))))
  })
}
