// bound: 120 s
/** Connections through another peer, on loopback: nothing here asks whether a shorter way would do. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../../lib/base/clock.ts'
import { SwarmError } from '../../../lib/base/error.ts'
import type { Connection, Network, RelayOptions } from '../../../lib/base/network.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { openNetwork } from '../../../transports/libp2p/node.ts'
import { until, within } from '../../support/within.ts'
import { readAll, sendText } from '../reading.ts'

const MS = 20_000

/** A swarm of peers that admit whoever comes, as members do once hello is said. */
async function scene (body: (open: (relay?: RelayOptions, admits?: boolean) => Promise<Network>) => Promise<void>): Promise<void> {
  const networks: Network[] = []
  try {
    await body(async (relay, admits = true) => {
      const network = await openNetwork({ key: generateKey(systemRandom), clock: systemClock, random: systemRandom, swarmId: 'test', relay })
      if (admits) network.onConnection(admit)
      networks.push(network)
      return network
    })
  } catch (error) {
    throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
  } finally {
    await within(MS, 'closing', Promise.all(networks.map(async network => { await network.close() })))
  }
}

/** As after hello: who has dialled knows itself admitted, and admits last. */
function admit (connection: Connection): void {
  if (connection.direction === 'inbound') connection.admit()
  else setTimeout(() => { connection.admit() }, 200)
}

const never = (): AbortSignal => new AbortController().signal

const relayed = (network: Network): string[] => network.addresses().filter(address => address.includes('/p2p-circuit'))

async function connect (from: Network, to: Network, addresses = to.addresses()): Promise<Connection> {
  return await within(MS, 'dial', from.dial(to.peerId, addresses, never()))
}

test('lends an address, and carries what comes there both ways', async () => {
  await scene(async open => {
    const [relay, host, caller] = [await open({ serve: true }), await open({ use: 'always' }), await open()]
    let changes = 0
    host.onAddresses(() => { changes++ })
    await connect(host, relay)
    await until('an address that is lent', () => relayed(host).length > 0, MS)
    await until('to be told of it', () => changes > 0, MS)
    assert.ok(relayed(host)[0]?.includes(relay.peerId), relayed(host).join())
    host.handle('/echo', stream => { stream.read({ data: bytes => { stream.send(bytes) }, ended: () => { void stream.end() }, closed () {} }) })
    const connection = await connect(caller, host, relayed(host))
    assert.is(connection.path, 'relay')
    assert.is(connection.peerId, host.peerId)
    await until('both ends to admit', () => connection.admitted, MS)
    const stream = await within(MS, 'a stream', connection.open('/echo', never()))
    const reading = readAll(stream)
    const text = 'x'.repeat(300_000) // more than libp2p's default lets through a circuit
    sendText(stream, text)
    await stream.end()
    await within(MS, 'the echo', reading.closed)
    assert.is(reading.text(), text)
    assert.ok(await within(MS, 'a probe', connection.probe(never())) >= 0)
  })
})

test('lends a stranger nothing, and no more than so many addresses', async () => {
  await scene(async open => {
    const relay = await open({ serve: true, reservationsMax: 1 }, false)
    const [first, second, stranger] = [await open({ use: 'always' }), await open({ use: 'always' }), await open({ use: 'always' })]
    relay.onConnection(connection => { if (connection.peerId !== stranger.peerId) admit(connection) })
    await connect(stranger, relay)
    await connect(first, relay)
    await until('an address for the first', () => relayed(first).length > 0, MS)
    await connect(second, relay)
    await new Promise(resolve => { setTimeout(resolve, 500) })
    assert.equal(relayed(second), [], 'the relay has lent all it lends')
    assert.equal(relayed(stranger), [], 'a stranger has none')
  })
})

test('takes an address that was lent back when the relay goes, and borrows another', async () => {
  await scene(async open => {
    const [one, other, host] = [await open({ serve: true }), await open({ serve: true }), await open({ use: 'always' })]
    await connect(host, one)
    await until('an address', () => relayed(host).length > 0, MS)
    await within(MS, 'closing', one.close())
    await until('it to be taken back', () => relayed(host).length === 0, MS)
    await connect(host, other)
    await until('another', () => relayed(host).some(address => address.includes(other.peerId)), MS)
  })
})

test.run()
