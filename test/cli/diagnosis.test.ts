import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ERROR_CODES, SwarmError, type Status } from 'mcp-swarm'
import { diagnose, diagnoseFailure, type Finding } from '../../lib/cli/diagnosis.ts'

const NOW_MS = 1_800_000_000_000
const DAY_MS = 24 * 3_600_000

const healthy: Status = {
  version: '1.2.3',
  swarm: { id: 'a'.repeat(26), kind: 'made', role: 'member', words: 'one two three four five six', memberUntilMs: null },
  peer: { peerId: 'me', name: 'alice', pid: 7, addresses: ['/ip4/127.0.0.1/tcp/1', '/ip4/192.168.1.7/tcp/1'], dir: '/data', uptimeMs: 1 },
  joined: true,
  discovery: { folder: true, mdns: true, dht: true },
  peers: [{
    peerId: 'you', name: 'bob', connected: true, address: '/ip4/192.168.1.8/tcp/1', path: 'direct', linkedAtMs: NOW_MS - 60_000,
    found: [{ source: 'mdns', atMs: NOW_MS }], trying: null, agents: []
  }],
  sought: [],
  agents: [{ name: 'notes', kind: 'server', pool: null, available: true, reason: null, tools: 3 }],
  calls: { made: 0, failed: 0, inFlight: 0, served: 0 },
  refusals: [],
  troubles: [],
  documents: null
}

function badOf (status: Status, runs = true): Finding[] {
  const findings = diagnose(status, { runs, nowMs: NOW_MS })
  for (const { level, cure, says } of findings) if (level === 'bad') assert.ok(cure, `no cure for: ${says}`)
  return findings.filter(({ level }) => level === 'bad')
}

function sought (message: string | null): Status['sought'] {
  return [{ peerId: 'gone', name: 'carol', found: [{ source: 'remembered', atMs: NOW_MS }], trying: { addresses: ['/ip4/10.0.0.9/tcp/1'], attempts: 3, code: 'UNREACHABLE', message } }]
}

function refused (reason: string | null, code = 'NOT_ADMITTED', direction: 'inbound' | 'outbound' = 'outbound'): Status['refusals'] {
  return [{ peerId: 'other', address: '/ip4/10.0.0.9/tcp/1', direction, code, reason, message: 'refused', atMs: NOW_MS }]
}

test('nothing is wrong where nothing is', () => {
  assert.equal(badOf(healthy), [])
  const says = diagnose(healthy, { runs: true, nowMs: NOW_MS }).map(({ says }) => says).join('\n')
  for (const words of ['runs as process 7', 'as member', '192.168.1.7', 'on the LAN (mDNS)', 'bob: connected directly at /ip4/192.168.1.8/tcp/1 for 1 min 0 s, found by mDNS', '1 agent with 3 tools']) {
    assert.ok(says.includes(words), `${words} is not in\n${says}`)
  }
})

for (const [what, change, says, cure] of [
  ['an ended membership', { swarm: { ...healthy.swarm, memberUntilMs: NOW_MS - DAY_MS } }, /membership ended 24 h 0 min ago/, /ticket/],
  ['a peer that listens nowhere', { peer: { ...healthy.peer, addresses: [] } }, /listens nowhere/, /--listen/],
  ['a made swarm on loopback alone', { peer: { ...healthy.peer, addresses: ['/ip4/127.0.0.1/tcp/1', '/ip6/::1/tcp/1'] } }, /this machine only/, /network/],
  ['no means of discovery', { discovery: { folder: false, mdns: false, dht: false } }, /looks for nobody/, /MCP_SWARM_DISCOVERY/],
  ['nobody found', { peers: [] }, /nobody else was found/, /ticket of a member/],
  ['a peer that refuses connections', { sought: sought('dial gone: /ip4/10.0.0.9/tcp/1 refuses connections: nothing listens there') }, /carol cannot be reached after 3 attempts \(found from last time\)/, /mcp-swarm up/],
  ['no route', { sought: sought('/ip4/10.0.0.9/tcp/1 cannot be reached from this network') }, /carol/, /VPN.*relays/],
  ['a firewall', { sought: sought('/ip4/10.0.0.9/tcp/1 does not answer within 5 s') }, /carol/, /firewall/],
  ['an address of somebody else', { sought: sought('/ip4/10.0.0.9/tcp/1 answers as another peer') }, /carol/, /Another peer has that address/],
  ['another service on that port', { sought: sought('/ip4/10.0.0.9/tcp/1 hangs up during the handshake: not a peer of this kind, or too busy') }, /carol/, /Something else listens/],
  ['another swarm', { refusals: refused('swarm') }, /another swarm/, /words/],
  ['a grant that ended', { refusals: refused('expired') }, /membership has ended/, /another ticket/],
  ['a clock that is off', { refusals: refused('early') }, /clocks is wrong/, /clock of both/],
  ['being refused', { refusals: refused('refused') }, /at \/ip4\/10.0.0.9\/tcp\/1 did not let this peer in: it does not take/, /words/],
  ['being refused by one who dialled', { refusals: refused('refused', 'NOT_ADMITTED', 'inbound') }, /did not let this peer in: it does not take/, /clocks/],
  ['a firewall, when the dial is given up', { sought: sought('dial gone was given up: /ip4/10.0.0.9/tcp/1 does not answer within 1.5 s') }, /carol/, /firewall/],
  ['a port of something else', { sought: sought('/ip4/10.0.0.9/tcp/1 answers otherwise than a peer of this kind') }, /carol/, /Something else listens/],
  ['an old version', { refusals: refused(null, 'VERSION_UNSUPPORTED') }, /no version/, /Update/],
  ['multicast that is blocked', { troubles: [{ code: 'MULTICAST_BLOCKED', message: 'peers on the LAN cannot be found on eth0: a firewall', atMs: NOW_MS }] }, /MULTICAST_BLOCKED/, /./],
  ['a server that died', { agents: [{ ...healthy.agents[0], available: false, reason: 'it died' }] as Status['agents'] }, /notes cannot serve: it died/, /by hand/]
] as [string, Partial<Status>, RegExp, RegExp][]) {
  test(`${what} is told, with its cure`, () => {
    const bad = badOf({ ...healthy, ...change })
    assert.is(bad.length, 1, JSON.stringify(bad))
    assert.match(bad[0]?.says ?? '', says)
    assert.match(bad[0]?.cure ?? '', cure)
  })
}

