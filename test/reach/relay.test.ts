// bound: 240 s
/** Peers of a made swarm with no direct route to each other, and one that both reach. Hosts are namespaces. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Status } from '../../lib/swarm/status.ts'
import { HOSTS_NEED, hosts, type Hosts, type HostsOptions } from '../support/hosts.ts'
import { needs } from '../support/needs.ts'
import type { Program } from '../support/program.ts'

const MEMBER = new URL('./member.ts', import.meta.url)
const DISCOVERY = { folder: false, mdns: false, dht: false }
const MS = 60_000

const can = needs(test, ...HOSTS_NEED)

/** Starts a member on each host; the first one makes the swarm and lets the others in. */
async function join (rig: Hosts): Promise<Program[]> {
  const programs = await Promise.all(rig.hosts.map(async host => await host.start(MEMBER)))
  const [maker, ...others] = programs as [Program, ...Program[]]
  await maker.ask('make', {}, MS)
  await maker.ask('join', { name: 'host 0', discovery: DISCOVERY }, MS)
  for (const [index, program] of others.entries()) {
    const ticket = await maker.ask<string>('invite', { uses: 1 }, MS)
    await program.ask('join', { name: `host ${index + 1}`, ticket, discovery: DISCOVERY }, MS)
  }
  return programs
}

/** By which path the first of two is connected with the other. */
async function pathOf (program: Program, name: string): Promise<string> {
  const { peers } = await program.ask<Status>('status', {}, MS)
  return peers.find(peer => peer.name === name)?.address ?? 'not connected'
}

/** How long a direct way is tried for, in milliseconds. */
const PUNCHING_MS = 7_000

const CASES = {
  'two networks joined by a peer on both': { count: 3, networks: [[0, 1], [0], [1]] },
  'two NATs that let through what an inner port was used for': { count: 3, networks: [[0], [1], [2]], nats: [{ inside: 1, outside: 0 }, { inside: 2, outside: 0 }] },
  'two NATs with another port for every destination': { count: 3, networks: [[0], [1], [2]], nats: [{ inside: 1, outside: 0, kind: 'symmetric' }, { inside: 2, outside: 0, kind: 'symmetric' }] }
} satisfies Record<string, HostsOptions>

/** By case, its hosts with what runs on them, from one test to the next: in each a direct way is tried for meanwhile. */
const opened = new Map<string, { readonly rig: Hosts, readonly other: Program, readonly reachedMs: number }>()
test.after(async () => { await Promise.all([...opened.values()].map(async ({ rig }) => { await rig.end() })) })

for (const [name, options] of Object.entries(CASES)) {
  can(`${name}: calls work by relay`, async () => {
    const rig = await hosts(options)
    try {
      const [, one, other] = await join(rig) as [Program, Program, Program]
      const startedMs = performance.now()
      await other.ask('reach', { peer: 'host 1', boundMs: MS }, MS + 5_000)
      await one.ask('reach', { peer: 'host 2', boundMs: MS }, MS + 5_000)
      const reachedMs = performance.now()
      console.log(`\nnote: ${name}: reached in ${(reachedMs - startedMs).toFixed(0)} ms`)
      opened.set(name, { rig, other, reachedMs })
    } catch (error) {
      await rig.end()
      throw error
    }
  })
}

for (const name of Object.keys(CASES)) {
  can(`${name}: a direct way was tried for, and calls work`, async () => {
    const scene = opened.get(name)
    assert.ok(scene, 'its calls did not work')
    await new Promise(resolve => { setTimeout(resolve, Math.max(0, scene.reachedMs + PUNCHING_MS - performance.now())) })
    const path = await pathOf(scene.other, 'host 1')
    console.log(`\nnote: ${name}: hole punching tried: ${path.includes('/p2p-circuit') ? 'no direct way' : `direct, ${path}`}`)
    assert.match(path, /\/p2p-circuit|^\/ip4\//)
    await scene.other.ask('reach', { peer: 'host 1', boundMs: MS }, MS + 5_000)
  })
}

test.run()
