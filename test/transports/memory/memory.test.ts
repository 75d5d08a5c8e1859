import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Connection } from '../../../lib/base/network.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { seededRandom } from '../../../lib/base/random.ts'
import { MemoryHub } from '../../../transports/memory/memory.ts'
import { until, within } from '../../support/within.ts'
import { fails, never } from '../conformance/arena.ts'
import { readAll, sendText } from '../reading.ts'

async function link (hub: MemoryHub): Promise<{ toB: Connection, toA: Connection, addresses: string[] }> {
  const [a, b] = [hub.network('a'), hub.network('b')]
  const arrived = new Promise<Connection>(resolve => { b.onConnection(resolve) })
  b.handle('/echo', stream => { stream.read({ data: bytes => { stream.send(bytes) }, ended: () => { void stream.end() }, closed () {} }) })
  const toB = await within(1_000, 'dial', a.dial('b', b.addresses(), never()))
  const toA = await within(1_000, 'the inbound end', arrived)
  toA.admit()
  toB.admit()
  return { toB, toA, addresses: b.addresses() }
}

test('cut ends connections and refuses new ones, until heal; others go on', async () => {
  const hub = new MemoryHub()
  const a = hub.network('a')
  const { toB } = await link(hub)
  const c = hub.network('c')
  const third = await within(1_000, 'dial', a.dial('c', c.addresses(), never()))
  const heard = readAll(await toB.open('/echo', never()))
  const gone = new Promise<void>(resolve => { toB.onClose(resolve) })
  hub.cut('b', 'a')
  await within(1_000, 'the cut', gone)
  assert.ok(await within(1_000, 'the stream', heard.closed))
  const b = hub.network('b')
  await fails('UNREACHABLE', /nothing listens/, a.dial('b', b.addresses(), never()))
  await fails('UNREACHABLE', /nothing listens/, b.dial('a', a.addresses(), never()))
  let lost = false
  third.onClose(() => { lost = true })
  assert.not(lost)
  hub.heal('a', 'b')
  assert.is((await within(1_000, 'dial', a.dial('b', b.addresses(), never()))).peerId, 'b')
})

test('a frozen peer neither hears nor speaks, and goes on where it was', async () => {
  const hub = new MemoryHub()
  const { toB, toA } = await link(hub)
  const stream = await toB.open('/echo', never())
  const heard = readAll(stream)
  hub.freeze('b')
  sendText(stream, 'one ')
  const probing = toB.probe(never())
  const asked = new AbortController()
  const opening = toB.open('/echo', asked.signal)
  let ended = false
  toA.onClose(() => { ended = true })
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => { setImmediate(resolve) })
  assert.equal(heard.events, [])
  assert.not(ended)
  asked.abort()
  await fails('ABORTED', /given up/, opening)
  hub.thaw('b')
  sendText(stream, 'two')
  await stream.end()
  await within(1_000, 'the end', heard.whole)
  assert.is(heard.text(), 'one two')
  await within(1_000, 'the probe', probing)
})

test('closing does not wait for a frozen peer', async () => {
  const hub = new MemoryHub()
  const a = hub.network('a')
  const { toA } = await link(hub)
  hub.freeze('b')
  const dialling = a.dial('c', ['/memory/2'], never()) // where the frozen peer lives
  const failing = fails('CLOSED', /closed/, dialling)
  await within(1_000, 'close', a.close())
  await failing
  assert.ok(toA)
})

test('a courier of one’s own decides when, and nothing happens before', async () => {
  const parcels: { from: string, to: string, deliver: () => void }[] = []
  const hub = new MemoryHub({ courier: (from, to, deliver) => { parcels.push({ from, to, deliver }) } })
  const [a, b] = [hub.network(generateKey(seededRandom(1))), hub.network(generateKey(seededRandom(2)))]
  let connected = false
  const dialling = a.dial(b.peerId, b.addresses(), never()).then(() => { connected = true })
  await until('a parcel', () => parcels.length === 1)
  assert.equal([parcels[0]?.from, parcels[0]?.to], [a.peerId, b.peerId])
  parcels.shift()?.deliver()
  await until('the answer', () => parcels.length === 1)
  assert.not(connected)
  parcels.shift()?.deliver()
  await within(1_000, 'dial', dialling)
})

test('two peers of one id are told apart by address, and only the living answers', async () => {
  const hub = new MemoryHub()
  const a = hub.network('a')
  const first = hub.network('b')
  const old = first.addresses()
  await first.close()
  const second = hub.network('b')
  await fails('UNREACHABLE', /nothing listens/, a.dial('b', old, never()))
  assert.is((await within(1_000, 'dial', a.dial('b', [...old, ...second.addresses()], never()))).address, second.addresses()[0])
})

test('a peer that moves loses its connections, tells of its address, and is reached at the new one alone', async () => {
  const hub = new MemoryHub()
  const { toB, toA, addresses } = await link(hub)
  const [ended, told]: [string[], string[][]] = [[], []]
  toB.onClose(() => { ended.push('a') })
  toA.onClose(() => { ended.push('b') })
  const third = hub.network('c')
  const other = hub.network('d')
  const apart = await within(1_000, 'dial', third.dial('d', other.addresses(), never()))
  const mover = hub.find('c', addresses[0] ?? '')
  assert.ok(mover)
  mover.onAddresses(() => { told.push(mover.addresses()) })
  hub.move('b')
  await until('both ends', () => ended.length === 2)
  const [now = []] = told
  assert.is(told.length, 1)
  assert.not.equal(now, addresses)
  await fails('UNREACHABLE', /nothing listens/, third.dial('b', addresses, never()))
  assert.is((await within(1_000, 'dial', third.dial('b', [...addresses, ...now], never()))).peerId, 'b')
  let isApart = true
  apart.onClose(() => { isApart = false })
  await new Promise(resolve => { setImmediate(resolve) })
  assert.ok(isApart, 'others stay connected')
})

test('a stream over a connection of a peer that moves ends with an error', async () => {
  const hub = new MemoryHub()
  const { toB } = await link(hub)
  const heard = readAll(await toB.open('/echo', never()))
  hub.move('a')
  assert.ok(await within(1_000, 'the stream', heard.closed))
  await fails('CLOSED', /is closed/, toB.open('/echo', never()))
})

test.run()
