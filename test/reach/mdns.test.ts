// bound: 240 s
/** Peers of a made swarm on a LAN, by mDNS alone: found, found again, not led astray. Hosts are namespaces on one bridge. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Status } from '../../lib/swarm/status.ts'
import { HOSTS_NEED, hosts, type Host, type Hosts } from '../support/hosts.ts'
import { needs } from '../support/needs.ts'
import type { Program } from '../support/program.ts'

const MEMBER = new URL('./member.ts', import.meta.url)
const LIAR = new URL('./liar.ts', import.meta.url)
const ONLY_MDNS = { folder: false, mdns: true, dht: false }
const REACH_MS = 20_000
const LIES_MS = 10_000

/** How often a peer that is only hinted at is dialled: lib/swarm/neighbours.ts. */
const HINTS = { atOnce: 32, perSecond: 2, attempts: 8 }

const can = needs(test, ...HOSTS_NEED)

interface Member { readonly host: Host, readonly name: string, program: Program, peerId: string }

/** Peers of one swarm, one on each host, none of which runs: they were let in by the first, one after the other. */
async function members (rig: Hosts): Promise<Member[]> {
  const all = await Promise.all(rig.hosts.map(async (host, index): Promise<Member> => ({ host, name: `peer-${index}`, program: await host.start(MEMBER), peerId: '' })))
  const [admin, ...others] = all as [Member, ...Member[]]
  await admin.program.ask('make')
  await join(admin)
  const ticket = await admin.program.ask<string>('invite', { uses: others.length })
  for (const other of others) {
    await join(other, { ticket })
    await reach(other, admin)
    await other.program.ask('leave')
  }
  await admin.program.ask('leave')
  return all
}

async function join (member: Member, what: Record<string, unknown> = {}): Promise<void> {
  const { peerId } = await member.program.ask<{ peerId: string }>('join', { name: member.name, discovery: ONLY_MDNS, ...what })
  member.peerId = peerId
}

/** Waits until one can call the other. */
async function reach (from: Member, to: Member): Promise<void> {
  const { said } = await from.program.ask<{ said: unknown }>('reach', { peer: to.name, boundMs: REACH_MS }, REACH_MS + 5_000)
  assert.equal(said, [{ type: 'text', text: to.name }])
}

async function statusOf (member: Member | undefined): Promise<Status> {
  return await member?.program.ask<Status>('status') as Status
}

/** The status of a member, once it is as claimed. */
async function statusWhen (member: Member, claim: (status: Status) => boolean): Promise<Status> {
  const untilMs = performance.now() + REACH_MS
  for (;;) {
    const status = await statusOf(member)
    if (claim(status)) return status
    if (performance.now() > untilMs) assert.unreachable(`not within ${REACH_MS} ms: ${JSON.stringify(status.peers)}`)
    await new Promise(resolve => { setTimeout(resolve, 100) })
  }
}

can('peers that never met find each other on the LAN and call each other, wherever each of them has moved meanwhile', async () => {
  await using rig = await hosts({ count: 4 })
  const [first, second, third] = (await members(rig)).slice(1) as [Member, Member, Member]
  for (const member of [first, second, third]) await join(member)
  await Promise.all([reach(first, second), reach(first, third), reach(second, first), reach(second, third), reach(third, first), reach(third, second)])
  // Whoever dialled was told by the LAN; the other hears of it there soon after.
  const seen = await statusWhen(first, ({ peers }) => peers.some(({ peerId, found }) => peerId === second.peerId && found.some(({ source }) => source === 'mdns')))
  assert.match(seen.peers.find(({ peerId }) => peerId === second.peerId)?.address ?? '', /^\/ip4\/10\.77\.0\.3\//)
  // Killed, and back on another port.
  await second.program.kill()
  second.program = await second.host.start(MEMBER)
  await join(second)
  await Promise.all([reach(first, second), reach(second, third)])
  // An interface that goes and comes back, and one that has another address then.
  await third.host.down()
  await first.program.ask('reach', { peer: third.name, boundMs: 0 }).then(() => assert.unreachable('a host without a network answers'), () => undefined)
  await third.host.up()
  await Promise.all([reach(first, third), reach(third, second)])
  await third.host.readdress('10.77.0.99')
  await Promise.all([reach(first, third), reach(third, second)])
  assert.match((await statusOf(first)).peers.find(({ peerId }) => peerId === third.peerId)?.address ?? '', /^\/ip4\/10\.77\.0\.(99|2)\//)
})

can('a former member that lies without end makes nobody up, is dialled seldom, and stops no one from being found', async () => {
  await using rig = await hosts({ count: 5 })
  const liar = rig.hosts[4] as Host
  const [, first, second, late] = (await members({ ...rig, hosts: rig.hosts.slice(0, 4) })) as [Member, Member, Member, Member]
  const sources = Array.from({ length: 20 }, (_, index) => `10.77.0.${100 + index}`)
  await liar.run(sources.map(source => `ip addr add ${source}/24 dev eth0`).join('\n'))
  const program = await liar.start(LIAR)
  await join(first)
  await join(second)
  await reach(first, second)
  const { swarm, peer } = await statusOf(first)
  const lying = program.ask<{ told: number, dialled: number }>('lie', { swarmId: swarm.id, peers: [peer.peerId, second.peerId], sources, lastsMs: LIES_MS, perSecond: 500 }, LIES_MS + 20_000)
  await join(late)
  await reach(late, first)
  await reach(first, late)
  const { told, dialled } = await lying
  console.log(`\nnote: ${told} lies, ${dialled} dials`)
  assert.ok(told >= 500)
  // Each of three peers: the made-up ones within its budget, and the true ones' false addresses beside them.
  const most = 3 * (HINTS.atOnce + HINTS.perSecond * LIES_MS / 1_000 + 2) * HINTS.attempts
  assert.ok(dialled > 0 && dialled <= most, `${dialled} dials, at most ${most}`)
  const names = new Set(['peer-0', first.name, second.name, late.name])
  for (const member of [first, second, late]) {
    const { peers } = await statusOf(member)
    assert.equal(peers.filter(({ name }) => !names.has(name)), [])
    assert.equal(peers.filter(({ connected }) => connected).length, 2)
  }
  await late.program.kill()
  late.program = await late.host.start(MEMBER)
  await join(late)
  await Promise.all([reach(late, first), reach(second, late)])
})

can('multicast that is blocked is a trouble of the peer, with its cure, until it is over', async () => {
  await using rig = await hosts({ count: 3 })
  const [, first, second] = (await members(rig)) as [Member, Member, Member]
  await first.host.blockMulticast('in')
  await second.host.blockMulticast('in')
  await join(first)
  await join(second)
  const { message } = await first.program.hear('trouble', ({ code }) => code === 'MULTICAST_BLOCKED')
  assert.match(String(message), /eth0.*5353/)
  assert.ok((await statusOf(first)).troubles.some(({ code }) => code === 'MULTICAST_BLOCKED'))
  await Promise.all([first.host.allowMulticast(), second.host.allowMulticast()])
  await first.program.hear('over', ({ code }) => code === 'MULTICAST_BLOCKED')
  await Promise.all([reach(first, second), reach(second, first)])
})

test.run()
