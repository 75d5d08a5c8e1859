/**
 * A swarm of 200 peers with 10,000 tools, as one peer knows it: signed records and catalogues, taken in as they come from the wire;
 * and a gateway that starts where all of it is on disk, and searches.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { join } from 'node:path'
import { systemClock } from '../../lib/base/clock.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { readCatalogue, sealCatalogue, type SealedCatalogue } from '../../lib/directory/catalogue.ts'
import { Directory } from '../../lib/directory/directory.ts'
import { Keep } from '../../lib/directory/keep.ts'
import { LEASE_MS, readRecord, signRecord, type PeerRecord } from '../../lib/directory/record.ts'
import { swarmIdOf } from '../../lib/access/grant.ts'
import { generateKey, type PrivateKey } from '../../lib/identity/key.ts'
import { loadOrCreateKey, localKeyPath } from '../../lib/identity/keystore.node.ts'
import { shownTools } from '../../lib/mcp/overview.ts'
import { ToolSearch } from '../../lib/mcp/search.ts'
import { openStorage } from '../../lib/storage/level.ts'
import { Bindings } from '../../lib/swarm/bindings.ts'
import { Showing } from '../../lib/swarm/showing.ts'
import { isSmoke, ms, quantile, report, temporaryUser } from '../rig.ts'
import { StdioClient } from './client.ts'
import { makeQueries, makeTools } from './tools.ts'

const PEERS = isSmoke ? 10 : 200
const TOOLS = 50
const CHANGES = isSmoke ? 3 : 40
const SEARCHES = isSmoke ? 10 : 300

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

interface Member {
  readonly key: PrivateKey
  readonly catalogue: SealedCatalogue
}

export async function measureLarge (): Promise<void> {
  const { home, env } = temporaryUser()
  Object.assign(process.env, env)
  const random = seededRandom(4127)
  const swarmId = swarmIdOf((await loadOrCreateKey(localKeyPath(), random)).publicKey)
  const members = Array.from({ length: PEERS }, (_, index): Member => ({ key: generateKey(random), catalogue: seal(index, 0) }))
  const wires = members.map((member, index) => sign(member, index, swarmId, 0, member.catalogue.hash))

  const before = memory()
  const directory = new Directory(generateKey(random).peerId)
  const takeMs = timed(() => {
    for (const [index, { catalogue: { hash, text } }] of members.entries()) take(directory, wires[index] as string, swarmId, hash, text)
  })
  const storage = await openStorage(undefined)
  const fail = (error: unknown): void => { throw error }
  const bindings = new Bindings({ storage, clock: systemClock, onFailure: fail, onFull: () => { fail(new Error('no room for names')) } })
  const showing = new Showing({ directory, bindings, clock: systemClock })
  const firstMs = timed(() => { check(showing) })
  await bindings.flush()
  const listed = memory()
  const search = new ToolSearch()
  const look = async (query: string): Promise<number> => {
    const startMs = performance.now()
    if ((await search.find(showing.lists().tools, query, 10)).length === 0) throw new Error(`nothing found for ${query}`)
    return performance.now() - startMs
  }
  const indexMs = await look('read file')
  const indexed = memory()
  const searches: number[] = []
  for (const query of makeQueries(SEARCHES)) searches.push(await look(query))

  const [changed, absent, found]: [number[], number[], number[]] = [[], [], []]
  for (let change = 1; change <= CHANGES; change++) {
    const index = change % PEERS
    const { hash, text } = seal(index, change)
    take(directory, sign(members[index] as Member, index, swarmId, change, hash), swarmId, hash, text)
    changed.push(timed(() => { check(showing) }))
    found.push(await look('read file'))
    directory.remove((members[(index + 1) % PEERS] as Member).key.peerId, systemClock.nowMs())
    absent.push(timed(() => { check(showing) }))
  }
  await bindings.close()

  console.log(`large: ${PEERS} peers with ${PEERS * TOOLS} tools; ${CHANGES} changes of one agent, ${SEARCHES} searches`)
  const both = (values: readonly number[]): string => `${ms(quantile(values, 0.5))} / ${ms(Math.max(...values))}`
  report('records and catalogues taken in, signatures and hashes checked', ms(takeMs), '')
  report('first lists, all named', ms(firstMs), '')
  report('lists after a change of one agent: p50 / worst', both(changed), 'bar 50 ms')
  report('lists after a peer has gone: p50 / worst', both(absent), 'bar 50 ms')
  report('search: index made at the first', ms(indexMs), '')
  report('search: p50 / worst', both(searches), 'bar 10 ms')
  report('search, the first after a change of one agent: p50 / worst', both(found), '')
  report('heap: before, with lists, with the index', [before, listed, indexed].map(({ heap }) => mib(heap)).join(', '), '')
  report('RSS: before, with lists, with the index', [before, listed, indexed].map(({ rss }) => mib(rss)).join(', '), '')

  const dir = join(home, 'desk')
  const disk = await openStorage(join(dir, 'store'))
  const keep = new Keep({ storage: disk, swarmId, clock: systemClock, onFailure: fail })
  for (const [index, { catalogue: { hash, text } }] of members.entries()) {
    keep.saveRecord(readRecord(wires[index] as string, swarmId), wires[index] as string)
    keep.saveCatalogue(hash, text)
  }
  await keep.close()
  await disk.close()
  for (const what of ['for the first time', 'again']) await startSearching(dir, env, what)
}

/** The gateway itself, as users run it, in search mode. */
async function startSearching (dir: string, env: NodeJS.ProcessEnv, what: string): Promise<void> {
  const client = new StdioClient(['connect', '--tools', 'search', '--dir', dir], env)
  await client.open()
  const { result, atMs } = await client.timed('tools/list')
  const { tools } = result as { tools: readonly { readonly name: string }[] }
  if (tools.length !== 4) throw new Error(`${tools.length} tools are listed`)
  const idle = client.rssBytes()
  const took: number[] = []
  for (const query of makeQueries(isSmoke ? 5 : 100)) {
    const askedMs = performance.now()
    const answer = await client.timed('tools/call', { name: 'swarm_find', arguments: { query } })
    took.push(answer.atMs - askedMs)
    if (!JSON.stringify(answer.result).includes(`"total":${PEERS * TOOLS}`)) throw new Error('not all tools are searched')
  }
  report(`connect, all known from disk, started ${what}: first list`, ms(atMs - client.startedMs), '')
  report('  swarm_find: the first; p50 of the others', `${ms(took[0] ?? Number.NaN)}; ${ms(quantile(took.slice(1), 0.5))}`, '')
  report('  RSS: before searching, after', `${mib(idle)}, ${mib(client.rssBytes())}`, '')
  await client.end()
}

