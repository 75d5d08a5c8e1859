// bound: 240 s
/** Discovery among hosts: each in a namespace of its own, on one bridge. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { HOSTS_NEED, hosts, type Host } from '../../support/hosts.ts'
import { needs } from '../../support/needs.ts'
import type { Program } from '../../support/program.ts'

const FINDER = new URL('./finder.ts', import.meta.url)
const SWARM = 'mi4dk3e6mwiwnobdxthlc3g67u'
const can = needs(test, ...HOSTS_NEED)
const random = seededRandom(5)
const IDS = Array.from({ length: 4 }, () => generateKey(random).peerId) as [string, string, string, string]

/** A finder on each host; peer `n` of IDS on host `n`, announcing port 4000 + n. */
async function finders (all: readonly Host[], swarmId = SWARM): Promise<Program[]> {
  return await Promise.all(all.map(async (host, index) => {
    const program = await host.start(FINDER)
    await program.ask('open', { peerId: IDS[index], swarmId })
    await program.ask('announce', { peerId: IDS[index], addresses: addressesOf(host, 4000 + index) })
    return program
  }))
}

function addressesOf (host: Host, port: number): string[] {
  // Those of this machine, of another, by a relay and of one link are for nobody on the LAN.
  const others = ['/ip4/127.0.0.1/tcp/1', '/ip4/10.77.9.9/tcp/1', '/ip6/fe80::1/tcp/1', '/dns4/example.org/tcp/1', `/ip4/${host.addresses[0]}/tcp/1/p2p/${IDS[3]}/p2p-circuit`]
  return [...others, ...host.addresses.map(address => `/ip4/${address}/tcp/${port}`)]
}

can('peers find each other, each at the addresses of the network they share, and hear of who leaves', async () => {
  await using rig = await hosts({ count: 3, networks: [[0], [0, 1], [1]] })
  const [left, both, right] = await finders(rig.hosts) as [Program, Program, Program]
  assert.equal((await left.hear('found')).addresses, ['/ip4/10.77.0.2/tcp/4001'])
  assert.equal((await right.hear('found')).addresses, ['/ip4/10.77.1.2/tcp/4001'])
  assert.equal((await both.hear('found', ({ peerId }) => peerId === IDS[0])).addresses, ['/ip4/10.77.0.1/tcp/4000'])
  assert.equal((await both.hear('found', ({ peerId }) => peerId === IDS[2])).addresses, ['/ip4/10.77.1.3/tcp/4002'])
  await both.ask('close', { peerId: IDS[1] })
  for (const other of [left, right]) assert.is((await other.hear('gone')).peerId, IDS[1])
  for (const { told } of [left, both, right]) assert.equal(told.filter(({ event }) => event === 'trouble'), [])
})

can('once everybody is found, the LAN falls silent', async () => {
  await using rig = await hosts({ count: 3 })
  const ear = await (rig.hosts[2] as Host).start(new URL('./ear.ts', import.meta.url))
  await ear.ask('listen')
  const programs = await finders(rig.hosts.slice(0, 2))
  for (const program of programs) await program.hear('found')
  const counts = [await ear.ask<{ packets: number }>('count')]
  // Between the questions after 3, 9 and 27 s.
  while (counts.length < 10 && counts.at(-1)?.packets !== counts.at(-2)?.packets) {
    await new Promise(resolve => { setTimeout(resolve, 3_000) })
    counts.push(await ear.ask('count'))
  }
  assert.is(counts.at(-1)?.packets, counts.at(-2)?.packets, JSON.stringify(counts))
  assert.ok((counts.at(-1)?.packets ?? 0) <= 2 * (3 + 5 + 5), JSON.stringify(counts))
})

