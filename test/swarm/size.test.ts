// bound: 240 s, a load
/** Swarms of more peers than are all linked: real peers on the memory network, by the real clock. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { Connection } from '../../lib/base/network.ts'
import { FULL_MAX } from '../../lib/directory/hearsay.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab } from '../../lib/testing.ts'
import { until, within } from '../support/within.ts'

const PEERS = 40

const linked = (swarm: Swarm): string[] => swarm.status().peers.filter(({ connected }) => connected).map(({ peerId }) => peerId)
const isWhole = (swarms: readonly Swarm[]): boolean => swarms.every(swarm => swarm.peers().length === swarms.length - 1)

function scene (name: string, body: (lab: Lab) => Promise<void>): void {
  test(name, async () => {
    const lab = new Lab()
    try {
      await within(100_000, name, body(lab))
    } catch (error) {
      throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
    } finally {
      await within(60_000, 'closing', lab.close())
    }
  })
}

/** So many peers, each with an agent that has the same tool; every one knows all. */
async function grow (lab: Lab, count = PEERS): Promise<Swarm[]> {
  const swarms = await Promise.all(Array.from({ length: count }, async (_, index) => {
    const swarm = await lab.join(`peer ${index}`)
    const agent = swarm.agent('names', { pool: 'names' })
    agent.tool('name', { description: 'Says who answers', input: { type: 'object' } }, () => swarm.name)
    await agent.start()
    return swarm
  }))
  await until('all know all', () => isWhole(swarms), 60_000)
  await until('all know every tool', () => swarms.every(swarm => swarm.find({ tool: 'name' }).length === count), 60_000)
  return swarms
}

scene('all know all, with a few links each', async lab => {
  const swarms = await grow(lab)
  const counts = swarms.map(swarm => linked(swarm).length)
  const mean = counts.reduce((sum, count) => sum + count, 0) / PEERS
  assert.ok(mean < PEERS / 2, `${mean} links each`)
  const seen = swarms.map(swarm => swarm.agents().map(({ catalogue, name, peerId }) => `${peerId} ${name} ${catalogue}`).join())
  assert.is(new Set(seen).size, 1)
})

scene('up to a size all are linked with all', async lab => {
  const swarms = await grow(lab, FULL_MAX)
  await until('all are linked with all', () => swarms.every(swarm => linked(swarm).length === FULL_MAX - 1))
})

scene('a peer that is not linked is dialled when it is called, once for many calls', async lab => {
  const swarms = await grow(lab)
  const [caller] = swarms as [Swarm]
  const far = swarms.find(({ peerId }) => peerId !== caller.peerId && !linked(caller).includes(peerId)) as Swarm
  const answers = await Promise.all(Array.from({ length: 20 }, async () => await caller.call('name', {}, { peer: far.name })))
  for (const { content } of answers) assert.ok(JSON.stringify(content).includes(far.name))
  assert.ok(linked(caller).includes(far.peerId))
  const unlinked = swarms.filter(({ peerId }) => peerId !== caller.peerId && !linked(caller).includes(peerId)).slice(0, 5)
  const each = await Promise.all(unlinked.map(async ({ name }) => await caller.call('name', {}, { peer: name })))
  for (const [index, { content }] of each.entries()) assert.ok(JSON.stringify(content).includes(unlinked[index]?.name ?? ''))
})

scene('what changes at one is known everywhere', async lab => {
  const swarms = await grow(lab)
  const [first] = swarms as [Swarm]
  const agent = first.agent('more')
  agent.tool('later', { description: 'x', input: { type: 'object' } }, () => 'x')
  await agent.start()
  await until('all know the tool', () => swarms.every(swarm => swarm.find({ tool: 'later' }).length === 1), 20_000)
  await first.unshare('more')
  await until('none does', () => swarms.every(swarm => swarm.find({ tool: 'later' }).length === 0), 20_000)
  await first.close()
  await until('nobody knows a peer that has left', () => swarms.slice(1).every(swarm => swarm.peers().length === PEERS - 2), 20_000)
})

scene('a peer that is killed is out everywhere, and nobody else is', async lab => {
  const connections = new Map<string, Set<Connection>>()
  const swarms = await grow(lab, PEERS - 1)
  const victim = await lab.join('victim', {
    seams: {
      openNetwork: async ({ key }) => {
        const network = lab.hub.network(key.peerId)
        connections.set(key.peerId, new Set())
        network.onConnection(connection => { connections.get(key.peerId)?.add(connection) })
        return network
      }
    }
  })
  await until('the victim is known', () => swarms.every(swarm => swarm.peers().some(({ name }) => name === 'victim')), 20_000)
  const lost: string[] = []
  for (const swarm of swarms) swarm.on('peer:left', ({ name }) => { lost.push(name) })
  // As a process that dies: nobody answers there, and every connection breaks.
  for (const swarm of swarms) lab.hub.cut(victim.peerId, swarm.peerId)
  await until('the victim is out', () => swarms.every(swarm => !swarm.peers().some(({ name }) => name === 'victim')), 30_000)
  assert.equal([...new Set(lost)], ['victim'])
  for (const swarm of swarms) lab.hub.heal(victim.peerId, swarm.peerId)
  await until('it is found again', () => swarms.every(swarm => swarm.peers().some(({ name }) => name === 'victim')), 90_000)
})

scene('a document reaches the few of many that have it open', async lab => {
  const swarms = await grow(lab)
  const few = [3, 11, 19, 27, 35].map(index => swarms[index] as Swarm)
  const documents = await Promise.all(few.map(async swarm => await swarm.document('plans')))
  documents[0]?.set('step', 'first')
  await until('all five have it', () => documents.every(document => document.get('step') === 'first'), 60_000)
  documents[4]?.set('step', 'second')
  await until('all five have the change', () => documents.every(document => document.get('step') === 'second'), 60_000)
})

scene('a swarm that was cut in two is one again', async lab => {
  const swarms = await grow(lab, 24)
  const [left, right] = [swarms.slice(0, 12), swarms.slice(12)]
  for (const near of left) for (const far of right) lab.hub.cut(near.peerId, far.peerId)
  await until('each half is by itself', () => swarms.every(swarm => swarm.peers().length === 11), 60_000)
  for (const near of left) for (const far of right) lab.hub.heal(near.peerId, far.peerId)
  await until('all know all', () => isWhole(swarms), 90_000)
})

test.run()
