/**
 * How soon peers of a made swarm on a LAN find each other by mDNS and call each other's tools, also after one has moved, and while
 * a former member lies. Hosts are network namespaces on one bridge: nothing reaches a real interface. And on loopback, what the hash
 * table costs at rest (table) and amid lies (lies), and how much goes through a relay.
 *
 * `npm run bench -- reach [--smoke]`; a part of it alone: `node --import tsx benchmarks/reach.ts meet again move down rest lie gather
 * table lies relay`, whichever of these. Nothing is asserted: a figure is a fact about a machine.
 */
import { systemRandom } from '../lib/base/random.ts'
import { generateKey } from '../lib/identity/key.ts'
import { hosts, HOSTS_NEED, type Host } from '../test/support/hosts.ts'
import { lacking } from '../test/support/needs.ts'
import { members, type Member } from '../test/reach/lan.ts'
import { amidLies, atRest } from './reach/dht.ts'
import { relayed } from './reach/relay.ts'
import { isSmoke, ms, quantile, report } from './rig.ts'

const rounds = isSmoke ? 1 : 9
const PARTS = ['meet', 'again', 'move', 'down', 'rest', 'lie', 'gather', 'table', 'lies', 'relay'] as const
const chosen = process.argv.slice(2).filter(word => !word.startsWith('--'))

/** On a port that nobody knows of; otherwise a peer comes back on that of last time. */
const ANY_PORT = { listen: ['/ip4/0.0.0.0/tcp/0'] }
const LIES_MS = isSmoke ? 3_000 : 60_000
const LIES_PER_SECOND = 500
const LIAR = new URL('../test/reach/liar.ts', import.meta.url)
const SETTLE_MS = 2_000

/** A crowd: hosts, and peers on each. After REST_AFTER_MS all that is asked at the start was asked. */
const [CROWD_HOSTS, CROWD_EACH] = isSmoke ? [2, 5] : [5, 20]
const REST_AFTER_MS = isSmoke ? 1_000 : 40_000
const REST_MS = isSmoke ? 1_000 : 120_000
/** After LAN_REST_AFTER_MS two peers have asked all that is asked at the start. */
const LAN_REST_AFTER_MS = isSmoke ? 1_000 : 35_000
const LAN_REST_MS = isSmoke ? 1_000 : 60_000
const FINDER = new URL('../test/transports/mdns/finder.ts', import.meta.url)
const EAR = new URL('../test/transports/mdns/ear.ts', import.meta.url)

const missing = lacking(...HOSTS_NEED)
if (missing.length > 0) {
  console.log(`needs ${missing.join(' and ')}: left out`)
  process.exit(0)
}

const pause = async (delayMs: number): Promise<void> => { await new Promise(resolve => { setTimeout(resolve, delayMs) }) }

function figures (what: string, values: readonly number[], bar: string): void {
  report(what, `${ms(quantile(values, 0.5))}, most ${ms(Math.max(...values))}`, bar)
}

/** Each time the provider is on another port: what the newcomer remembers of it leads nowhere. */
async function meet (provider: Member, newcomer: Member): Promise<void> {
  const [calls, called]: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds; round++) {
    await provider.join(ANY_PORT)
    await pause(SETTLE_MS)
    const startedMs = await newcomer.join(ANY_PORT)
    const [there, back] = await Promise.all([newcomer.reach(provider), provider.reach(newcomer)])
    calls.push(there - startedMs)
    called.push(back - startedMs)
    await Promise.all([newcomer.leave(), provider.leave()])
  }
  figures('never met there: callable, from the start of joinSwarm()', calls, 'bar 1,000 ms')
  figures('the same: it is callable by the one that was there', called, '')
}

async function meetAgain (provider: Member, newcomer: Member): Promise<void> {
  const values: number[] = []
  await provider.join()
  for (let round = 0; round <= rounds; round++) {
    const startedMs = await newcomer.join()
    const at = await newcomer.reach(provider)
    if (round > 0) values.push(at - startedMs)
    await newcomer.leave()
  }
  await provider.leave()
  figures('known already: callable, from the start of joinSwarm()', values, 'bar 300 ms')
}

async function move (watcher: Member, mover: Member): Promise<void> {
  const [addresses, others]: [number[], number[]] = [[], []]
  await Promise.all([watcher.join(), mover.join()])
  await watcher.reach(mover)
  for (const [what, options] of [['another port', ANY_PORT], ['its port', {}]] as const) {
    const starts: number[] = []
    for (let round = 0; round < rounds; round++) {
      await mover.crash()
      const startedMs = await mover.join(options)
      starts.push(await watcher.reach(mover) - startedMs)
    }
    figures(`killed, back on ${what}: callable, from joinSwarm()`, starts, 'bar 2,000 ms')
  }
  for (let round = 0; round < rounds; round++) {
    await mover.host.readdress(`10.77.0.${200 + round}`)
    const movedMs = Date.now()
    const [there, back] = await Promise.all([watcher.reach(mover), mover.reach(watcher)])
    addresses.push(there - movedMs)
    others.push(back - movedMs)
    await pause(SETTLE_MS)
  }
  figures('another address: callable, from when it has it', addresses, 'bar 2,000 ms')
  figures('the same: it can call the other', others, 'bar 2,000 ms')
  await Promise.all([watcher.leave(), mover.leave()])
}

