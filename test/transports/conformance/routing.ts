import * as assert from 'uvu/assert'
import { ROUTING_KEYS_MAX, ROUTING_KEY_BYTES } from '../../../lib/base/network.ts'
import type { Network, Routing } from '../../../lib/base/network.ts'
import { until, within } from '../../support/within.ts'
import { fails, never } from './arena.ts'
import type { Arena, Suite } from './arena.ts'

const KEY = new Uint8Array(ROUTING_KEY_BYTES).fill(7)

/** Finding peers that nobody here has met. */
export function routing (test: Suite, arena: Arena): void {
  const { open, pair } = arena

  const introduce = async (a: Network, b: Network): Promise<void> => {
    const arrived = new Promise<void>(resolve => {
      b.onConnection(connection => {
        connection.admit()
        resolve()
      })
    })
    const toB = await within(5_000, 'dial', a.dial(b.peerId, b.addresses(), never()))
    toB.admit()
    await within(5_000, 'the inbound end', arrived)
  }

  /** Peers that admit whoever comes, as members do, each introduced to the next. */
  const line = async (count: number): Promise<{ network: Network, routing: Routing }[]> => {
    const networks = await Promise.all(Array.from({ length: count }, open))
    for (const network of networks) network.onConnection(connection => { setImmediate(() => { connection.admit() }) })
    for (const [index, network] of networks.entries()) if (index > 0) await introduce(networks[index - 1] as Network, network)
    const members = await Promise.all(networks.map(async network => ({ network, routing: await network.routing() })))
    for (const [index, { routing }] of members.entries()) {
      await until(`neighbours of peer ${index}`, () => routing.size >= (index === 0 || index === count - 1 ? 1 : 2))
    }
    return members
  }

  const findAll = async (routing: Routing, key = KEY): Promise<Map<string, readonly string[]>> => {
    const found = new Map<string, readonly string[]>()
    const words = new Set<string>()
    await within(5_000, 'find', routing.find(key, { signal: never(), onFound: (peerId, addresses, teller) => {
      assert.not(words.has(`${teller} ${peerId}`), 'each peer once for each who names it')
      words.add(`${teller} ${peerId}`)
      found.set(peerId, addresses)
    } }))
    return found
  }

  test('finds who provides a key, where nobody here has met them', async () => {
    const members = await line(5)
    const [first, last] = [members[0], members[4]]
    if (first === undefined || last === undefined) return assert.unreachable()
    assert.equal(await findAll(first.routing), new Map())
    await within(5_000, 'provide', last.routing.provide(KEY, never()))
    const found = await findAll(first.routing)
    assert.equal([...found.keys()], [last.network.peerId])
    assert.ok(found.get(last.network.peerId)?.some(address => last.network.addresses().includes(address)), JSON.stringify([...found]))
    assert.equal(await findAll(first.routing, KEY.map(byte => byte + 1)), new Map())
    assert.equal(await findAll(last.routing), new Map(), 'never oneself')
  })

  test('locates a peer that it has not met, and says nothing of one that is not there', async () => {
    const members = await line(4)
    const [first, last] = [members[0], members[3]]
    if (first === undefined || last === undefined) return assert.unreachable()
    const addresses = await within(5_000, 'locate', first.routing.locate(last.network.peerId, never()))
    assert.ok(last.network.addresses().some(address => addresses.includes(address)), addresses.join())
    const stranger = await open()
    assert.equal(await within(5_000, 'locate', first.routing.locate(stranger.peerId, never())), [])
  })

  test('neither asks a stranger nor answers one', async () => {
    const { a, b, toA, toB } = await pair(false)
    const [here, there] = [await a.routing(), await b.routing()]
    await there.provide(KEY, never())
    assert.equal(await findAll(here), new Map())
    toB.admit() // a has admitted b, b not yet a
    assert.equal(await findAll(here), new Map())
    assert.is(here.size, 0)
    assert.is(there.size, 0)
    toA.admit()
    await until('both to take part', () => there.size === 1)
  })

  test('includes a peer that begins to route long after the connection', async () => {
    const { a, b } = await pair()
    const here = await a.routing()
    await here.provide(KEY, never())
    assert.equal([here.size, [...await findAll(here)]], [0, []])
    const there = await b.routing()
    await until('the table', () => there.size === 1 && here.size === 1)
    await within(10_000, 'the key to be provided to those who came', (async () => {
      while (!(await findAll(there)).has(a.peerId)) await new Promise(resolve => { setTimeout(resolve, 50) })
    })())
  })

  test('bounds what one peer provides, and lets go of what is withdrawn', async () => {
    const routing = await (await open()).routing()
    const key = (index: number): Uint8Array => KEY.map((byte, at) => at === 0 ? index & 255 : at === 1 ? index >> 8 : byte)
    for (let index = 0; index < ROUTING_KEYS_MAX; index++) await routing.provide(key(index), never())
    await routing.provide(key(0), never())
    await fails('OVERLOADED', /limit/, routing.provide(key(ROUTING_KEYS_MAX), never()))
    routing.withdraw(key(0))
    await routing.provide(key(ROUTING_KEYS_MAX), never())
  })

  test('gives a lookup up, and ends with the peer', async () => {
    const { a } = await pair()
    const routing = await a.routing()
    assert.is(await a.routing(), routing)
    const onFound = (): void => {}
    await fails('ABORTED', /given up/, routing.find(KEY, { signal: AbortSignal.abort(), onFound }))
    await fails('ABORTED', /given up/, routing.locate(a.peerId, AbortSignal.abort()))
    await fails('ABORTED', /given up/, routing.provide(KEY, AbortSignal.abort()))
    await a.close()
    await fails('CLOSED', /closed/, routing.find(KEY, { signal: never(), onFound }))
    await fails('CLOSED', /closed/, routing.provide(KEY, never()))
    await fails('CLOSED', /closed/, a.routing())
  })
}
