import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Directory } from '../../lib/directory/directory.ts'
import { GRACE_MS } from '../../lib/directory/places.ts'
import { LEASE_MS } from '../../lib/directory/record.ts'
import { Sightings } from '../../lib/swarm/sightings.ts'
import { Telling } from '../../lib/swarm/telling.ts'
import { keyOf, signed } from '../directory/sample.ts'

test('of peers that may be made up no more are kept in mind than before there were too many, and none once they are gone', () => {
  const directory = new Directory(keyOf(1).peerId, { peersMax: 100, shownMin: 12, unprovenMax: 20 })
  directory.setOwn(...signed(keyOf(1)))
  const [sightings, telling, left] = [new Sightings(), new Telling(), [] as string[]]
  telling.events.on('peer:left', ({ peerId }) => { left.push(peerId) })
  const tell = (changes: Parameters<Telling['changed']>[0]): void => {
    telling.changed(changes, {
      see: (peerId, addresses, source) => { sightings.see(peerId, addresses, source, 0) },
      unsee: (peerId, source) => { sightings.unsee(peerId, source) },
      forget: peerId => { sightings.unsee(peerId, 'record') },
      gone: () => {}
    }, peerId => !directory.isCrowded || directory.isProven(peerId))
  }
  const member = keyOf(2)
  for (let seed = 1_000; seed < 1_060; seed++) tell(directory.merge(...signed(keyOf(seed)), 0).changes)
  tell(directory.merge(...signed(member), 0, { isProven: true }).changes)
  assert.ok(sightings.has(member.peerId, 'record'))
  assert.is(sightings.size, 11)
  tell(directory.tick(0))
  tell(directory.tick(GRACE_MS))
  assert.is(left.length, 40)
  for (const peerId of left) assert.not.ok(sightings.has(peerId, 'record'))
  tell(directory.tick(LEASE_MS))
  tell(directory.tick(4 * LEASE_MS))
  assert.equal(sightings.peers(), [member.peerId])
})

test.run()