can('another port is told at once, also by one that was killed and started again; two peers of one host are told apart', async () => {
  await using rig = await hosts({ count: 2 })
  const [first, second] = rig.hosts as [Host, Host]
  const [watcher, moving] = await finders(rig.hosts) as [Program, Program]
  await watcher.hear('found', ({ addresses }) => String(addresses) === '/ip4/10.77.0.2/tcp/4001')
  await moving.ask('announce', { peerId: IDS[1], addresses: addressesOf(second, 5001) })
  await watcher.hear('found', ({ addresses }) => String(addresses) === '/ip4/10.77.0.2/tcp/5001')
  await moving.kill()
  const again = await second.start(FINDER)
  for (const [peerId, port] of [[IDS[1], 6001], [IDS[2], 6002]] as const) {
    await again.ask('open', { peerId, swarmId: SWARM })
    await again.ask('announce', { peerId, addresses: addressesOf(second, port) })
    await watcher.hear('found', told => told.peerId === peerId && String(told.addresses) === `/ip4/10.77.0.2/tcp/${port}`)
  }
  await again.hear('found', ({ by, peerId }) => by === IDS[1] && peerId === IDS[2])
  assert.is(watcher.told.some(({ event }) => event === 'gone'), false)
  assert.is(first.index, 0)
})

can('a peer of another swarm finds nobody, and its announcements are nobody’s', async () => {
  await using rig = await hosts({ count: 3 })
  const [host, other, stranger] = rig.hosts as [Host, Host, Host]
  const ear = await stranger.start(new URL('./ear.ts', import.meta.url))
  await ear.ask('listen')
  const [left, right] = await finders([host, other]) as [Program, Program]
  const outsider = await stranger.start(FINDER)
  await outsider.ask('open', { peerId: IDS[3], swarmId: 'aaaaaaaaaaaaaaaaaaaaaaaaaa' })
  await outsider.ask('announce', { peerId: IDS[3], addresses: addressesOf(stranger, 4003) })
  await left.hear('found')
  await right.hear('found')
  await left.ask('refresh', { peerId: IDS[0] })
  await right.hear('found', () => right.told.length >= 2)
  assert.is(outsider.told.length, 0)
  assert.equal([...left.told, ...right.told].filter(({ peerId }) => peerId === IDS[3]), [])
  await left.ask('close', { peerId: IDS[0] })
  await right.hear('gone')
  const packets = await ear.ask<string[]>('kept')
  assert.ok(packets.length >= 6)
  for (const secret of [...IDS, SWARM, '10.77', 'tcp', 'peerId']) assert.equal(packets.filter(packet => packet.includes(secret)), [], secret)
})

can('an interface that goes and comes back, or comes only later, is used again by itself', async () => {
  await using rig = await hosts({ count: 2 })
  const [host] = rig.hosts as [Host, Host]
  const [moving, other] = await finders(rig.hosts) as [Program, Program]
  await other.hear('found')
  for (const [away, back] of [['down', 'up'], ['unplug', 'plug'], ['cut', 'mend']] as const) {
    await host[away]()
    await moving.hear('trouble', ({ details }) => (details as { reason?: string } | undefined)?.reason === 'NO_INTERFACE')
    for (const { told } of [moving, other]) told.length = 0
    await host[back]()
    await Promise.all([moving.hear('found'), other.hear('found'), moving.hear('trouble', ({ code }) => code === undefined)])
    moving.told.length = 0
  }
  await host.readdress('10.77.0.50')
  other.told.length = 0
  await moving.ask('announce', { peerId: IDS[0], addresses: addressesOf(host, 4000) })
  assert.is(((await other.hear('found')).addresses as string[])[0], '/ip4/10.77.0.50/tcp/4000')
})

can('multicast that is blocked, on its way out or in, is told with its cure, and that it is over', async () => {
  await using rig = await hosts({ count: 2 })
  const [host] = rig.hosts as [Host, Host]
  for (const [way, reason] of [['out', 'EPERM'], ['in', 'SILENT']] as const) {
    await host.blockMulticast(way)
    const [blocked, other] = await finders(rig.hosts) as [Program, Program]
    const trouble = await blocked.hear('trouble')
    assert.equal([trouble.code, trouble.details], ['MULTICAST_BLOCKED', { reason, interfaces: ['eth0'], others: 0 }])
    assert.match(String(trouble.message), /eth0: .*allow UDP port 5353/)
    await host.allowMulticast()
    await blocked.hear('trouble', ({ code }) => code === undefined)
    await Promise.all([blocked.hear('found'), other.hear('found')])
    await Promise.all([blocked.end(), other.end()])
  }
})

