// bound: 240 s
/** Peers of a made swarm on a LAN, by mDNS alone: found, found again, not led astray. Hosts are namespaces on one bridge. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Status } from '../../lib/swarm/status.ts'
import { MISSES_MAX, PROBE_MS } from '../../lib/mesh/health.ts'
import { HOSTS_NEED, hosts, type Host } from '../support/hosts.ts'
import { needs } from '../support/needs.ts'
import { members, type Member } from './lan.ts'

const LIAR = new URL('./liar.ts', import.meta.url)
const REACH_MS = 20_000

/** On a port that nobody knows of. */
const ANY_PORT = { listen: ['/ip4/0.0.0.0/tcp/0'] }
const LIES_MS = 10_000

/** How often a peer that is only hinted at is dialled: lib/swarm/neighbours.ts. */
const HINTS = { atOnce: 32, perSecond: 2, attempts: 8 }

const can = needs(test, ...HOSTS_NEED)

/** The status of a member, once it is as claimed. */
async function statusWhen (member: Member, claim: (status: Status) => boolean): Promise<Status> {
  const untilMs = performance.now() + REACH_MS
  for (;;) {
    const status = await member.status()
    if (claim(status)) return status
    if (performance.now() > untilMs) assert.unreachable(`not within ${REACH_MS} ms: ${JSON.stringify(status.peers)}`)
    await new Promise(resolve => { setTimeout(resolve, 100) })
  }
}

