import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { until, within } from '../support/within.ts'
import { connect, run, untilEqual } from './rig.ts'

test('what one peer changes appears at another, and counts as synced when it is on disk there', async () => {
  const hub = new MemoryHub()
  const [alice, bob] = [run(hub), run(hub)]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  here.ydoc.getMap('todo').set('t1', 'buy milk')
  await within(5_000, 'flushed', here.flushed())
  await until('bob has it', () => there.ydoc.getMap('todo').get('t1') === 'buy milk')
  await within(5_000, 'synced', here.synced({ peers: 1 }))
  assert.equal(bob.witness.count > 0, true)
  there.ydoc.getMap('todo').set('t2', 'and bread')
  await until('alice has it', () => here.ydoc.getMap('todo').get('t2') === 'and bread')
  await untilEqual(here, there)
  assert.equal([alice.troubles, bob.troubles], [[], []])
  await Promise.all([alice.close(), bob.close()])
})

test.run()
