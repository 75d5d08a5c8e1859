/** Finding over the memory network: what is looked up, whom it dials, and what others' lies cost. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { SwarmError } from '../../lib/base/error.ts'
import type { Connection, FindOptions, Network, Routing } from '../../lib/base/network.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import { VAIN_DIALS_MAX } from '../../lib/base/trust.ts'
import { catalogueHash, type Catalogue } from '../../lib/directory/catalogue.ts'
import { Directory } from '../../lib/directory/directory.ts'
import { signRecord, type PeerRecord } from '../../lib/directory/record.ts'
import { generateKey, type PrivateKey } from '../../lib/identity/key.ts'
import { COMPANY_MAX, Finding, LOOK_MS, SEEK_FURTHER_MS, VAIN_MS, YOUNG_MS, isKnown, type Sought } from '../../lib/swarm/finding.ts'
import { keyOf, pointsOf } from '../../lib/swarm/points.ts'
import { TRIES_MAX } from '../../lib/swarm/search.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { SWARM } from '../support/frozen.ts'

const CATALOGUE: Catalogue = { tools: [{ name: 'whisper', description: 'Says where it is', inputSchema: { type: 'object' } }], prompts: [] }
const never = (): AbortSignal => new AbortController().signal

type Answer = (key: Uint8Array, onFound: FindOptions['onFound']) => void

/** A peer whose connections are admitted at once, and whose record whoever is connected hears. */
class Party {
  readonly key: PrivateKey = generateKey(systemRandom)
  readonly network: Network
  readonly directory: Directory
  readonly finding: Finding
  /** Ids of the peers that it was told of for its company, or has reached. */
  readonly found: string[] = []
  /** Ids of the peers that it has dialled, in order. */
  readonly dialled: string[] = []
  readonly connections: Connection[] = []
  readonly #rig: Rig

  /** @param lies what others answer to its lookups, in place of those of the memory network */
  constructor (rig: Rig, name: string, lies?: Answer) {
    this.#rig = rig
    const inner = rig.hub.network(this.key)
    const outer: Pick<Network, 'dial' | 'routing'> = {
      dial: async (peerId, addresses, signal) => {
        this.dialled.push(peerId)
        return await inner.dial(peerId, addresses, signal)
      },
      routing: async () => lies === undefined ? await inner.routing() : lying(await inner.routing(), lies)
    }
    this.network = new Proxy(inner, { get: (target, at) => at in outer ? outer[at as keyof typeof outer] : bound(target, at) })
    this.directory = new Directory(this.key.peerId)
    const record = (agents: PeerRecord['agents'] = []): PeerRecord => ({ v: 1, peerId: this.key.peerId, name, incarnation: 1, sequence: 1, leaseMs: 60_000, addresses: inner.addresses(), agents })
    const offers = name === 'host' ? [{ name: 'far', pool: 'choir', catalogue: catalogueHash(CATALOGUE), available: true }] : []
    rig.records.set(this.key.peerId, [record(offers), signRecord(this.key, record(offers), SWARM)])
    this.directory.setOwn(...rig.records.get(this.key.peerId) as [PeerRecord, string])
    inner.onConnection(connection => {
      this.connections.push(connection)
      connection.admit()
      if (rig.isMute(connection.peerId)) return
      const [theirs, wire] = rig.records.get(connection.peerId) as [PeerRecord, string]
      this.directory.merge(theirs, wire, rig.clock.nowMs(), { direct: true })
      if (theirs.agents.length > 0) this.directory.addCatalogue(catalogueHash(CATALOGUE), CATALOGUE, 100)
    })
    this.finding = new Finding({ swarmId: SWARM, network: this.network, clock: rig.clock, random: seededRandom(1), directory: this.directory })
    this.discovery = this.finding.discover({ onFound: peerId => { this.found.push(peerId) } })
    this.finding.offer(pointsOf(name, offers, new Map([[catalogueHash(CATALOGUE), CATALOGUE]])))
  }

  readonly discovery: ReturnType<Finding['discover']>

  get id (): string {
    return this.key.peerId
  }

  /** @returns how long it took, in milliseconds of the clock */
  async seek (sought: Sought, signal = never()): Promise<number> {
    const over = await this.outcome(sought, signal)
    assert.type(over, 'number')
    return Number(over)
  }

  /** @returns the same, or the code of its failure */
  async outcome (sought: Sought, signal: AbortSignal): Promise<number | string> {
    const { clock } = this.#rig
    const beganMs = clock.nowMs()
    let over: number | string | undefined
    void this.finding.seek(sought, signal).then(() => { over = clock.nowMs() - beganMs }, (error: unknown) => { over = (error as SwarmError).code })
    for (let ms = 0; over === undefined && ms <= 2 * SEEK_FURTHER_MS; ms += 10) await clock.advance(10)
    assert.ok(over !== undefined, 'it ends')
    return over
  }
}