test('who was not let in, who is only being tried, and a membership that ends soon are notes', () => {
  const notes = diagnose({ ...healthy, refusals: refused('signature', 'NOT_ADMITTED', 'inbound'), sought: sought(null), swarm: { ...healthy.swarm, memberUntilMs: NOW_MS + 3_600_000 } }, { runs: true, nowMs: NOW_MS })
    .filter(({ level }) => level === 'note')
  assert.equal(notes.map(({ about }) => about), ['swarm', 'peers', 'refused'])
})

test('whoever was not let in by a ticket is told of in words, with a cure, and so is whatever else a refusal may say', () => {
  for (const [code, reason] of [['TICKET_EXPIRED', null], ['TICKET_INVALID', 'signature'], ['TICKET_INVALID', 'proof'], ['TICKET_USED', null], ['CLOCK_OFF', null], ['UNAVAILABLE', null], ['OVERLOADED', null], ['FOLDER_UNUSABLE', null], ['VERSION_UNSUPPORTED', null], ['MALFORMED', null], ['NOT_ADMITTED', 'constructor']] as const) {
    const [finding, ...more] = diagnose({ ...healthy, refusals: refused(reason, code, 'inbound') }, { runs: true, nowMs: NOW_MS }).filter(({ about }) => about === 'refused')
    assert.is(more.length, 0)
    assert.match(finding?.says ?? '', /^other from \S+ was not let in: [a-z ,:]+$/, code)
    assert.not.match(finding?.says ?? '', /words of the swarm|what it showed/, `${code} ${reason}: not what a grant's reasons say`)
    assert.not.match(finding?.cure ?? '', /--json/, code)
  }
})

test('who is being dialled is told by name, with where and by whose word', () => {
  const says = diagnose({ ...healthy, sought: sought(null) }, { runs: true, nowMs: NOW_MS }).find(({ level, about }) => level === 'note' && about === 'peers')?.says
  assert.is(says, 'carol is being dialled at /ip4/10.0.0.9/tcp/1, found from last time')
  const many = Array.from({ length: 7 }, (_, peer) => ({ ...sought(null)[0], peerId: `gone ${peer}` })) as Status['sought']
  assert.is(diagnose({ ...healthy, sought: many }, { runs: true, nowMs: NOW_MS }).filter(({ level }) => level === 'note').at(-1)?.says, 'and 2 more are being dialled')
})

test('of a thousand that fail alike a few are named and the others counted', () => {
  const many = Array.from({ length: 1_000 }, (_, peer) => ({ ...sought('/ip4/10.0.0.9/tcp/1 does not answer within 5 s')[0], peerId: `gone ${peer}` })) as Status['sought']
  const bad = badOf({ ...healthy, sought: many })
  assert.is(bad.length, 6)
  assert.match(bad.at(-1)?.says ?? '', /995 more/)
})

test('whatever keeps a peer from joining has a cure', () => {
  for (const code of ERROR_CODES) assert.ok(diagnoseFailure(new SwarmError(code, 'it failed')).cure)
})

test.run()
