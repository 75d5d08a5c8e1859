import '../../../transports/libp2p/shim.node.ts'
import type { Connection as LibConnection, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import * as assert from 'uvu/assert'
import { utf8 } from '../../../lib/base/bytes.ts'
import { systemClock } from '../../../lib/base/clock.ts'
import type { Clock } from '../../../lib/base/clock.ts'
import type { Connection, Gossip, Network, Verdict } from '../../../lib/base/network.ts'
import { systemRandom } from '../../../lib/base/random.ts'
import { generateKey } from '../../../lib/identity/key.ts'
import { gossipProtocol } from '../../../transports/libp2p/gossip-lanes.ts'
import type { Components } from '../../../transports/libp2p/guard.ts'
import { openOver } from '../../../transports/libp2p/open.ts'
import { until, within } from '../../support/within.ts'

export const TOPIC = 'mcp-swarm/test/documents/1'

/** One of ours whose streams a test can reach behind its back. */
export interface Tapped {
  readonly network: Network
  readonly gossip: Gossip
  /** Messages judged, as text. */
  readonly seen: string[]
  /** Gossip's stream with the one neighbour, as libp2p has it. */
  readonly stream: (direction: Stream['direction']) => Stream
  readonly connections: () => LibConnection[]
}

export async function openTapped (options: { clock?: Clock, swarmId?: string, judge?: (word: string) => Verdict } = {}): Promise<Tapped> {
  let components: Components | undefined
  const tap = (made: Components): ReturnType<ReturnType<typeof tcp>> => {
    components = made
    return tcp()(made)
  }
  const network = await openOver([tap as never], ['/ip4/127.0.0.1/tcp/0'], {
    key: generateKey(systemRandom), clock: options.clock ?? systemClock, random: systemRandom, ...options.swarmId === undefined ? {} : { swarmId: options.swarmId }
  })
  const seen: string[] = []
  const gossip = await network.gossip()
  gossip.join(TOPIC, ({ bytes }) => {
    const word = new TextDecoder().decode(bytes)
    seen.push(word)
    return options.judge?.(word) ?? 'accept'
  })
  const connections = (): LibConnection[] => (components as unknown as { connectionManager: { getConnections: () => LibConnection[] } }).connectionManager.getConnections()
  const stream = (direction: Stream['direction']): Stream => {
    const found = connections().flatMap(({ streams }) => streams).findLast(({ protocol, direction: way, status }) => protocol === gossipProtocol(options.swarmId) && way === direction && status === 'open')
    assert.ok(found, `an ${direction} stream of gossip`)
    return found
  }
  return { network, gossip, seen, stream, connections }
}

/** Connects two and admits both ends. */
export async function link (a: Network, b: Network): Promise<{ toA: Connection, toB: Connection }> {
  const arrived = new Promise<Connection>(resolve => { b.onConnection(resolve) })
  const toB = await within(5_000, 'dial', a.dial(b.peerId, b.addresses(), new AbortController().signal))
  const toA = await within(5_000, 'the inbound end', arrived)
  toA.admit()
  toB.admit()
  return { toA, toB }
}

/** Waits until both know the other to be in the topic. */
export async function meet (...peers: readonly Tapped[]): Promise<void> {
  await until('neighbours', () => peers.every(({ gossip }) => gossip.peers(TOPIC).length > 0))
}

/** Publishes numbered messages until one arrives. @returns milliseconds it took */
export async function heals (from: Tapped, to: Tapped, delayMs: number): Promise<number> {
  const startMs = systemClock.nowMs()
  const name = `${startMs} `
  for (let round = 0; !to.seen.some(word => word.startsWith(name)); round++) {
    assert.ok(systemClock.nowMs() - startMs < delayMs, `delivery again within ${delayMs} ms`)
    await from.gossip.publish(TOPIC, utf8(`${name}${round}`))
    await within(5_000, 'a pause', new Promise<void>(resolve => { systemClock.after(20, resolve) }))
  }
  return systemClock.nowMs() - startMs
}