async function lose (watcher: Member, mover: Member): Promise<void> {
  const [interfaces, waits]: [number[], number[]] = [[], []]
  await Promise.all([watcher.join(), mover.join()])
  await watcher.reach(mover)
  for (let round = 0; round < rounds; round++) {
    await mover.host.down()
    const made = watcher.program.ask<{ at: number }>('call', { peer: mover.name })
    await pause((round + 1) * 1_000)
    await mover.host.up()
    const upMs = Date.now()
    interfaces.push(await watcher.reach(mover) - upMs)
    waits.push(Math.max(0, (await made).at - upMs))
    await pause(SETTLE_MS)
  }
  figures(`interface down for 1 to ${rounds} s: callable, from when it is up`, interfaces, 'bar 2,000 ms')
  console.log(`  by seconds down: ${interfaces.map(value => ms(value)).join(', ')}`)
  figures('a call made while it is down: over, from when it is up', waits, '')
  await Promise.all([watcher.leave(), mover.leave()])
}

/** What one link costs when nobody calls: probes, and what the directory renews. */
async function rest (first: Member, second: Member): Promise<void> {
  await Promise.all([first.join(), second.join()])
  await first.reach(second)
  await pause(LAN_REST_AFTER_MS)
  const count = async (): Promise<number> => Number((await first.host.run('cat /proc/net/dev')).split('\n').find(line => line.includes('eth0'))?.trim().split(/\s+/)[9])
  const before = await count()
  await pause(LAN_REST_MS)
  report('two linked peers at rest: sent by one, with all headers', `${((await count() - before) / LAN_REST_MS * 1_000).toFixed(0)} bytes/s`, '')
  await Promise.all([first.leave(), second.leave()])
}

async function lie (liar: Host, first: Member, second: Member, late: Member): Promise<void> {
  const sources = Array.from({ length: 20 }, (_, index) => `10.77.0.${100 + index}`)
  await liar.run(sources.map(source => `ip addr add ${source}/24 dev eth0`).join('\n'))
  const program = await liar.start(LIAR)
  await Promise.all([first.join(), second.join()])
  await first.reach(second)
  const { swarm } = await first.status()
  const lying = program.ask<{ told: number, dialled: number }>('lie', { swarmId: swarm.id, peers: [first.peerId, second.peerId], sources, lastsMs: LIES_MS, perSecond: LIES_PER_SECOND }, LIES_MS * 2 + 20_000)
  await pause(LIES_MS / 2)
  const startedMs = await late.join()
  const during = await late.reach(first) - startedMs
  const { told, dialled } = await lying
  await late.crash()
  const againMs = await late.join()
  const after = await Promise.all([late.reach(first), second.reach(late)])
  const strangers = (await first.status()).peers.filter(({ peerId }) => ![first, second, late].some(each => each.peerId === peerId))
  report(`${told} lies from ${sources.length} addresses in ${LIES_MS / 1_000} s: dials by three peers`, `${dialled}`, 'bounded')
  report('a peer that starts meanwhile: callable', ms(during), '')
  report('a peer that starts after that: callable, both ways', ms(Math.max(...after) - againMs), 'bar 30,000 ms')
  report('peers that were made up, and are in the directory', `${strangers.length}`, 'bar 0')
}

/** mDNS alone: how many packets until each peer knows every other, and what it costs when nothing happens. */
async function gather (): Promise<void> {
  await using rig = await hosts({ count: CROWD_HOSTS + 1 })
  const ear = await (rig.hosts[CROWD_HOSTS] as Host).start(EAR)
  await ear.ask('listen')
  const count = async (): Promise<{ packets: number, bytes: number }> => await ear.ask('count')
  const crowd = await Promise.all(rig.hosts.slice(0, CROWD_HOSTS).map(async host => ({ host, program: await host.start(FINDER), ids: Array.from({ length: CROWD_EACH }, () => generateKey(systemRandom).peerId) })))
  const startedMs = Date.now()
  await Promise.all(crowd.flatMap(({ host, program, ids }) => ids.map(async (peerId, index) => {
    await program.ask('open', { peerId, swarmId: 'mi4dk3e6mwiwnobdxthlc3g67u' }, 60_000)
    await program.ask('announce', { peerId, addresses: [`/ip4/${host.addresses[0]}/tcp/${4000 + index}`] }, 60_000)
  })))
  const all = crowd.flatMap(({ ids }) => ids)
  for (const { program, ids } of crowd) for (const by of ids) for (const peerId of all) if (peerId !== by) await program.hear('found', told => told.by === by && told.peerId === peerId, 60_000)
  const foundMs = Date.now() - startedMs
  const start = await count()
  report(`mDNS alone: ${all.length} peers start at once, each finds all`, `${ms(foundMs)}, ${start.packets} packets`, '')
  await pause(REST_AFTER_MS)
  const before = await count()
  await pause(REST_MS)
  const after = await count()
  report('the same at rest: on the whole LAN', `${((after.bytes - before.bytes) / REST_MS * 1_000).toFixed(1)} bytes/s`, 'bar 1 KB/s for a peer')
}

console.log(`reach on a LAN: medians of ${rounds} rounds`)
await using rig = await hosts({ count: 5 })
const [, first, second, third] = await members({ hosts: rig.hosts.slice(0, 4) }) as [Member, Member, Member, Member]
const parts: Readonly<Record<typeof PARTS[number], () => Promise<void>>> = {
  meet: async () => { await meet(first, second) },
  again: async () => { await meetAgain(first, second) },
  move: async () => { await move(first, second) },
  down: async () => { await lose(first, second) },
  rest: async () => { await rest(first, second) },
  lie: async () => { await lie(rig.hosts[4] as Host, first, second, third) },
  gather: async () => {
    await rig.end()
    await gather()
  },
  table: async () => { await atRest() },
  lies: async () => { await amidLies() },
  relay: async () => { await relayed() }
}
for (const part of PARTS) if (chosen.length === 0 || chosen.includes(part)) await parts[part]()
await rig.end()
process.exit(0)
