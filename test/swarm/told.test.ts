import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { toldFirst } from '../../lib/swarm/told.ts'

/** Those of a machine with so many networks, in the order in which it listens. */
function machine (networks: number): string[] {
  const hosts4 = ['127.0.0.1', ...Array.from({ length: networks }, (_, nth) => `10.0.${nth}.1`)]
  const hosts6 = ['::1', ...Array.from({ length: networks }, (_, nth) => `fd00:${nth}::1`)]
  return [...hosts4.map(host => `/ip4/${host}/tcp/1`), ...hosts6.map(host => `/ip6/${host}/tcp/2`), ...hosts4.map(host => `/ip4/${host}/tcp/3/ws`)]
}

test('of each way to be dialled the first is told before the second of any, and this machine\'s own come last', () => {
  assert.equal(toldFirst(machine(2)), [
    '/ip4/10.0.0.1/tcp/1', '/ip6/fd00:0::1/tcp/2', '/ip4/10.0.0.1/tcp/3/ws',
    '/ip4/10.0.1.1/tcp/1', '/ip6/fd00:1::1/tcp/2', '/ip4/10.0.1.1/tcp/3/ws',
    '/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/2', '/ip4/127.0.0.1/tcp/3/ws'
  ])
})

test('where there is room for few, a page finds a WebSocket, and whoever is behind a router the address that a relay lends', () => {
  const lent = '/ip4/198.51.100.7/tcp/4001/p2p/12D3KooWQHYzkvo798FHt28CgD4PtS2VrzppUYwYG5CCMaVmVPUs/p2p-circuit'
  const told = toldFirst([...machine(20), lent, '/dns4/example.org/tcp/443/wss'], 8)
  assert.is(told.length, 8)
  for (const address of ['/ip4/10.0.0.1/tcp/1', '/ip6/fd00:0::1/tcp/2', '/ip4/10.0.0.1/tcp/3/ws', lent, '/dns4/example.org/tcp/443/wss']) assert.ok(told.includes(address), `${address} is not in ${told.join()}`)
  assert.not(told.some(address => address.includes('127.0.0.1')))
})

test('nothing is told of nothing', () => { assert.equal(toldFirst([], 8), []) })

test.run()
