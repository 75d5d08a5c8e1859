import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { sealCatalogue, type Catalogue } from '../../lib/directory/catalogue.ts'
import { Directory } from '../../lib/directory/directory.ts'
import { openStorage } from '../../lib/storage/level.ts'
import { Bindings, type Found } from '../../lib/swarm/bindings.ts'
import { AGENTS_TOLD_MAX, factsOf, TROUBLES_TOLD_MAX } from '../../lib/swarm/facts.ts'
import { gatewayView } from '../../lib/swarm/gateway.ts'
import { Showing } from '../../lib/swarm/showing.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab } from '../../lib/testing.ts'
import { agent, keyOf, signed, tool } from '../directory/sample.ts'
import { VirtualClock } from '../support/clock.ts'
import { until, within } from '../support/within.ts'

const bob = keyOf(2)

async function stage (body: (parts: { directory: Directory, showing: Showing, clock: VirtualClock, offer: (catalogue: Catalogue, sequence: number, name?: string) => void }) => Promise<void>): Promise<void> {
  const clock = new VirtualClock()
  const directory = new Directory(keyOf(1).peerId)
  const storage = await openStorage(undefined)
  const bindings = new Bindings({ storage, clock, onFailure: error => { throw error }, onFull: () => { throw new Error('full') } })
  const offer = (catalogue: Catalogue, sequence: number, name = 'bob'): void => {
    const { hash, text, catalogue: read } = sealCatalogue(catalogue)
    directory.addCatalogue(hash, read, text.length)
    directory.merge(...signed(bob, { name, sequence, agents: [agent('notes', hash)] }), clock.nowMs())
  }
  await body({ directory, clock, offer, showing: new Showing({ directory, bindings, clock }) })
  await bindings.close()
  await storage.close()
}

test('what has not changed is the same object: a list, and an entry of a list that has', async () => {
  await stage(async ({ directory, showing, offer }) => {
    const resources = [{ uri: 'file:///a', name: 'a' }]
    offer({ tools: [tool('read'), tool('write')], resources }, 1)
    const first = showing.lists()
    assert.is(showing.lists(), first)
    directory.merge(...signed(bob, { name: 'bob', sequence: 2, addresses: [], agents: directory.record(bob.peerId)?.record.agents }), 0)
    assert.is(showing.lists(), first)
    offer({ tools: [tool('read'), tool('write', 'otherwise')], resources }, 3)
    const second = showing.lists()
    assert.is.not(second.tools, first.tools)
    assert.is(second.tools[0], first.tools[0])
    assert.is.not(second.tools[1], first.tools[1])
    assert.is(second.resources, first.resources)
    assert.is(second.holders, first.holders)
    assert.is.not(showing.lists('always').tools, second.tools)
    assert.equal(showing.lists('always').tools.map(({ name }) => name), ['notes__read', 'notes__write'])
  })
})

test('says since when a peer is away, for as long as it is, whatever the clocks do', async () => {
  await stage(async ({ directory, showing, clock, offer }) => {
    offer({ tools: [tool('read')], prompts: [{ name: 'greet' }], resourceTemplates: [{ uriTemplate: 'x:{y}' }] }, 1)
    assert.equal(showing.lists().tools.map(shown => [shown.available, 'sinceMs' in shown]), [[true, false]])
    await clock.advance(1_000)
    const awayMs = clock.wallMs()
    directory.remove(bob.peerId, clock.nowMs())
    await clock.advance(5_000)
    const { tools, prompts, resourceTemplates } = showing.lists()
    for (const shown of [tools, prompts, resourceTemplates]) {
      assert.equal(shown.map(({ available, reason, sinceMs }) => [available, reason, sinceMs]), [[false, 'peer bob does not answer', awayMs]])
    }
    const wallMs = clock.wallMs.bind(clock)
    clock.wallMs = () => wallMs() + 3_600_000 // the machine has slept
    directory.recall(...signed(keyOf(3), { name: 'carol' }), 0)
    offer({ tools: [tool('write')] }, 0) // older: changes nothing
    assert.is(showing.lists().tools, tools)
  })
})

const facts = (agents: number, troubles: number): JsonObject => factsOf({
  peer: { name: 'alice', peerId: 'a' }, peers: [{ name: 'bob' }],
  troubles: Array.from({ length: troubles }, (_, index) => ({ code: 'TIMEOUT', message: `trouble ${index}`, atMs: 0 }))
} as unknown as Parameters<typeof factsOf>[0], {
  tools: [], resources: [], resourceTemplates: [], prompts: [], holders: [],
  agents: Array.from({ length: agents }, (_, index) => ({ peerId: 'b', peerName: 'bob', agent: { name: `a${index}`, catalogue: 'c', available: true }, catalogue: undefined, available: index < agents - 1 }))
})

