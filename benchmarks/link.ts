/**
 * What one link costs the processor, both ends together, when many are made at once: over real sockets on loopback, all in this process.
 * First the connection alone (TCP, Noise, Yamux), then with hello and what libp2p's peers tell each other once they are admitted, then
 * between whole peers with a directory and the hash table.
 *
 *   npm run bench -- link                                         all
 *   node --import tsx benchmarks/link.ts connections hellos peers   whichever of these
 */
import { mintGrant, swarmIdOf } from '../lib/access/grant.ts'
import { systemClock } from '../lib/base/clock.ts'
import type { Network } from '../lib/base/network.ts'
import { systemRandom } from '../lib/base/random.ts'
import { generateKey } from '../lib/identity/key.ts'
import { admitPeers } from '../lib/swarm/admission.ts'
import { keyOf } from '../lib/swarm/points.ts'
import { Row, offer } from '../test/reach/row.ts'
import { openNetwork } from '../transports/libp2p/node.ts'
import { isSmoke, ms, report } from './rig.ts'

const PEERS = isSmoke ? 4 : 20
const AT_ONCE = 16
/** A start is over when so long no further connection was made, in milliseconds. */
const SETTLE_MS = isSmoke ? 1_000 : 6_000
const swarmKey = generateKey(systemRandom)
const swarmId = swarmIdOf(swarmKey.publicKey)

const cpuMs = (): number => {
  const { system, user } = process.cpuUsage()
  return (system + user) / 1_000
}

async function open (): Promise<Network[]> {
  return await Promise.all(Array.from({ length: PEERS }, async () => await openNetwork({
    key: generateKey(systemRandom), swarmId, relay: { serve: true }, clock: systemClock, random: systemRandom
  })))
}

/** Links every two of them. @returns how many links that makes */
async function link (networks: readonly Network[]): Promise<number> {
  const pairs = networks.flatMap((from, index) => networks.slice(index + 1).map(to => [from, to] as const))
  const count = pairs.length
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
      await pair[0].dial(pair[1].peerId, pair[1].addresses(), new AbortController().signal)
    }
  }))
  return count
}

async function close (networks: readonly Network[]): Promise<void> {
  await Promise.all(networks.map(async network => { await network.close() }))
}

function told (what: string, links: number, usedMs: number): void {
  report(`${links} links among ${PEERS}, ${what}: of the processor each`, ms(usedMs / links), '')
}

async function connections (): Promise<void> {
  const networks = await open()
  const from = cpuMs()
  const links = await link(networks)
  told('connection alone', links, cpuMs() - from)
  await close(networks)
}

async function hellos (): Promise<void> {
  const networks = await open()
  let admitted = 0
  for (const network of networks) {
    const grant = mintGrant(swarmKey, { peerId: network.peerId, role: 'member', issuedAtMs: Date.now(), memberUntilMs: null })
    admitPeers(network, { swarmId, swarmPublicKey: swarmKey.publicKey, name: 'peer', features: [], grant }, systemClock, {
      onProven () {}, onAdmitted () { admitted += 1 }, onRefused (_, error) { throw error }
    })
  }
  const from = cpuMs()
  const links = await link(networks)
  while (admitted < 2 * links) await new Promise(resolve => { setTimeout(resolve, 20) })
  told('connection and hello', links, cpuMs() - from)
  await close(networks)
}

/** Whole peers that start at once, each of which sees the one before it: the hash table brings them together (test/reach/dht.test.ts). */
async function peers (): Promise<void> {
  const row = new Row()
  const [from, startedMs] = [cpuMs(), performance.now()]
  const pairs = new Set<string>()
  let [made, lastMs] = [0, startedMs]
  await Promise.all(Array.from({ length: PEERS }, async (_, index) => {
    const member = await row.join(`peer ${index}`, {
      onConnection: (own, { direction, peerId }) => {
        if (direction === 'inbound') return
        made += 1
        lastMs = performance.now()
        pairs.add([own, peerId].sort().join())
      }
    })
    await offer(member, `tool_${index}`)
  }))
  while (performance.now() - lastMs < SETTLE_MS) await new Promise(resolve => { setTimeout(resolve, 100) })
  const used = cpuMs() - from
  report(`${PEERS} peers start at once: the last connection is made after`, ms(lastMs - startedMs), '')
  report('  pairs linked / connections made', `${pairs.size} / ${made}`, '')
  report('  of the processor: in all / for each pair', `${ms(used)} / ${ms(used / pairs.size)}`, '')
  const tried = performance.now()
  let found = 0
  for (const [index, { network, swarm }] of row.members.entries()) {
    let named = false
    await (await network.routing()).find(keyOf(swarm.id, { kind: 'tool', name: `tool_${(index + 1) % PEERS}` }), { signal: new AbortController().signal, onFound: () => { named = true } })
    if (named) found += 1
  }
  report('  of them find another\'s tool / in, each', `${found} / ${ms((performance.now() - tried) / PEERS)}`, 'bar all')
  await row.close()
}

const chosen = process.argv.slice(2).filter(word => !word.startsWith('--'))
for (const [part, measure] of Object.entries({ connections, hellos, peers })) {
  if (chosen.length === 0 || chosen.includes(part)) await measure()
}
process.exit(0)
