import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock, type Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom, systemRandom } from '../../lib/base/random.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { ADDRESSES_MAX, NEIGHBOUR_BYTES_MAX, SCAN_MS, SURVEY_MS, openRendezvous, readNeighbour } from '../../lib/swarm/rendezvous.node.ts'
import type { Neighbour, Rendezvous } from '../../lib/swarm/rendezvous.ts'
import { VirtualClock } from '../support/clock.ts'
import { until } from '../support/within.ts'
import { becomeUser } from './user.ts'

const user = await becomeUser()
const opened: Rendezvous[] = []
let swarms = 0

interface Watcher { readonly peerId: string, readonly found: Map<string, Neighbour>, readonly rendezvous: Rendezvous, readonly troubles: (SwarmError | undefined)[] }

/** What would have taken the process down. */
const disasters: unknown[] = []
process.on('unhandledRejection', error => { disasters.push(error) })

test.after.each(async () => {
  for (let turn = 0; turn < 10; turn++) await new Promise(resolve => { setImmediate(resolve) })
  assert.equal(disasters.splice(0), [])
})

async function watchFrom (swarmId: string, addresses = ['/ip4/127.0.0.1/tcp/1'], clock: Clock = systemClock): Promise<Watcher> {
  const { peerId } = generateKey(systemRandom)
  const found = new Map<string, Neighbour>()
  const troubles: (SwarmError | undefined)[] = []
  const rendezvous = await openRendezvous({
    swarmId, peerId, clock, random: seededRandom(1),
    onFound: neighbour => { found.set(neighbour.peerId, neighbour) },
    onGone: gone => { found.delete(gone) },
    onTrouble: error => { troubles.push(error) }
  })
  opened.push(rendezvous)
  await rendezvous.announce(addresses)
  return { peerId, found, rendezvous, troubles }
}

function freshSwarm (): string {
  return `swarm-${++swarms}`
}

function folderOf (swarmId: string): string {
  return join(user.home, 'run', 'mcp-swarm', swarmId)
}

test.after(async () => {
  for (const rendezvous of opened) await rendezvous.close()
  await user.leave()
})

test('peers find those who were there before and those who come, and see them leave', async () => {
  const swarmId = freshSwarm()
  const early = await watchFrom(swarmId)
  const late = await watchFrom(swarmId, ['/ip4/127.0.0.1/tcp/2'])
  assert.equal([...late.found.keys()], [early.peerId])
  await until('the early one sees the late one', () => early.found.has(late.peerId))
  assert.equal(early.found.get(late.peerId), { peerId: late.peerId, addresses: ['/ip4/127.0.0.1/tcp/2'], processId: process.pid })
  await late.rendezvous.close()
  await until('the late one is gone', () => !early.found.has(late.peerId))
})

test('swarms do not see each other', async () => {
  const [one, other] = [await watchFrom(freshSwarm()), await watchFrom(freshSwarm())]
  const third = await watchFrom(freshSwarm())
  assert.is(one.found.size + other.found.size + third.found.size, 0)
})

test('the folder is closed to others, and a folder that is not is refused', async () => {
  const swarmId = freshSwarm()
  await watchFrom(swarmId)
  assert.is((await stat(folderOf(swarmId))).mode & 0o777, 0o700)
  for (const file of await readdir(folderOf(swarmId))) assert.is((await stat(join(folderOf(swarmId), file))).mode & 0o777, 0o600)

  const open = freshSwarm()
  await mkdir(folderOf(open))
  await writeFile(join(folderOf(open), 'planted.json'), '')
  await chmod(folderOf(open), 0o777)
  await watchFrom(open).then(() => { throw new Error('not refused') }, (error: unknown) => {
    if (!(error instanceof SwarmError)) throw error
    assert.is(error.code, 'FOLDER_UNUSABLE')
  })
})

test('a file swept away by others is written again', async () => {
  const swarmId = freshSwarm()
  const [one, other] = [await watchFrom(swarmId), await watchFrom(swarmId)]
  await rm(join(folderOf(swarmId), `${one.peerId}.json`))
  await until('it is back', () => existsSync(join(folderOf(swarmId), `${one.peerId}.json`)))
  await until('the other sees it', () => other.found.has(one.peerId))
})

