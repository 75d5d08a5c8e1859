import { networkInterfaces } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { listInterfaces, watchInterfaces } from '#interfaces'
import { VirtualClock } from '../support/clock.ts'

test('every address of the system is listed, with its network', () => {
  const listed = listInterfaces()
  assert.equal(listed.map(({ address }) => address).sort(), Object.values(networkInterfaces()).flatMap(all => (all ?? []).map(({ address }) => address)).sort())
  const loopback = listed.find(({ address }) => address === '127.0.0.1')
  assert.equal([loopback?.family, loopback?.bits, loopback?.isInternal], [4, 8, true])
})

test('one look serves all who watch, and ends with the last of them', async () => {
  const clock = new VirtualClock()
  const stops = [1, 2, 3].map(() => watchInterfaces(clock, () => { assert.unreachable('nothing has changed') }))
  assert.is(clock.pending, 1)
  await clock.advance(10_000)
  assert.is(clock.pending, 1)
  for (const stop of stops) stop()
  assert.is(clock.pending, 0)
  watchInterfaces(clock, () => {})()
  assert.is(clock.pending, 0)
})

test.run()
