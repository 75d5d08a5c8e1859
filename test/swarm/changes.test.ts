import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { changesOf, isEmpty, type ConfigChanges } from '../../lib/swarm/changes.ts'
import { parseConfig, type Config } from '../../lib/swarm/config.ts'

const SERVERS = { a: { command: 'a', env: { X: '1', Y: '2' } }, b: { command: 'b' }, c: { url: 'https://c.test/mcp' } }
const NOTHING: ConfigChanges = { added: [], removed: [], replaced: [], allowed: [], atRestart: [] }

function config (swarm: object, servers: object = SERVERS): Config {
  return parseConfig(JSON.stringify({ mcpServers: servers, swarm }), { path: '.mcp.json', env: {} })
}

const base = config({ name: 'desk', share: ['a', 'b'], allow: { a: ['role:member', 'role:admin'] }, pool: { a: 'p' } })
const same = { name: 'desk', share: ['a', 'b'], allow: { a: ['role:member', 'role:admin'] }, pool: { a: 'p' } }

for (const [name, before, after, expected] of [
  ['nothing', base, config(same), {}],
  ['the first config', undefined, config({ share: ['b', 'a'] }), { added: ['b', 'a'] }],
  ['the order of everything', base, config({ ...same, share: ['b', 'a'], allow: { a: ['role:admin', 'role:member'] } }, { ...SERVERS, a: { env: { Y: '2', X: '1' }, command: 'a' } }), {}],
  ['what it is to say nothing', config({ share: ['a'] }), config({ share: ['a'], allow: { a: ['role:member'] }, session: { a: 'shared' } }), {}],
  ['a server that nobody shares', base, config(same, { ...SERVERS, c: { command: 'c' } }), {}],
  ['a server more', base, config({ ...same, share: ['c', 'a', 'b'] }), { added: ['c'] }],
  ['a server less', base, config({ ...same, share: ['b'] }), { removed: ['a'] }],
  ['one for another', base, config({ ...same, share: ['a', 'c'] }), { added: ['c'], removed: ['b'] }],
  ['a variable of a command', base, config(same, { ...SERVERS, a: { command: 'a', env: { X: '1', Y: '3' } } }), { replaced: ['a'] }],
  ['a command for a url', base, config(same, { ...SERVERS, b: { url: 'https://b.test/mcp' } }), { replaced: ['b'] }],
  ['a pool', base, config({ ...same, pool: { a: 'q', b: 'q' } }), { replaced: ['a', 'b'] }],
  ['a session', base, config({ ...same, session: { b: 'caller' } }), { replaced: ['b'] }],
  ['who may use one', base, config({ ...same, allow: { a: ['role:admin'] } }), { allowed: ['a'] }],
  ['that all may', base, config({ ...same, allow: {} }), { allowed: ['a'] }],
  ['that nobody may', base, config({ ...same, allow: { ...same.allow, b: [] } }), { allowed: ['b'] }],
  ['who may use one that is replaced too', base, config({ ...same, allow: {}, pool: {} }), { replaced: ['a'] }],
  ['the name', base, config({ ...same, name: 'shelf' }), { atRestart: ['name'] }]
] as const) {
  test(`changes of ${name}`, () => {
    const changes = changesOf(before, after)
    assert.equal(changes, { ...NOTHING, ...expected })
    assert.is(isEmpty(changes), Object.keys(expected).length === 0)
  })
}

test.run()