can('peers that never met find each other on the LAN and call each other, wherever each of them has moved meanwhile', async () => {
  await using rig = await hosts({ count: 4 })
  const [first, second, third] = (await members(rig)).slice(1) as [Member, Member, Member]
  for (const member of [first, second, third]) await member.join()
  await Promise.all([first.reach(second), first.reach(third), second.reach(first), second.reach(third), third.reach(first), third.reach(second)])
  // Whoever dialled was told by the LAN; the other hears of it there soon after.
  const seen = await statusWhen(first, ({ peers }) => peers.some(({ peerId, found }) => peerId === second.peerId && found.some(({ source }) => source === 'mdns')))
  assert.match(seen.peers.find(({ peerId }) => peerId === second.peerId)?.address ?? '', /^\/ip4\/10\.77\.0\.3\//)
  // Killed, and back on another port.
  await second.crash()
  await second.join(ANY_PORT)
  await Promise.all([first.reach(second), second.reach(third)])
  // An interface that goes and comes back, and one that has another address then.
  await third.host.down()
  await first.program.ask('reach', { peer: third.name, boundMs: 0 }).then(() => assert.unreachable('a host without a network answers'), () => undefined)
  await third.host.up()
  await Promise.all([first.reach(third), third.reach(second)])
  await third.host.readdress('10.77.0.99')
  const movedMs = Date.now()
  const reached = await Promise.all([first.reach(third), third.reach(second)])
  const lateMs = Math.max(...reached) - movedMs
  console.log(`\nnote: called at another address after ${lateMs} ms`)
  // Silence alone has proven an old connection dead only after two probes.
  assert.ok(lateMs < MISSES_MAX * PROBE_MS, `${lateMs} ms`)
  assert.match((await first.status()).peers.find(({ peerId }) => peerId === third.peerId)?.address ?? '', /^\/ip4\/10\.77\.0\.(99|2)\//)
})

can('a peer comes back on its port, so that a ticket and what is remembered of it stay true; on another where that is taken', async () => {
  await using rig = await hosts({ count: 2 })
  const [first, second] = await members(rig) as [Member, Member]
  await first.join()
  const addresses = async (): Promise<string[]> => (await first.status()).peer.addresses.filter(address => address.includes('/10.77.0.1/')).sort()
  const before = await addresses()
  assert.is(before.length, 2, before.join(' '))
  await first.crash()
  await first.join()
  assert.equal(await addresses(), before)
  await second.join({ discovery: { folder: false, mdns: false, dht: false } })
  await second.reach(first) // by what it remembers alone
  await first.leave()
  const port = Number(/\/tcp\/(\d+)$/.exec(before.find(address => !address.endsWith('/ws')) ?? '')?.[1])
  const other = await first.host.start(new URL('./taker.ts', import.meta.url))
  await other.ask('take', { port })
  await first.join()
  const after = await addresses()
  assert.is(after.filter(address => before.includes(address)).length, 1, `${after.join(' ')}, before ${before.join(' ')}`)
})

can('where there is no IPv6 a peer starts all the same, and is found', async () => {
  await using rig = await hosts({ count: 2 })
  const [first, second] = rig.hosts as [Host, Host]
  await first.run('echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6')
  assert.not((await first.run('ip -6 addr')).includes('inet6'))
  const [without, other] = await members({ ...rig, hosts: [first, second] }) as [Member, Member]
  await Promise.all([without.join(), other.join()])
  await Promise.all([without.reach(other), other.reach(without)])
  assert.ok((await without.status()).peer.addresses.every(address => address.startsWith('/ip4/')))
})

can('a former member that lies without end makes nobody up, is dialled seldom, and stops no one from being found', async () => {
  await using rig = await hosts({ count: 5 })
  const liar = rig.hosts[4] as Host
  const [, first, second, late] = (await members({ ...rig, hosts: rig.hosts.slice(0, 4) })) as [Member, Member, Member, Member]
  const sources = Array.from({ length: 20 }, (_, index) => `10.77.0.${100 + index}`)
  await liar.run(sources.map(source => `ip addr add ${source}/24 dev eth0`).join('\n'))
  const program = await liar.start(LIAR)
  await first.join()
  await second.join()
  await first.reach(second)
  const { swarm, peer } = await first.status()
  const lying = program.ask<{ told: number, dialled: number }>('lie', { swarmId: swarm.id, peers: [peer.peerId, second.peerId], sources, lastsMs: LIES_MS, perSecond: 200 }, LIES_MS + 20_000)
  await late.join()
  await late.reach(first)
  await first.reach(late)
  const { told, dialled } = await lying
  console.log(`\nnote: ${told} lies, ${dialled} dials`)
  assert.ok(told >= 200, `${told} lies`)
  // Each of three peers: the made-up ones within its budget, and the true ones' false addresses beside them.
  const most = 3 * (HINTS.atOnce + HINTS.perSecond * LIES_MS / 1_000 + 2) * HINTS.attempts
  assert.ok(dialled > 0 && dialled <= most, `${dialled} dials, at most ${most}`)
  const names = new Set(['peer-0', first.name, second.name, late.name])
  for (const member of [first, second, late]) {
    const { peers } = await member.status()
    assert.equal(peers.filter(({ name }) => !names.has(name)), [])
    assert.equal(peers.filter(({ connected }) => connected).length, 2)
  }
  await late.crash()
  await late.join()
  await Promise.all([late.reach(first), second.reach(late)])
})

can('multicast that is blocked is a trouble of the peer, with its cure, until it is over', async () => {
  await using rig = await hosts({ count: 3 })
  const [, first, second] = (await members(rig)) as [Member, Member, Member]
  await first.host.blockMulticast('in')
  await second.host.blockMulticast('in')
  await first.join()
  await second.join()
  const { message } = await first.program.hear('trouble', ({ code }) => code === 'MULTICAST_BLOCKED')
  assert.match(String(message), /eth0.*5353/)
  assert.ok((await first.status()).troubles.some(({ code }) => code === 'MULTICAST_BLOCKED'))
  await Promise.all([first.host.allowMulticast(), second.host.allowMulticast()])
  await first.program.hear('over', ({ code }) => code === 'MULTICAST_BLOCKED')
  await Promise.all([first.reach(second), second.reach(first)])
})

test.run()
