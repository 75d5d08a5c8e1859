/** A swarm in which a member lies in the hash table, for a test and for a benchmark: what it costs the others, and whether they find each other. */
import * as assert from 'uvu/assert'
import { keyOf } from '../../lib/swarm/points.ts'
import type { Libp2pRouting } from '../../transports/libp2p/routing.ts'
import { until, within } from '../support/within.ts'
import { DhtLiar } from './dht-liar.ts'
import { Row, callOnce, offer, type Member } from './row.ts'

const HONEST = 5
const TOOL = 'whisper'

/** How long until what was sought in vain is sought again, with some to spare, in milliseconds. */
const AGAIN_MS = 500

export interface Toll {
  /** Messages of the liar. */
  readonly told: number
  /** How often it was not let, or its stream was reset. */
  readonly refused: number
  /** Connections made to where it said that others are, by all the honest ones. */
  readonly dialled: number
  /** Peers that the honest ones have begun to dial on others' word for lookups, of each; and for how long they were there, in seconds. */
  readonly lookupDials: readonly (readonly [dials: number, seconds: number])[]
  readonly honest: number
  /** Seconds that it lied. */
  readonly seconds: number
  /** Names that any honest peer knows, but for the true ones. */
  readonly strangers: readonly string[]
  /** Tools that any honest peer knows beside the true one. */
  readonly falseTools: readonly string[]
  /** Of one that came in the middle: each call until one is answered, and until then in all; in milliseconds. */
  readonly during: readonly (number | string)[]
  readonly duringMs: number
  /** The same of one that came when the lying was over. */
  readonly after: readonly (number | string)[]
  readonly afterMs: number
  /** What the heap has grown by, collected before and after, in bytes. */
  readonly grownBytes: number
}

/** @param collect collects garbage, so that what is left counts */
export async function lies ({ lastsMs, perSecond, collect }: { lastsMs: number, perSecond: number, collect: () => void }): Promise<Toll> {
  // Everybody sees the liar, who came first, and the last who came.
  const row = new Row(came => [came[0], came.at(-1)])
  const sinceMs = new Map<Member, number>()
  const join = async (name: string): Promise<Member> => {
    const member = await row.join(name)
    sinceMs.set(member, performance.now())
    return member
  }
  const { swarm, network } = await row.join('liar', { dht: false })
  const keys = [keyOf(swarm.id, { kind: 'tool', name: TOOL }), keyOf(swarm.id, { kind: 'swarm' })]
  const liar = new DhtLiar(network, swarm.id, keys, () => row.members.map(member => member.swarm.peerId).filter(peerId => peerId !== swarm.peerId))
  try {
    await liar.begin(perSecond)
    const startedMs = performance.now()
    const host = await join('host')
    await offer(host, TOOL)
    const honest = [host]
    while (honest.length < HONEST) honest.push(await join(`peer ${honest.length}`))
    collect()
    const heapBytes = process.memoryUsage().heapUsed
    const searching = new AbortController()
    const searches = (async () => {
      for (let nth = 0; !searching.signal.aborted; nth++) {
        const { swarm } = honest[nth % honest.length] as Member
        await swarm.call(`nothing ${nth}`).then(() => { assert.unreachable('a tool that nobody has') }, () => undefined)
      }
    })()
    const leftMs = (): number => startedMs + lastsMs - performance.now()
    await new Promise(resolve => { setTimeout(resolve, Math.max(0, leftMs() - lastsMs / 2)) })
    const late = await join('late')
    const [during, duringMs] = await callUntil(late, host)
    await new Promise(resolve => { setTimeout(resolve, Math.max(0, leftMs())) })
    liar.stop()
    searching.abort()
    const seconds = (performance.now() - startedMs) / 1_000
    const last = await join('last')
    const [after, afterMs] = await callUntil(last, host)
    await within(10_000, 'the last search', searches)
    const all = [...honest, late, last]
    const lookupDials = await Promise.all(all.map(async member => [(await member.network.routing() as Libp2pRouting).dials, (performance.now() - (sinceMs.get(member) ?? 0)) / 1_000] as const))
    const names = new Set([...all.map(({ swarm }) => swarm.name), 'liar'])
    const strangers = all.flatMap(({ swarm }) => swarm.status().peers.map(({ name, peerId }) => name ?? peerId).filter(name => !names.has(name)))
    const falseTools = all.flatMap(({ swarm }) => swarm.tools({ all: true }).map(({ name }) => name).filter(name => name !== TOOL))
    collect()
    return {
      told: liar.told, refused: liar.refused, dialled: liar.dialled, lookupDials, honest: all.length, seconds, strangers, falseTools, during, duringMs, after, afterMs,
      grownBytes: process.memoryUsage().heapUsed - heapBytes
    }
  } finally {
    await liar.end()
    await row.close()
  }
}

/** Calls again and again until somebody answers. */
async function callUntil (caller: Member, host: Member): Promise<[(number | string)[], number]> {
  await until('a first neighbour', () => caller.swarm.peers().length > 0, 20_000)
  const calls: (number | string)[] = []
  const startedMs = performance.now()
  while (typeof calls.at(-1) !== 'number') {
    if (calls.length > 0) await new Promise(resolve => { setTimeout(resolve, AGAIN_MS) })
    assert.ok(performance.now() - startedMs < 60_000, `never called: ${calls.join()}`)
    calls.push(await callOnce(caller, TOOL, host))
  }
  return [calls, performance.now() - startedMs]
}
