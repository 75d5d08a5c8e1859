// bound: 240 s, a load
/** Peers that find each other through the swarm's hash table alone, over real sockets on loopback: directory gossip is off. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemRandom } from '../../lib/base/random.ts'
import type { SwarmError } from '../../lib/base/error.ts'
import { until, within } from '../support/within.ts'
import { Row, callOnce, isProvided, offer, plainly, type Member } from './row.ts'

const PEERS = 20

/** Peers that come when the others are there, one after another, and call at once. */
const NEWCOMERS = 7

/** How soon a tool has to be found and called, in milliseconds. */
const BAR_MS = 2_000

const hasMet = ({ swarm }: Member, host: Member): boolean => swarm.peers().some(({ peerId }) => peerId === host.swarm.peerId)

test(`${PEERS - 1} peers that start at once, and then one more: it finds and calls a tool of a peer that it has never met, at the first attempt`, async () => {
  const place = Math.floor(systemRandom.next() * (PEERS - 1))
  let hostId: string | undefined
  // Each sees the one that came before it, but nobody the host: that one has dialled somebody itself.
  const row = new Row(came => [came.filter(({ peerId }) => peerId !== hostId).at(-1)])
  try {
    await within(220_000, 'the scene', (async () => {
      const startedMs = performance.now()
      let host: Member | undefined
      await Promise.all(Array.from({ length: PEERS - 1 }, async (_, index) => {
        const member = await row.join(`peer ${index}`)
        if (index !== place) return
        host = member
        hostId = member.swarm.peerId
        await offer(member, 'whisper')
      }))
      if (host === undefined) return assert.unreachable()
      const witness = row.members.find(member => member !== host) as Member
      // They are all one process's work: it is there when everybody finds it.
      for (const member of row.members) if (member !== host) await isProvided(member, { kind: 'tool', name: 'whisper' })
      console.log(`\nnote: ${PEERS - 1} peers started at once, the host as number ${place}: all of them find its tool after ${(performance.now() - startedMs).toFixed(0)} ms`)

      const took: (number | string)[] = []
      let caller = witness
      for (let nth = 0; nth < NEWCOMERS; nth++) {
        caller = await row.join(`newcomer ${nth}`)
        await until('a first neighbour', () => caller.swarm.peers().length > 0, 20_000)
        assert.not(hasMet(caller, host), 'they have not met')
        assert.equal(caller.swarm.find({ tool: 'whisper', all: true }), [])
        took.push(await callOnce(caller, 'whisper', host))
        if (nth < NEWCOMERS - 1) await row.leave(caller)
      }
      const sorted = took.map(each => typeof each === 'number' ? each : Infinity).sort((left, right) => left - right)
      const [median = Infinity, worst = Infinity] = [sorted[Math.floor(NEWCOMERS / 2)], sorted.at(-1)]
      console.log(`note: each newcomer's first attempt: median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms, bar ${BAR_MS} ms (${took.map(each => typeof each === 'number' ? each.toFixed(0) : each).join(', ')})`)
      // Twenty peers are one process's work: beside other test files the worst says how busy the machine is. Each has to succeed, though.
      assert.ok(median <= BAR_MS && worst < Infinity, took.join(', '))

      const refusedMs = performance.now()
      const error = await caller.swarm.call('no-such-tool').then(() => undefined, (thrown: unknown) => thrown as SwarmError)
      assert.is(error?.code, 'UNKNOWN_TOOL')
      assert.ok(performance.now() - refusedMs <= BAR_MS + 500, 'a tool that nobody has is said to be unknown within the same bound')
    })())
  } catch (error) {
    throw plainly(error)
  } finally {
    await row.close()
  }
})

test.run()