test('a folder swept away by others is made again, and peers still find each other in it', async () => {
  const swarmId = freshSwarm()
  const [one, other] = [await watchFrom(swarmId), await watchFrom(swarmId)]
  await until('they have met', () => one.found.has(other.peerId))
  await rm(folderOf(swarmId), { recursive: true, maxRetries: 20, retryDelay: 1 }) // they may put a file back meanwhile
  await until('both are back', () => existsSync(join(folderOf(swarmId), `${one.peerId}.json`)) && existsSync(join(folderOf(swarmId), `${other.peerId}.json`)))
  assert.is((await stat(folderOf(swarmId))).mode & 0o777, 0o700)
  const third = await watchFrom(swarmId)
  await until('the third is found by both', () => one.found.has(third.peerId) && other.found.has(third.peerId))
  assert.equal([...third.found.keys()].sort(), [one.peerId, other.peerId].sort())
  assert.equal([...one.troubles, ...other.troubles], [])
})

test('a folder that cannot be used for a while is told of once, and used again afterwards', async () => {
  const swarmId = freshSwarm()
  const clock = new VirtualClock()
  const one = await watchFrom(swarmId, undefined, clock)
  const draft = join(folderOf(swarmId), `.${one.peerId}`)
  await mkdir(draft) // it can write no file
  await rm(join(folderOf(swarmId), `${one.peerId}.json`))
  await until('it is told of', () => one.troubles.length > 0)
  for (let round = 0; round < 3; round++) await clock.advance(2 * SCAN_MS)
  assert.equal(one.troubles.map(error => error?.code), ['FOLDER_UNUSABLE'])
  await rm(draft, { recursive: true })
  await clock.advance(2 * SCAN_MS)
  await until('it is back, and that is told', () => existsSync(join(folderOf(swarmId), `${one.peerId}.json`)) && one.troubles.length > 1)
  assert.equal(one.troubles.map(error => error?.code), ['FOLDER_UNUSABLE', undefined])
  await one.rendezvous.close()
  assert.is(clock.pending, 0)
})

test('a peer that can be dialled elsewhere is found there', async () => {
  const swarmId = freshSwarm()
  const [one, other] = [await watchFrom(swarmId), await watchFrom(swarmId)]
  await until('found', () => other.found.has(one.peerId))
  await one.rendezvous.announce(['/ip4/127.0.0.1/tcp/7', '/ip4/127.0.0.1/tcp/8'])
  await until('found elsewhere', () => other.found.get(one.peerId)?.addresses.length === 2)
})

test('a start that fails says so with its code, and leaves no file behind', async () => {
  const swarmId = freshSwarm()
  await mkdir(folderOf(swarmId), { recursive: true, mode: 0o700 })
  const { peerId } = generateKey(systemRandom)
  await mkdir(join(folderOf(swarmId), `.${peerId}`)) // its draft cannot be written
  const rendezvous = await openRendezvous({ swarmId, peerId, clock: systemClock, random: seededRandom(1), onFound () {}, onGone () {} })
  opened.push(rendezvous)
  const error = await rendezvous.announce([]).then(() => undefined, (thrown: unknown) => thrown)
  assert.instance(error, SwarmError)
  assert.is((error as SwarmError).code, 'FOLDER_UNUSABLE')
  assert.not.ok(existsSync(join(folderOf(swarmId), `${peerId}.json`)))
})

test('the file of a process that has ended is taken away once it could not be dialled; that of a living one stays', async () => {
  const swarmId = freshSwarm()
  const one = await watchFrom(swarmId)
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  const { peerId } = generateKey(systemRandom)
  const path = join(folderOf(swarmId), `${peerId}.json`)
  await writeFile(path, JSON.stringify({ v: 1, peerId, pid: child.pid, addresses: [] }))
  await until('it is found', () => one.found.has(peerId))
  await one.rendezvous.check(peerId)
  assert.not.ok(one.found.has(peerId))
  const other = await watchFrom(swarmId)
  await until('the other is found', () => one.found.has(other.peerId))
  await one.rendezvous.check(other.peerId)
  assert.ok(one.found.has(other.peerId))
})