can('a port that another keeps to itself is told, and used once it is free', async () => {
  await using rig = await hosts({ count: 2 })
  const [host, second] = rig.hosts as [Host, Host]
  const hog = await host.start(new URL('./hog.ts', import.meta.url))
  await hog.ask('take')
  const [blocked, other] = await finders([host, second]) as [Program, Program]
  assert.equal((await blocked.hear('trouble')).details, { reason: 'EADDRINUSE', interfaces: ['eth0'], others: 0 })
  await hog.end()
  await blocked.hear('trouble', ({ code }) => code === undefined)
  await Promise.all([blocked.hear('found'), other.hear('found')])
})

can('where there is only IPv6, it is used; where there are both, a peer is told once', async () => {
  await using rig = await hosts({ count: 3 })
  const [only, both, third] = rig.hosts as [Host, Host, Host]
  for (const host of rig.hosts) await host.run(`ip addr add fd77::${host.index + 1}/64 dev eth0 nodad`)
  await only.run('ip -4 addr flush dev eth0')
  const programs = await Promise.all([only, both, third].map(async (host, index) => {
    const program = await host.start(FINDER)
    await program.ask('open', { peerId: IDS[index], swarmId: SWARM })
    const addresses = [`/ip6/fd77::${index + 1}/tcp/4000`, ...host === only ? [] : addressesOf(host, 4000)]
    await program.ask('announce', { peerId: IDS[index], addresses })
    return program
  })) as [Program, Program, Program]
  assert.ok(((await programs[0].hear('found', ({ peerId }) => peerId === IDS[1])).addresses as string[]).includes('/ip6/fd77::2/tcp/4000'))
  assert.equal((await programs[1].hear('found', ({ peerId }) => peerId === IDS[0])).addresses, ['/ip6/fd77::1/tcp/4000'])
  const told = await programs[1].hear('found', ({ peerId, addresses }) => peerId === IDS[2] && (addresses as string[]).length === 2)
  assert.equal([...told.addresses as string[]].sort(), ['/ip4/10.77.0.3/tcp/4000', '/ip6/fd77::3/tcp/4000'])
  assert.equal(programs.flatMap(({ told }) => told.filter(({ event }) => event === 'trouble')), [])
})

const [CROWD_HOSTS, CROWD_EACH] = [4, 10]

can('a crowd that starts at once all hear of each other, and their packets are few', async () => {
  await using rig = await hosts({ count: CROWD_HOSTS + 1 })
  const ear = await (rig.hosts[CROWD_HOSTS] as Host).start(new URL('./ear.ts', import.meta.url))
  await ear.ask('listen')
  const crowd = rig.hosts.slice(0, CROWD_HOSTS)
  const programs = await Promise.all(crowd.map(async host => await host.start(FINDER)))
  const ids = programs.map(() => Array.from({ length: CROWD_EACH }, () => generateKey(random).peerId))
  await Promise.all(programs.flatMap((program, nth) => (ids[nth] ?? []).map(async (peerId, index) => {
    await program.ask('open', { peerId, swarmId: SWARM })
    await program.ask('announce', { peerId, addresses: addressesOf(crowd[nth] as Host, 4000 + index) })
  })))
  for (const [nth, program] of programs.entries()) {
    for (const by of ids[nth] ?? []) {
      for (const peerId of ids.flat()) if (peerId !== by) await program.hear('found', told => told.by === by && told.peerId === peerId, 40_000)
    }
  }
  const peers = CROWD_HOSTS * CROWD_EACH
  const { packets, bytes } = await ear.ask<{ packets: number, bytes: number }>('count')
  console.log(`\nnote: ${peers} peers: ${packets} packets, ${bytes} bytes until all were found`)
  // Three announcements and five questions each; answers, at most one a second each while anybody asks.
  assert.ok(packets <= peers * (3 + 5 + 20), `${packets} packets`)
})

test.run()
