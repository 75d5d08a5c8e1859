/** What the hash table costs twenty peers at rest, and what it takes to be found in it while a member lies there. */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { lies } from '../../test/reach/dht-lies.ts'
import { Row } from '../../test/reach/row.ts'
import { isSmoke, ms, report } from '../rig.ts'

const PEERS = isSmoke ? 4 : 20
/** How long until nothing is left of the start: keys are provided anew 5 and 30 s after they were first, if the table has changed. */
const SETTLE_MS = isSmoke ? 1_000 : 5_000
const SETTLE_TABLE_MS = isSmoke ? 1_000 : 40_000
const REST_MS = isSmoke ? 1_000 : 25_000
const LIES_MS = isSmoke ? 2_000 : 60_000
const LIES_PER_SECOND = 50

const sockets = new Set<Socket>()
for (const side of ['client', 'server']) {
  subscribe(`net.${side}.socket`, message => {
    const { socket } = message as { socket: Socket }
    sockets.add(socket)
  })
}

const written = (): number => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, 0)
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** Of each peer, when they know each other and nothing happens: bytes sent a second, and part of a core. */
async function costAtRest (dht: boolean): Promise<{ readonly bytes: number, readonly part: number }> {
  sockets.clear()
  const row = new Row(came => came)
  await Promise.all(Array.from({ length: PEERS }, async (_, index) => await row.join(`peer ${index}`, { dht })))
  await new Promise(resolve => { setTimeout(resolve, dht ? SETTLE_TABLE_MS : SETTLE_MS) })
  const [bytes, cpu, startedMs] = [written(), cpuMs(), performance.now()]
  await new Promise(resolve => { setTimeout(resolve, REST_MS) })
  const seconds = (performance.now() - startedMs) / 1_000
  const cost = { bytes: (written() - bytes) / seconds / PEERS, part: (cpuMs() - cpu) / 1_000 / seconds / PEERS }
  await row.close()
  return cost
}

export async function atRest (): Promise<void> {
  const [without, with_] = [await costAtRest(false), await costAtRest(true)]
  const percent = (part: number): string => `${(part * 100).toFixed(2)} %`
  report(`${PEERS} peers at rest: each sends, and uses of a core`, `${without.bytes.toFixed(0)} B/s, ${percent(without.part)}`, '')
  report('the same with the hash table', `${with_.bytes.toFixed(0)} B/s, ${percent(with_.part)}`, 'bar 1 KB/s more')
}

export async function amidLies (): Promise<void> {
  setFlagsFromString('--expose-gc')
  const toll = await lies({ lastsMs: LIES_MS, perSecond: LIES_PER_SECOND, collect: runInNewContext('gc') as () => void })
  const lookups = toll.lookupDials.reduce((sum, [dials]) => sum + dials, 0)
  report(`${toll.told} lies in the hash table in ${toll.seconds.toFixed(0)} s to ${toll.honest} peers: dials`, `${lookups} by lookups, ${toll.dialled} sockets`, 'bounded')
  report('peers and tools that were made up, and are in a directory', `${toll.strangers.length + toll.falseTools.length}`, 'bar 0')
  report('what the heap has grown by', `${(toll.grownBytes / 2 ** 20).toFixed(1)} MiB`, 'bounded')
  report('a peer that comes amid the lies finds and calls a tool', `${ms(toll.duringMs)}, attempt ${toll.during.length}`, '')
  report('one that comes after them', `${ms(toll.afterMs)}, attempt ${toll.after.length}`, 'bar 30,000 ms')
}
