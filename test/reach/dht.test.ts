// bound: 240 s
/** Peers that find each other through the swarm's hash table alone, over real sockets on loopback. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { Network } from '../../lib/base/network.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { joinSwarm } from '../../lib/swarm/join.ts'
import { keyOf, type Point } from '../../lib/swarm/points.ts'
import type { Neighbour, Rendezvous, RendezvousOptions } from '../../lib/swarm/rendezvous.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { openNetwork } from '../../transports/libp2p/node.ts'
import { until, within } from '../support/within.ts'

const PEERS = 20

/** How soon a tool has to be found and called, in milliseconds. */
const BAR_MS = 2_000

interface Member { readonly swarm: Swarm, readonly network: Network }

/** Peers in a row: each sees the one that came before it at the rendezvous, and nobody else. */
class Row {
  readonly #swarmKey = generateKey(systemRandom)
  readonly #came: Neighbour[] = []
  readonly members: Member[] = []

  async join (): Promise<Member> {
    let network: Network | undefined
    const swarm = await joinSwarm({
      name: `peer ${this.members.length}`,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      discovery: { folder: true, mdns: false, dht: true },
      seams: {
        swarmKey: this.#swarmKey,
        hearsay: false,
        openRendezvous: async options => this.#open(options),
        openNetwork: async options => network = await openNetwork(options)
      }
    })
    assert.ok(network)
    const member = { swarm, network }
    this.members.push(member)
    return member
  }

  async close (): Promise<void> {
    await within(20_000, 'closing', Promise.all(this.members.map(async ({ swarm }) => { await swarm.close() })))
  }

  #open (options: RendezvousOptions): Rendezvous {
    return {
      announce: async addresses => {
        const before = this.#came.at(-1)
        this.#came.push({ peerId: options.peerId, addresses, processId: process.pid })
        if (before !== undefined) options.onFound(before)
      },
      check: async () => {},
      close: async () => {}
    }
  }
}

/** Waits until a member's table leads to somebody. */
async function isProvided ({ network, swarm }: Member, point: Point): Promise<void> {
  const routing = await network.routing()
  const key = keyOf(swarm.id, point)
  let found = 0
  await within(120_000, `${JSON.stringify(point)} to be provided`, (async () => {
    while (found === 0) {
      await routing.find(key, { signal: new AbortController().signal, onFound: () => { found += 1 } })
      await new Promise(resolve => { setTimeout(resolve, 500) })
    }
  })())
}

function scene (name: string, body: (row: Row) => Promise<void>): void {
  test(name, async () => {
    const row = new Row()
    try {
      await within(200_000, name, body(row))
    } catch (error) {
      throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
    } finally {
      await row.close()
    }
  })
}

scene(`${PEERS} peers: a tool of a peer that the caller has never met is found and called`, async row => {
  const host = await row.join()
  const agent = host.swarm.agent('far')
  agent.tool('whisper', { description: 'Says where it is' }, () => host.swarm.peerId)
  await agent.start()
  while (row.members.length < PEERS - 1) {
    // One after the other: their handshakes are all one process's.
    const { network } = await row.join()
    const routing = await network.routing()
    await until('a neighbour that takes part', () => routing.size > 0, 30_000)
  }
  await isProvided(row.members[PEERS - 2] as Member, { kind: 'tool', name: 'whisper' })

  // The quickest of three newcomers: this machine has other work, and all these peers are one process of it.
  const tookMs: number[] = []
  let caller = host.swarm
  while (tookMs.length < 3 && Math.min(...tookMs) > BAR_MS) {
    caller = (await row.join()).swarm
    await until('a first neighbour', () => caller.peers().length > 0, 20_000)
    assert.not(caller.peers().some(({ peerId }) => peerId === host.swarm.peerId), 'they have not met')
    assert.equal(caller.find({ tool: 'whisper', all: true }), [])
    const startedMs = performance.now()
    const result = await within(10_000, 'the call', caller.call('whisper').catch((error: unknown) => error as SwarmError))
    tookMs.push(result instanceof SwarmError ? Infinity : performance.now() - startedMs)
    if (!(result instanceof SwarmError)) assert.equal(result.content, [{ type: 'text', text: host.swarm.peerId }])
  }
  console.log(`\nnote: found and called in ${tookMs.map(ms => ms.toFixed(0)).join(', ')} ms, bar ${BAR_MS} ms`)
  assert.ok(Math.min(...tookMs) <= BAR_MS, `${tookMs.join(', ')} ms`)

  const refusedMs = performance.now()
  const error = await caller.call('no-such-tool').then(() => undefined, (thrown: unknown) => thrown as SwarmError)
  assert.is(error?.code, 'UNKNOWN_TOOL')
  assert.ok(performance.now() - refusedMs <= BAR_MS + 500, 'a tool that nobody has is said to be unknown within the same bound')
})

test.run()
