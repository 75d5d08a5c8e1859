// bound: 120 s, a load
/** A member that lies in the hash table changes nothing at the others, costs few dials, and keeps nobody from being found. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DISTRUST_MS, VAIN_DIALS_MAX } from '../../lib/base/trust.ts'
import { COMPANY_MAX } from '../../lib/swarm/finding.ts'
import { HINT_ATTEMPTS_MAX } from '../../lib/swarm/neighbours.ts'
import { TRIES_AT_ONCE } from '../../lib/swarm/search.ts'
import { DIALS_AT_ONCE_MAX, DIALS_PER_SECOND } from '../../transports/libp2p/routing-reach.ts'
import { within } from '../support/within.ts'
import { lies } from './dht-lies.ts'
import { plainly } from './row.ts'

const LIES_MS = 6_000

/** How soon an honest peer is found after the lies, in milliseconds. */
const BAR_MS = 30_000

/** More than a moment of lies may leave behind: seven peers and their streams, not what was poured over them. */
const GROWN_BYTES_MAX = 64 * 2 ** 20

/** Addresses that the liar gives for each. */
const SINKS = 2

const disasters: unknown[] = []
process.on('uncaughtException', error => { disasters.push(error) })
process.on('unhandledRejection', error => { disasters.push(error) })

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test('a member that lies in the hash table changes nothing, costs few dials, and keeps nobody from being found', async () => {
  const toll = await within(100_000, 'the lies', lies({ lastsMs: LIES_MS, perSecond: 50, collect })).catch((error: unknown) => { throw plainly(error) })
  const { told, refused, dialled, lookupDials, during, duringMs, after, afterMs, grownBytes, seconds, honest } = toll
  console.log(`\nnote: ${told} lies in ${seconds.toFixed(1)} s to ${honest} peers, ${refused} of them cut off: ${dialled} connections to where nobody is; lookups dialled ${lookupDials.map(([dials]) => dials).join(', ')} peers`)
  console.log(`note: found and called amid lies in ${duringMs.toFixed(0)} ms (${during.map(String).join(', ')}), after them in ${afterMs.toFixed(0)} ms (${after.map(String).join(', ')}); heap grew by ${(grownBytes / 2 ** 20).toFixed(1)} MiB`)
  assert.equal(disasters, [])
  assert.equal([toll.strangers, toll.falseTools], [[], []])
  for (const [dials, sinceSeconds] of lookupDials) assert.ok(dials <= DIALS_AT_ONCE_MAX + DIALS_PER_SECOND * sinceSeconds + 1, `${dials} dials in ${sinceSeconds} s`)
  const lookups = lookupDials.reduce((sum, [dials]) => sum + dials, 0)
  const searches = (VAIN_DIALS_MAX + TRIES_AT_ONCE) * Math.ceil(1 + seconds * 1_000 / DISTRUST_MS)
  const most = SINKS * (lookups + honest * (searches + COMPANY_MAX * HINT_ATTEMPTS_MAX))
  assert.ok(told > 100 && dialled > 0 && dialled <= most, `${told} lies, ${dialled} connections, at most ${most}`)
  assert.ok(refused > 0, 'what is too much is cut off')
  assert.ok(duringMs <= BAR_MS && afterMs <= BAR_MS, `${duringMs} and ${afterMs} ms`)
  assert.ok(grownBytes <= GROWN_BYTES_MAX, `${grownBytes} bytes`)
})

test.run()
