import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { ANNOUNCE_MAX, LISTEN_MAX, NAME_MAX, settle, type JoinOptions } from '../../lib/swarm/options.ts'
import { reachOf } from '../../lib/swarm/reach.ts'

const config = { path: '.mcp.json', servers: {}, folders: {}, unshared: [], swarm: { name: 'from config', share: [], allow: {}, pool: {}, session: {} } }

test('an option wins over its variable, that over the config file, that over the default', () => {
  const variables = { MCP_SWARM_NAME: 'from variable', MCP_SWARM_LISTEN: '/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/2', MCP_SWARM_DISCOVERY: 'off', MCP_SWARM_DIR: '/tmp/x' }
  assert.is(settle({ name: 'from option', config }, variables).name, 'from option')
  assert.is(settle({ config }, variables).name, 'from variable')
  assert.is(settle({ config }, {}).name, 'from config')
  assert.ok(settle({}, {}).name.length > 0)
  assert.equal(settle({}, variables).listen, ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2'])
  assert.equal(settle({}, variables).discovery, { folder: false, mdns: false, dht: false })
  assert.equal(settle({ discovery: { mdns: false } }, variables).discovery, { mdns: false })
  assert.equal(settle({}, { MCP_SWARM_DISCOVERY: 'folder, dht' }).discovery, { folder: true, mdns: false, dht: true })
  assert.is(settle({}, variables).dir, '/tmp/x')
  assert.equal(settle({}, { MCP_SWARM_ANNOUNCE: '/dns4/a.example/tcp/443/wss,/ip4/192.0.2.1/tcp/1' }).announce, ['/dns4/a.example/tcp/443/wss', '/ip4/192.0.2.1/tcp/1'])
  assert.equal(settle({}, {}).announce, [])
})

test('by default a peer keeps nothing, and reaches in its own swarm no further than this machine', () => {
  for (const discovery of [undefined, true]) {
    const settings = settle({ discovery }, {})
    assert.is(settings.dir, undefined)
    assert.equal(reachOf(settings, 'local'), { kind: 'local', listen: ['/ip4/127.0.0.1/tcp/0'], means: { folder: true, mdns: false, dht: false } })
  }
})

test('in a swarm that was made it reaches as far as it can, or as it is told', () => {
  const { listen, means } = reachOf(settle({}, {}), 'made')
  assert.equal(listen, ['/ip4/0.0.0.0/tcp/0', '/ip4/0.0.0.0/tcp/0/ws', '/ip6/::/tcp/0'])
  assert.equal(means, { folder: true, mdns: true, dht: true })
  const told = settle({ listen: ['/ip4/127.0.0.1/tcp/0'], discovery: { mdns: false } }, {})
  assert.equal(reachOf(told, 'made'), { kind: 'made', listen: ['/ip4/127.0.0.1/tcp/0'], means: { folder: true, mdns: false, dht: true } })
  assert.equal(reachOf(settle({ discovery: false }, {}), 'made').means, { folder: false, mdns: false, dht: false })
  assert.equal(reachOf(settle({ discovery: { mdns: true } }, {}), 'local').means, { folder: true, mdns: true, dht: false })
})

test('what a flush promises is the platform’s to say, unless it is chosen', () => {
  assert.is(settle({ dir: '/tmp/x' }, {}).durability, undefined)
  assert.is(settle({ dir: '/tmp/x', durability: 'interval' }, {}).durability, 'interval')
  assert.is(settle({ dir: '/tmp/x' }, { MCP_SWARM_DURABILITY: 'memory' }).durability, 'memory')
  assert.is(settle({ durability: 'memory' }, {}).durability, 'memory')
})

for (const [what, options, variables] of [
  ['an empty folder', { dir: '' }, {}],
  ['an empty name', { name: '' }, {}],
  ['a name over the limit', { name: 'x'.repeat(NAME_MAX + 1) }, {}],
  ['a name with a control character', { name: 'a\u001b[31m' }, {}],
  ['an address that is no multiaddr', { listen: ['127.0.0.1:4001'] }, {}],
  ['too many addresses', { listen: Array.from({ length: LISTEN_MAX + 1 }, () => '/ip4/127.0.0.1/tcp/0') }, {}],
  ['too many addresses to announce', { announce: Array.from({ length: ANNOUNCE_MAX + 1 }, () => '/ip4/192.0.2.1/tcp/1') }, {}],
  ['an unknown durability', { dir: '/tmp/x', durability: 'sure' as 'strict' }, {}],
  ['a durable disk where there is none', { durability: 'strict' }, {}],
  ['a discovery variable that is neither on nor off', {}, { MCP_SWARM_DISCOVERY: 'yes' }],
  ['an unknown means of discovery', { discovery: { radio: true } as object }, {}],
  ['a means that is neither wanted nor not', { discovery: { mdns: 'yes' } as object }, {}]
] as [string, JoinOptions, Record<string, string>][]) {
  test(`refuses ${what}`, () => {
    assert.throws(() => settle(options, variables), (error: unknown) => error instanceof SwarmError && error.code === 'INVALID_OPTION')
  })
}

test.run()
