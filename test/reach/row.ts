/** Peers of one swarm in one process, over real sockets on loopback, each of which sees few of the others but for the hash table. */
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { Connection, Network } from '../../lib/base/network.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { joinSwarm } from '../../lib/swarm/join.ts'
import { keyOf, type Point } from '../../lib/swarm/points.ts'
import type { Neighbour, Rendezvous, RendezvousOptions } from '../../lib/swarm/rendezvous.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { openNetwork } from '../../transports/libp2p/node.ts'
import { within } from '../support/within.ts'

export interface Member { readonly swarm: Swarm, readonly network: Network }

export class Row {
  readonly members: Member[] = []
  readonly #swarmKey = generateKey(systemRandom)
  readonly #came: Neighbour[] = []
  readonly #sees: (came: readonly Neighbour[]) => readonly (Neighbour | undefined)[]

  /** @param sees whom one who comes sees of those who came before it: by default the last one */
  constructor (sees: (came: readonly Neighbour[]) => readonly (Neighbour | undefined)[] = came => [came.at(-1)]) {
    this.#sees = sees
  }

  async join (name = `peer ${this.members.length}`, { dht = true, onConnection }: { readonly dht?: boolean, readonly onConnection?: (own: string, connection: Connection) => void } = {}): Promise<Member> {
    let network: Network | undefined
    const swarm = await joinSwarm({
      name,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      discovery: { folder: true, mdns: false, dht },
      seams: {
        swarmKey: this.#swarmKey,
        hearsay: false,
        openRendezvous: async options => this.#open(options),
        openNetwork: async options => {
          const opened = network = await openNetwork(options)
          if (onConnection !== undefined) opened.onConnection(connection => { onConnection(opened.peerId, connection) })
          return opened
        }
      }
    })
    assert.ok(network)
    const member = { swarm, network }
    this.members.push(member)
    return member
  }

  async leave (member: Member): Promise<void> {
    this.members.splice(this.members.indexOf(member), 1)
    this.#came.splice(this.#came.findIndex(({ peerId }) => peerId === member.swarm.peerId), 1)
    await within(20_000, 'closing', member.swarm.close())
  }

  async close (): Promise<void> {
    await within(40_000, 'closing', Promise.all(this.members.map(async ({ swarm }) => { await swarm.close() })))
  }

  #open (options: RendezvousOptions): Rendezvous {
    return {
      announce: async addresses => {
        const seen = this.#sees(this.#came)
        this.#came.push({ peerId: options.peerId, addresses, processId: process.pid })
        for (const each of new Set(seen)) if (each !== undefined && each.peerId !== options.peerId) options.onFound(each)
      },
      check: async () => {},
      close: async () => {}
    }
  }
}

/** Gives a member a tool that says where it is. */
export async function offer ({ swarm }: Member, tool: string): Promise<void> {
  const agent = swarm.agent('far')
  agent.tool(tool, { description: 'Says where it is' }, () => swarm.peerId)
  await agent.start()
}

/** Waits until a member's table leads to somebody; it is asked again after a while. */
export async function isProvided ({ network, swarm }: Member, point: Point): Promise<void> {
  const routing = await network.routing()
  const key = keyOf(swarm.id, point)
  let found = 0
  await within(120_000, `${JSON.stringify(point)} to be provided`, (async () => {
    for (;;) {
      await routing.find(key, { signal: new AbortController().signal, onFound: () => { found += 1 } })
      if (found > 0) return
      await new Promise(resolve => { setTimeout(resolve, 500) })
    }
  })())
}

/** Calls a tool once. @returns how long it took, in milliseconds, or the code of its failure */
export async function callOnce ({ swarm }: Member, tool: string, host: Member): Promise<number | string> {
  const startedMs = performance.now()
  try {
    const { content } = await within(20_000, 'the call', swarm.call(tool))
    assert.equal(content, [{ type: 'text', text: host.swarm.peerId }])
    return performance.now() - startedMs
  } catch (error) {
    if (error instanceof SwarmError) return error.code
    throw error
  }
}

/** uvu cannot show ours. */
export function plainly (error: unknown): unknown {
  return error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
}