function seal (peer: number, version: number): SealedCatalogue {
  return sealCatalogue({ tools: makeTools(`of_${peer}`, TOOLS).map((tool, at) => at === 0 ? { ...tool, description: `${tool.description ?? ''} ${version}` } : tool) })
}

function sign ({ key }: Member, index: number, swarmId: string, sequence: number, catalogue: string): string {
  const record: PeerRecord = {
    v: 1, peerId: key.peerId, name: `peer-${index}`, incarnation: 1, sequence, leaseMs: LEASE_MS, addresses: [`/ip4/127.0.0.1/tcp/${10_000 + index}`],
    agents: [{ name: `agent-${index}`, catalogue, available: true }]
  }
  return signRecord(key, record, swarmId)
}

/** As an exchange does. */
function take (directory: Directory, wire: string, swarmId: string, hash: string, text: string): void {
  directory.merge(readRecord(wire, swarmId), wire, systemClock.nowMs(), { direct: true })
  directory.addCatalogue(hash, readCatalogue(text, hash), text.length)
}

function check (showing: Showing): void {
  const { tools } = showing.lists()
  if (tools.length !== PEERS * TOOLS) throw new Error(`${tools.length} tools`)
  if (shownTools({ tools: () => tools }, 'auto').tools.length > 0 && tools.length > 124) throw new Error('so many are not listed')
}

function timed (run: () => void): number {
  const startMs = performance.now()
  run()
  return performance.now() - startMs
}

function memory (): { readonly heap: number, readonly rss: number } {
  collect()
  const { heapUsed: heap, rss } = process.memoryUsage()
  return { heap, rss }
}

function mib (bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}