class Rig {
  readonly clock = new VirtualClock()
  readonly hub = new MemoryHub({ clock: this.clock })
  readonly records = new Map<string, readonly [PeerRecord, string]>()
  readonly #mute = new Set<string>()

  isMute (peerId: string): boolean {
    return this.#mute.has(peerId)
  }

  /** From now on nobody hears what a peer offers. */
  mute (peerId: string): void {
    this.#mute.add(peerId)
  }

  async link (from: Party, to: Party): Promise<void> {
    const dial = from.network.dial(to.id, to.network.addresses(), never())
    await settle()
    await dial
    from.dialled.pop()
  }

  /** A caller, one between, and a host, of which the outer two have never met; all have looked around. */
  async row (lies?: Answer): Promise<{ caller: Party, host: Party }> {
    const [caller, between, host] = [new Party(this, 'caller', lies), new Party(this, 'between'), new Party(this, 'host')] as const
    await this.link(caller, between)
    await this.link(between, host)
    await this.clock.advance(2_000)
    assert.not(isKnown(caller.directory, { agent: 'far' }))
    caller.found.length = caller.dialled.length = 0
    return { caller, host }
  }
}

function bound (target: object, at: string | symbol): unknown {
  const value = (target as Record<string | symbol, unknown>)[at]
  return typeof value === 'function' ? value.bind(target) as unknown : value
}

/** Somebody's answers, and then those of the memory network. */
function lying (inner: Routing, answer: Answer): Routing {
  return new Proxy(inner, { get: (target, at) => at !== 'find' ? bound(target, at) : async (key: Uint8Array, options: FindOptions) => {
    answer(key, options.onFound)
    await target.find(key, options)
  } })
}

for (const [by, sought] of Object.entries({
  tool: { tool: 'whisper' }, agent: { agent: 'far' }, pool: { pool: 'choir' }, 'name of a peer': { peer: 'host' }, 'agent, if a tool is named too': { agent: 'far', tool: 'whisper' }
} satisfies Record<string, Sought>)) {
  test(`finds what nobody here has met by its ${by}`, async () => {
    const { caller, host } = await new Rig().row()
    assert.ok(await caller.seek(sought) < 100)
    assert.ok(isKnown(caller.directory, sought))
    assert.equal([caller.dialled, caller.found], [[host.id], [host.id]])
    assert.is(await caller.seek(sought), 0)
    assert.is(caller.dialled.length, 1, 'what is known is not sought')
  })
}

test('finds a peer by its id', async () => {
  const { caller, host } = await new Rig().row()
  assert.ok(await caller.seek({ peer: host.id }) < 100)
  assert.equal(caller.dialled, [host.id])
})

test('one that has just come, and whose first neighbour knows nobody, asks the next', async () => {
  const rig = new Rig()
  const [caller, lonely, between, host] = [new Party(rig, 'caller'), new Party(rig, 'lonely'), new Party(rig, 'between'), new Party(rig, 'host')] as const
  await rig.link(between, host)
  await rig.clock.advance(2_000)
  await rig.link(caller, lonely)
  rig.clock.after(800, () => { void rig.link(caller, between) })
  const tookMs = await caller.seek({ agent: 'far' })
  assert.ok(tookMs >= 800 && tookMs < YOUNG_MS, `${tookMs} ms`)
  assert.ok(caller.connections.some(({ peerId }) => peerId === host.id))
})

test('one that has just come says of what nobody has that it is unknown, when it has waited for others', async () => {
  const rig = new Rig()
  const [caller, lonely] = [new Party(rig, 'caller'), new Party(rig, 'lonely')] as const
  await rig.link(caller, lonely)
  const tookMs = await caller.seek({ agent: 'far' })
  assert.ok(tookMs >= YOUNG_MS && tookMs <= SEEK_FURTHER_MS, `${tookMs} ms`)
})

test('one that is alone says at once that it knows nothing', async () => {
  assert.ok(await new Party(new Rig(), 'caller').seek({ agent: 'far' }) < 100)
})

test('what nobody has is said at once, and not sought again for a while', async () => {
  const rig = new Rig()
  let lookups = 0
  const { caller } = await rig.row(() => { lookups += 1 })
  lookups = 0
  assert.ok(await caller.seek({ tool: 'nothing' }) < 100)
  assert.ok(await caller.seek({ tool: 'nothing' }) < 100)
  assert.is(lookups, 1)
  await rig.clock.advance(VAIN_MS)
  await caller.seek({ tool: 'nothing' })
  assert.is(lookups, 2)
  assert.equal(caller.dialled, [])
})

