/** How much goes through a peer that passes bytes on, beside what goes directly: three peers of one process, on loopback. */
import { systemClock } from '../../lib/base/clock.ts'
import type { Connection, Network, RelayOptions } from '../../lib/base/network.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { openNetwork } from '../../transports/libp2p/node.ts'
import { within } from '../../test/support/within.ts'
import { isSmoke, report } from '../rig.ts'

const TOTAL_BYTES = (isSmoke ? 1 : 64) * 2 ** 20
const CHUNK = new Uint8Array(64 * 2 ** 10)
const ROUNDS = isSmoke ? 1 : 3
const MS = 60_000
const never = (): AbortSignal => new AbortController().signal

async function open (relay?: RelayOptions): Promise<Network> {
  const network = await openNetwork({ key: generateKey(systemRandom), clock: systemClock, random: systemRandom, swarmId: 'bench', relay })
  // As after hello: who has dialled admits last.
  network.onConnection(connection => {
    if (connection.direction === 'inbound') connection.admit()
    else setTimeout(() => { connection.admit() }, 200)
  })
  return network
}

/** Sends all, and waits until the other end has it. @returns MiB a second */
async function pour (connection: Connection): Promise<number> {
  const stream = await connection.open('/pour', never())
  const done = new Promise<void>(resolve => { stream.read({ data () {}, ended () { resolve() }, closed () { resolve() } }) })
  const startedMs = performance.now()
  for (let sent = 0; sent < TOTAL_BYTES; sent += CHUNK.byteLength) if (!stream.send(CHUNK)) await stream.drained()
  await stream.end()
  await within(MS, 'the other end', done)
  return TOTAL_BYTES / 2 ** 20 / ((performance.now() - startedMs) / 1_000)
}

async function ready (connection: Connection): Promise<Connection> {
  await within(MS, 'admission', (async () => { while (!connection.admitted) await new Promise(resolve => { setTimeout(resolve, 10) }) })())
  return connection
}

export async function relayed (): Promise<void> {
  const [relay, host, caller, neighbour] = [await open({ serve: true }), await open({ use: 'always' }), await open(), await open()] as const
  host.handle('/pour', stream => { stream.read({ data () {}, ended: () => { void stream.end() }, closed () {} }) })
  await host.dial(relay.peerId, relay.addresses(), never())
  const lent = (): string[] => host.addresses().filter(address => address.includes('/p2p-circuit'))
  await within(MS, 'an address', (async () => { while (lent().length === 0) await new Promise(resolve => { setTimeout(resolve, 50) }) })())
  const through = await ready(await caller.dial(host.peerId, lent(), never()))
  const direct = await ready(await neighbour.dial(host.peerId, host.addresses().filter(address => !address.includes('/p2p-circuit')), never()))
  const [far, near]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    near.push(await pour(direct))
    far.push(await pour(through))
  }
  const [most, least] = [Math.max(...near), Math.max(...far)]
  report(`${TOTAL_BYTES / 2 ** 20} MiB directly, best of ${ROUNDS}`, `${most.toFixed(1)} MiB/s`, '')
  report(`the same by relay (${through.path})`, `${least.toFixed(1)} MiB/s, ${(least / most).toFixed(2)} of it`, '')
  await Promise.all([relay, host, caller, neighbour].map(async network => { await network.close() }))
}
