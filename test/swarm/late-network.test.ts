import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { Connection } from '../../lib/base/network.ts'
import { LateNetwork } from '../../lib/swarm/late-network.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { until, within } from '../support/within.ts'

const PROTOCOL = '/late/1.0.0'
const never = new AbortController().signal

function scene (): { hub: MemoryHub, late: LateNetwork } {
  const hub = new MemoryHub()
  return { hub, late: new LateNetwork('late', async () => hub.network('late')) }
}

async function codeOf (work: Promise<unknown>): Promise<string> {
  return await within(5_000, 'an end', work.then(() => 'no error', (error: unknown) => error instanceof SwarmError ? error.code : String(error)))
}

test('a dial waits for the network to open, and whoever connects meets what was handled before', async () => {
  const { hub, late } = scene()
  const early = hub.network('early')
  const met: Connection[] = []
  const served: string[] = []
  late.onConnection(connection => { met.push(connection) })
  late.handle(PROTOCOL, (stream, { peerId }) => { served.push(peerId); void stream.end() }, { beforeAdmission: true })
  const dialled = late.dial('early', early.addresses(), never)
  assert.equal(late.addresses(), [])
  await late.open()
  assert.is((await within(5_000, 'the dial', dialled)).peerId, 'early')
  assert.is(met.length, 1)
  const other = hub.network('other')
  const connection = await other.dial('late', late.addresses(), never)
  await within(5_000, 'a stream', connection.open(PROTOCOL, never))
  await until('being served', () => served.includes('other'))
  assert.is(met.length, 2)
})

test('once open it is the network it opened', async () => {
  const { hub, late } = scene()
  await Promise.all([late.open(), late.open()])
  assert.equal(late.addresses().length, 1)
  late.handle(PROTOCOL, () => {}, { beforeAdmission: true })
  late.unhandle(PROTOCOL)
  const connection = await hub.network('other').dial('late', late.addresses(), never)
  assert.is(await codeOf(connection.open(PROTOCOL, never)), 'UNREACHABLE')
})

test('what was taken back before it opened is not there afterwards', async () => {
  const { hub, late } = scene()
  late.handle(PROTOCOL, () => {}, { beforeAdmission: true })
  late.unhandle(PROTOCOL)
  let met = 0
  late.onConnection(() => { met++ })()
  await late.open()
  const connection = await hub.network('other').dial('late', late.addresses(), never)
  assert.is(await codeOf(connection.open(PROTOCOL, never)), 'UNREACHABLE')
  assert.is(met, 0)
})

test('a waiting dial can be given up', async () => {
  const { late } = scene()
  const giveUp = new AbortController()
  const dialled = codeOf(late.dial('early', ['/memory/1'], giveUp.signal))
  giveUp.abort()
  assert.is(await dialled, 'ABORTED')
  assert.is(await codeOf(late.dial('early', ['/memory/1'], giveUp.signal)), 'ABORTED')
})

test('a network that does not open tells whoever opened it, and every dial', async () => {
  const late = new LateNetwork('late', async () => { throw new SwarmError('PORT_IN_USE', 'taken') })
  const dialled = codeOf(late.dial('early', ['/memory/1'], never))
  assert.is(await codeOf(late.open()), 'PORT_IN_USE')
  assert.is(await codeOf(late.open()), 'PORT_IN_USE')
  assert.is(await dialled, 'PORT_IN_USE')
  await late.close()
})

test('closed before it opened it never opens, and nothing waits for it', async () => {
  const { hub, late } = scene()
  const dialled = codeOf(late.dial('early', ['/memory/1'], never))
  await late.close()
  assert.is(await dialled, 'CLOSED')
  assert.is(await codeOf(late.open()), 'CLOSED')
  assert.is(await codeOf(late.gossip()), 'CLOSED')
  assert.throws(() => { late.handle(PROTOCOL, () => {}) }, /closed/)
  assert.is(await codeOf(hub.network('other').dial('late', ['/memory/1'], never)), 'UNREACHABLE')
})

test('closed while it opens, it closes what has opened', async () => {
  const hub = new MemoryHub()
  let open = (): void => {}
  const gate = new Promise<void>(resolve => { open = resolve })
  const late = new LateNetwork('late', async () => { await gate; return hub.network('late') })
  const opening = codeOf(late.open())
  const closing = late.close()
  open()
  assert.is(await opening, 'CLOSED')
  await within(5_000, 'closing', closing)
  assert.is(await codeOf(hub.network('other').dial('late', ['/memory/1'], never)), 'UNREACHABLE')
})

test.run()