test('a change that no watch told of is found at the next look at the folder, or at its files', async () => {
  const swarmId = freshSwarm()
  const [clock, wall] = [new VirtualClock(), systemClock]
  let aheadMs = 0
  const one = await watchFrom(swarmId, undefined, { nowMs: () => clock.nowMs(), after: (delayMs, callback) => clock.after(delayMs, callback), wallMs: () => wall.wallMs() + aheadMs })
  // The folder it watches is another's now: as deaf as where the system has no watches left.
  await rename(folderOf(swarmId), `${folderOf(swarmId)}-away`)
  await mkdir(folderOf(swarmId), { mode: 0o700 })
  for (const name of await readdir(`${folderOf(swarmId)}-away`)) await writeFile(join(folderOf(swarmId), name), await readFile(join(`${folderOf(swarmId)}-away`, name)))
  const write = async (port: number): Promise<string> => {
    const { peerId } = generateKey(systemRandom)
    await writeFile(join(folderOf(swarmId), `${peerId}.json`), JSON.stringify({ v: 1, peerId, pid: process.pid, addresses: [`/ip4/127.0.0.1/tcp/${port}`] }))
    return peerId
  }
  const first = await write(1)
  aheadMs = 3_600_000 // the folder's last change is long ago from now on
  await clock.advance(2 * SCAN_MS)
  await until('it is found', () => one.found.has(first))
  await clock.advance(2 * SCAN_MS) // that look was at a folder that had not changed
  const path = join(folderOf(swarmId), `${first}.json`)
  await writeFile(path, JSON.stringify({ v: 1, peerId: first, pid: process.pid, addresses: ['/ip4/127.0.0.1/tcp/22222'] })) // in place: no change of the folder
  await clock.advance(SURVEY_MS + 2 * SCAN_MS)
  await until('its other address is found', () => one.found.get(first)?.addresses[0] === '/ip4/127.0.0.1/tcp/22222')
  const second = await write(3)
  await clock.advance(2 * SCAN_MS)
  await until('the next one is found', () => one.found.has(second))
  await rm(path)
  await clock.advance(2 * SCAN_MS)
  await until('the first is gone', () => !one.found.has(first))
})

test('a thousand files of rubbish cost nothing but themselves', async () => {
  const swarmId = freshSwarm()
  const one = await watchFrom(swarmId)
  const rubbish = ['', '{', '[]', 'null', '{"v":1}', 'x'.repeat(NEIGHBOUR_BYTES_MAX + 1)]
  for (let index = 0; index < 1_000; index++) {
    const { peerId } = index % 100 === 0 ? generateKey(systemRandom) : { peerId: `no-peer-${index}` }
    await writeFile(join(folderOf(swarmId), `${peerId}.json`), rubbish[index % rubbish.length] ?? '')
  }
  await symlink('/dev/zero', join(folderOf(swarmId), `${generateKey(systemRandom).peerId}.json`))
  const other = await watchFrom(swarmId)
  await until('the real one is found', () => one.found.has(other.peerId))
  assert.equal([...one.found.keys()], [other.peerId])
})

const { peerId } = generateKey(seededRandom(2))
for (const [what, text] of [
  ['broken JSON', '{'],
  ['another version', JSON.stringify({ v: 2, peerId, pid: 1, addresses: [] })],
  ['another peer', JSON.stringify({ v: 1, peerId: generateKey(seededRandom(3)).peerId, pid: 1, addresses: [] })],
  ['a process id that is no number', JSON.stringify({ v: 1, peerId, pid: '1', addresses: [] })],
  ['addresses that are no texts', JSON.stringify({ v: 1, peerId, pid: 1, addresses: [7] })]
] as const) {
  test(`passes over ${what}`, () => { assert.is(readNeighbour(text, peerId), undefined) })
}

test('takes a bounded number of addresses', () => {
  const addresses = Array.from({ length: ADDRESSES_MAX + 1 }, (_, index) => `/ip4/127.0.0.1/tcp/${index}`)
  assert.is(readNeighbour(JSON.stringify({ v: 1, peerId, pid: 1, addresses }), peerId)?.addresses.length, ADDRESSES_MAX)
})

test.run()
