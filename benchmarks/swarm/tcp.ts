/** Some peers of a swarm over TCP, in a process of their own: does what ../swarm.ts asks. Their bytes are those of the sockets. */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { joinSwarm, type Swarm } from 'mcp-swarm'
import 'mcp-swarm/testing' // loads now what the first join would load: see ../peer.ts
import { serveVerbs, type Verbs } from '../verbs.ts'
import { digestOf, isWhole, linkCount, offer } from './peers.ts'

const swarms: Swarm[] = []
const sockets: Socket[] = []
for (const channel of ['net.client.socket', 'net.server.socket']) {
  subscribe(channel, message => { sockets.push((message as { socket: Socket }).socket) })
}

/** What the peers of one process have come to. */
export interface Shown {
  readonly digests: readonly string[]
  readonly links: readonly number[]
  /** The codes and reasons of refusals. */
  readonly refusals: readonly string[]
  /** Refusals of peers that are still not known. */
  readonly unrepaired: number
}

/** Milliseconds of the processor, and bytes sent, since the process began. */
export interface Used {
  readonly cpuMs: number
  readonly bytes: number
}

const VERBS: Verbs = {
  async loaded () {},

  /** Joins with so many at once; answers when the last of them began, in milliseconds since 1970. */
  async join ({ first, count }) {
    let begunAtMs = 0
    swarms.push(...await Promise.all(Array.from({ length: Number(count) }, async (_, index) => {
      begunAtMs = Date.now()
      const swarm = await joinSwarm({ name: `peer ${Number(first) + index}` })
      await offer(swarm)
      return swarm
    })))
    return begunAtMs
  },

  /** Resolves when all here know the tools of so many peers. */
  async whole ({ size }) {
    while (!isWhole(swarms, Number(size))) await new Promise<void>(resolve => { setTimeout(resolve, 100) })
    return Date.now()
  },

  async show (): Promise<Shown> {
    const refusals = swarms.flatMap(swarm => swarm.status().refusals.map(({ code, direction, message, peerId }) => ({ peerId, swarm, why: `${direction} ${code} ${message.split(':').at(-1) ?? ''}` })))
    return {
      digests: swarms.map(digestOf),
      links: swarms.map(linkCount),
      refusals: refusals.map(({ why }) => why),
      unrepaired: refusals.filter(({ peerId, swarm }) => !swarm.peers().some(peer => peer.peerId === peerId)).length
    }
  },

  async used (): Promise<Used> {
    const { system, user } = process.cpuUsage()
    return { cpuMs: (system + user) / 1_000, bytes: sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0) }
  },

  /** Ends at once: peers that all leave tell each other of it. */
  async end () {
    setImmediate(() => { process.exit() })
  }
}

serveVerbs(VERBS)