test('a peer that is reached and says nothing of what is sought is waited for, not longer than the bound', async () => {
  const rig = new Rig()
  const { caller, host } = await rig.row()
  rig.mute(host.id)
  const tookMs = await caller.seek({ agent: 'far' })
  assert.ok(tookMs >= SEEK_FURTHER_MS && tookMs <= SEEK_FURTHER_MS + 20, String(tookMs))
})

test('a search ends with who wants it, and with the swarm', async () => {
  const rig = new Rig()
  const { caller, host } = await rig.row()
  rig.mute(host.id)
  const wanting = new AbortController()
  rig.clock.after(500, () => { wanting.abort() })
  assert.is(await caller.outcome({ agent: 'far' }, wanting.signal), 'ABORTED')
  rig.clock.after(500, () => { void caller.discovery.close() })
  assert.is(await caller.outcome({ pool: 'choir' }, never()), 'CLOSED')
})

test('a liar that answers first, with more than anybody tries, keeps nobody from being found', async () => {
  const rig = new Rig()
  const silent = Array.from({ length: 100 }, () => rig.hub.network(generateKey(systemRandom)))
  for (const { peerId } of silent) rig.hub.freeze(peerId)
  const { caller, host } = await rig.row((_, onFound) => { for (const network of silent) onFound(network.peerId, network.addresses(), 'liar') })
  assert.ok(await caller.seek({ agent: 'far' }) < SEEK_FURTHER_MS)
  assert.ok(caller.dialled.includes(host.id))
  assert.ok(caller.dialled.length <= TRIES_MAX, `${caller.dialled.length} dials`)
})

test('nobody is dialled any more when what was sought is there', async () => {
  const rig = new Rig()
  let tell: (() => void) | undefined
  const { caller, host } = await rig.row((_, onFound) => { tell = () => { onFound(generateKey(systemRandom).peerId, ['/memory/9000'], 'late') } })
  await caller.seek({ agent: 'far' })
  assert.equal(caller.dialled, [host.id])
  tell?.()
  await rig.clock.advance(1_000)
  assert.equal(caller.dialled, [host.id])
})

test('a liar costs so many dials, whatever is sought', async () => {
  const rig = new Rig()
  const { caller } = await rig.row((_, onFound) => { for (let lie = 0; lie < 50; lie++) onFound(generateKey(systemRandom).peerId, [`/memory/${9_000 + lie}`], 'liar') })
  for (let tool = 0; tool < 20; tool++) await caller.seek({ tool: `nothing ${tool}` })
  assert.ok(caller.dialled.length >= VAIN_DIALS_MAX && caller.dialled.length < 2 * VAIN_DIALS_MAX, `${caller.dialled.length} dials`)
})

test('a true peer that is said to be where nobody answers is reached where others say it is', async () => {
  const rig = new Rig()
  const hole = rig.hub.network(generateKey(systemRandom))
  rig.hub.freeze(hole.peerId)
  const hosts: string[] = []
  const { caller, host } = await rig.row((_, onFound) => { for (const peerId of hosts) onFound(peerId, hole.addresses(), 'liar') })
  hosts.push(host.id)
  assert.ok(await caller.seek({ agent: 'far' }) < SEEK_FURTHER_MS)
  assert.equal(caller.dialled, [host.id, host.id], 'the second dial takes the place of the first')
})

test('lets itself be found by what it offers, and no longer by what it does not', async () => {
  const rig = new Rig()
  const { caller, host } = await rig.row()
  host.finding.offer(pointsOf('host', [], new Map()))
  await rig.clock.advance(1_000)
  assert.ok(await caller.seek({ agent: 'far' }) < 100)
  assert.equal(caller.dialled, [])
  assert.ok(await caller.seek({ peer: 'host' }) < 100)
  assert.equal(caller.dialled, [host.id])
})

test('looks for company once there is somebody to ask, not for more than it needs, and again after a while', async () => {
  const rig = new Rig()
  let looks = 0
  const swarm = Buffer.from(keyOf(SWARM, { kind: 'swarm' })).toString('hex')
  const { caller } = await rig.row((key, onFound) => {
    if (Buffer.from(key).toString('hex') !== swarm) return
    looks += 1
    for (let lie = 0; lie < 50; lie++) onFound(generateKey(systemRandom).peerId, ['/memory/1'], `teller ${lie % 5}`)
  })
  assert.is(looks, 1)
  await rig.clock.advance(2 * LOOK_MS)
  assert.ok(looks >= 2 && looks <= 3, `${looks} looks`)
  assert.ok(caller.found.length <= looks * COMPANY_MAX, `${caller.found.length} peers told of`)
  assert.ok(caller.found.length > 0)
})

test.run()
