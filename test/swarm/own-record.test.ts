import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mintGrant, verifyGrant } from '../../lib/access/grant.ts'
import { isGranted } from '../../lib/access/short-grant.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { Directory } from '../../lib/directory/directory.ts'
import { ADDRESSES_MAX } from '../../lib/directory/record.ts'
import { generateKey } from '../../lib/identity/key.ts'
import { Hosting } from '../../lib/swarm/hosting.ts'
import { Belonging } from '../../lib/swarm/membership.ts'
import { OwnRecord } from '../../lib/swarm/own-record.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { agent } from '../directory/sample.ts'
import { VirtualClock } from '../support/clock.ts'

const swarmKey = generateKey(seededRandom(1))
const key = generateKey(seededRandom(2))
const hash = 'h'.repeat(43)

function setUp (addresses?: readonly string[]): { own: OwnRecord, directory: Directory, membership: Belonging, mint: (untilMs: number) => [string, ReturnType<typeof verifyGrant>], clock: VirtualClock, told: () => number } {
  const clock = new VirtualClock()
  const mint = (memberUntilMs: number): [string, ReturnType<typeof verifyGrant>] => {
    const grant = mintGrant(swarmKey, { peerId: key.peerId, role: 'member', issuedAtMs: 1, memberUntilMs })
    return [grant, verifyGrant(grant, swarmKey.publicKey, key.peerId, 1)]
  }
  const [grant, terms] = mint(5_000)
  const membership = new Belonging({ kind: 'made', swarmPublicKey: swarmKey.publicKey, name: 'alice', grant, terms })
  const directory = new Directory(key.peerId)
  let tellings = 0
  const network = new MemoryHub({ clock }).network(key.peerId)
  if (addresses !== undefined) network.addresses = () => [...addresses]
  const own = new OwnRecord({
    swarmId: membership.swarmId, membership, key, name: 'alice', network, clock, random: seededRandom(3),
    hosting: new Hosting(() => {}, () => {}, () => {}), directory, documents: () => undefined,
    onChange: () => {}, tellOthers: () => { tellings++ }, onTrouble: (code, message) => { throw new SwarmError(code, message) }
  })
  return { own, directory, membership, mint, clock, told: () => tellings }
}

test('a record shows the grant from the first crowd on, a renewed one too, and the last word none', async () => {
  const { own, directory, membership, mint, clock, told } = setUp()
  const shown = (): string | undefined => directory.own?.record.grant
  const lasts = (nowMs: number): boolean => isGranted(shown() ?? '', swarmKey.publicKey, key.peerId, nowMs)
  own.begin(1)
  assert.equal([shown(), told()], [undefined, 1])
  own.showGrant()
  await clock.advance(1_000)
  assert.equal([lasts(4_999), lasts(5_000), told()], [true, false, 2])
  own.showGrant()
  own.announce()
  await clock.advance(1_000)
  assert.is(told(), 2, 'it says nothing new')
  await membership.renew(...mint(9_000))
  own.announce()
  await clock.advance(1_000)
  assert.equal([lasts(8_999), told()], [true, 3])
  own.leave()
  assert.equal([directory.own?.record.left, shown()], [true, undefined])
})

test('a machine with more addresses than a record holds tells some of each kind', () => {
  const { own, directory } = setUp([
    ...Array.from({ length: 12 }, (_, nth) => `/ip4/10.0.${nth}.1/tcp/1`), ...Array.from({ length: 12 }, (_, nth) => `/ip6/fd00:${nth}::1/tcp/1`), ...Array.from({ length: 12 }, (_, nth) => `/ip4/10.0.${nth}.1/tcp/2/ws`)
  ])
  own.begin(1)
  const told = directory.own?.record.addresses ?? []
  assert.is(told.length, ADDRESSES_MAX)
  for (const kind of [/ip4.*tcp.1$/, /ip6/, /ws$/]) assert.ok(told.filter(address => kind.test(address)).length >= 5, told.join())
})

test('room is kept for the grant before it is shown', () => {
  const { own } = setUp()
  const agents = (count: number): ReturnType<typeof agent>[] => Array.from({ length: count }, (_, index) => agent(`agent-${1_000 + index}`, hash))
  let fits = 0
  assert.throws(() => { own.checkFits(agents(30)) }, (error: unknown) => {
    fits = Number((error as SwarmError).details['fits'])
    return (error as SwarmError).code === 'TOO_LARGE'
  })
  assert.ok(fits === 17, `${fits} fit`)
  own.checkFits(agents(fits))
})

test.run()
