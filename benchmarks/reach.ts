/**
 * How soon peers of a made swarm on a LAN find each other by mDNS and call each other's tools, also after one has moved, and while
 * a former member lies. Hosts are network namespaces on one bridge: nothing reaches a real interface.
 *
 * `npm run bench -- reach [--smoke]`. Nothing is asserted: a figure is a fact about a machine.
 */
import { hosts, HOSTS_NEED, type Host } from '../test/support/hosts.ts'
import { lacking } from '../test/support/needs.ts'
import { members, type Member } from '../test/reach/lan.ts'
import { isSmoke, ms, quantile, report } from './rig.ts'

const rounds = isSmoke ? 1 : 9
const LIES_MS = isSmoke ? 3_000 : 60_000
const LIES_PER_SECOND = 500
const LIAR = new URL('../test/reach/liar.ts', import.meta.url)
const SETTLE_MS = 2_000

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
    await provider.join()
    await pause(SETTLE_MS)
    const startedMs = await newcomer.join()
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
  await provider.join({ listen: ['/ip4/0.0.0.0/tcp/4001'] })
  for (let round = 0; round <= rounds; round++) {
    const startedMs = await newcomer.join({ listen: ['/ip4/0.0.0.0/tcp/4001'] })
    const at = await newcomer.reach(provider)
    if (round > 0) values.push(at - startedMs)
    await newcomer.leave()
  }
  await provider.leave()
  figures('known already: callable, from the start of joinSwarm()', values, 'bar 300 ms')
}

async function move (watcher: Member, mover: Member): Promise<void> {
  const [ports, interfaces, addresses]: [number[], number[], number[]] = [[], [], []]
  await Promise.all([watcher.join(), mover.join()])
  await watcher.reach(mover)
  for (let round = 0; round < rounds; round++) {
    await mover.crash()
    const startedMs = await mover.join()
    ports.push(await watcher.reach(mover) - startedMs)
  }
  figures('killed, back on another port: callable, from joinSwarm()', ports, 'bar 2,000 ms')
  for (let round = 0; round < rounds; round++) {
    await mover.host.down()
    await pause((round + 1) * 1_000)
    await mover.host.up()
    const upMs = Date.now()
    interfaces.push(await watcher.reach(mover) - upMs)
    await pause(SETTLE_MS)
  }
  figures(`interface down for 1 to ${rounds} s: callable, from when it is up`, interfaces, 'bar 2,000 ms')
  console.log(`  by seconds down: ${interfaces.map(value => ms(value)).join(', ')}`)
  for (let round = 0; round < rounds; round++) {
    await mover.host.readdress(`10.77.0.${200 + round}`)
    const movedMs = Date.now()
    addresses.push(await watcher.reach(mover) - movedMs)
    await pause(SETTLE_MS)
  }
  figures('another address: callable, from when it has it', addresses, 'bar 2,000 ms')
  await Promise.all([watcher.leave(), mover.leave()])
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

console.log(`reach on a LAN: medians of ${rounds} rounds`)
await using rig = await hosts({ count: 5 })
const [, first, second, third] = await members({ hosts: rig.hosts.slice(0, 4) }) as [Member, Member, Member, Member]
await meet(first, second)
await meetAgain(first, second)
await move(first, second)
await lie(rig.hosts[4] as Host, first, second, third)
await rig.end()
process.exit(0)