test('tells so many agents and troubles, and of more how many; first what cannot be reached', () => {
  const { agents, agentsLeftOut, troubles } = facts(AGENTS_TOLD_MAX + 2, TROUBLES_TOLD_MAX + 1) as unknown as { agents: { agent: string }[], agentsLeftOut: number, troubles: { message: string }[] }
  assert.equal([agents.length, agentsLeftOut, agents[0]?.agent], [AGENTS_TOLD_MAX, 2, `a${AGENTS_TOLD_MAX + 1}`])
  assert.equal([troubles.length, troubles.at(-1)?.message], [TROUBLES_TOLD_MAX, `trouble ${TROUBLES_TOLD_MAX}`])
  assert.not('agentsLeftOut' in facts(AGENTS_TOLD_MAX, 0))
})

async function scene (body: (lab: Lab, folder: (name: string) => string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'mcp-swarm-test-'))
  const lab = new Lab()
  try {
    await within(30_000, 'the scene', body(lab, name => join(home, name)))
  } finally {
    await within(5_000, 'closing', lab.close())
    await rm(home, { recursive: true, force: true })
  }
}

async function offerRead (swarm: Swarm): Promise<void> {
  const notes = swarm.agent('notes')
  notes.tool('read', { description: `Reads what ${swarm.peerId} has` }, () => swarm.peerId)
  await notes.start()
}

const namesOf = (swarm: Swarm): Record<string, string> => Object.fromEntries(swarm.lists().tools.map(({ name, peerId }) => [peerId, name]))

test('a name is its provider\'s also after restarts, when that one is away, is renamed, or comes back with another key', async () => {
  await scene(async (lab, folder) => {
    let alice = await lab.join('alice', { dir: folder('alice') })
    let bob = await lab.join('bob', { dir: folder('bob') })
    const { peerId } = bob
    await offerRead(bob)
    await until('bob\'s tool is known', () => alice.find({ tool: 'read' }).length === 1)
    assert.equal(namesOf(alice), { [peerId]: 'read' })
    await bob.close() // in order: what it offered is gone
    await until('it is gone', () => alice.lists().tools.length === 0)

    await alice.close()
    alice = await lab.join('alice', { dir: folder('alice') })
    const carol = await lab.join('carol')
    await offerRead(carol)
    await until('carol\'s tool is known', () => alice.find({ tool: 'read' }).length === 1)
    assert.equal(namesOf(alice), { [carol.peerId]: 'notes__read' })

    bob = await lab.join('robert', { dir: folder('bob') })
    assert.is(bob.peerId, peerId)
    await offerRead(bob)
    await until('bob\'s tool is known again', () => alice.find({ tool: 'read' }).length === 2)
    assert.equal(namesOf(alice), { [peerId]: 'read', [carol.peerId]: 'notes__read' })
    await bob.close()

    const impostor = await lab.join('bob') // of another key
    await offerRead(impostor)
    await until('the other bob\'s tool is known', () => alice.find({ tool: 'read', peer: 'bob' }).length === 1)
    assert.equal(namesOf(alice), { [impostor.peerId]: 'bob__notes__read', [carol.peerId]: 'notes__read' })
  })
})

test('what was known is shown at once after a restart, as not to be reached, and is found and told of', async () => {
  await scene(async (lab, folder) => {
    let alice = await lab.join('alice', { dir: folder('alice') })
    const bob = await lab.join('bob')
    await offerRead(bob)
    await until('bob\'s tool is known', () => alice.find({ tool: 'read' }).length === 1)
    alice.lists()
    await alice.close()
    alice = await lab.join('alice', { dir: folder('alice'), discovery: false })
    const view = gatewayView(alice)
    const reason = 'peer bob not met since this peer started'
    assert.equal(view.tools().map(({ name, available, reason }) => [name, available, reason]), [['read', false, reason]])
    assert.equal(alice.tools(), [])
    assert.equal(alice.tools({ all: true }).length, 1)
    assert.equal((await view.search('reads', 5)).map(({ name }) => name), ['read'])
    const { agents, shown } = view.status() as { agents: unknown, shown: unknown }
    assert.equal(agents, [{ agent: 'notes', peer: 'bob', available: false, reason, tools: 4 }]) // three of them every agent has
    assert.equal(shown, { tools: 1, toolsUnavailable: 1, resources: 0, resourceTemplates: 0, prompts: 0 })
    assert.is(view.tools(), view.tools())
    assert.is(view.locate('file:///a'), undefined)
  })
})

test('a name that is damaged on disk is forgotten, and nothing else', async () => {
  await scene(async (lab, folder) => {
    const alice = await lab.join('alice', { dir: folder('alice') })
    await offerRead(alice)
    await until('the tool is known', () => alice.lists().tools.length === 1)
    alice.lists({ prefix: 'always' })
    await alice.close()
    const storage = await openStorage(join(folder('alice'), 'store'))
    const found: Found[] = []
    for (const damage of [true, false]) {
      const bindings = new Bindings({ storage, clock: new VirtualClock(), onFailure: error => { throw error }, onFull: () => {} })
      found.push(await bindings.load())
      await bindings.close()
      for await (const [key, value] of storage.entries('gateway/name/tool/auto/')) if (damage) await storage.write([{ key, value: value.subarray(0, -1) }])
    }
    await storage.close()
    assert.equal(found, [{ bindings: 2, damaged: 0, pruned: 0 }, { bindings: 1, damaged: 1, pruned: 0 }])
  })
})

test.run()
