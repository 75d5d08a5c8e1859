import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { Lab } from '../../lib/testing.ts'
import { until, within } from '../support/within.ts'

test('peers of a swarm share a document by its name', async () => {
  await using lab = new Lab()
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  assert.is(alice.status().documents, null)
  const [here, there] = await Promise.all([alice.document('notes'), bob.document('notes')])
  here.ydoc.getMap('todo').set('t1', 'buy milk')
  await within(10_000, 'synced', here.synced({ peers: 1 }))
  await until('bob has it', () => there.get('todo/t1') === 'buy milk')
  const { documents } = alice.status()
  assert.equal([documents?.durability, documents?.open.map(({ name, peers }) => [name, peers])], ['memory', [['notes', [{ peerId: bob.peerId, lag: 0 }]]]])
  assert.equal((await alice.documents()).map(({ name }) => name), ['notes'])
  assert.equal(JSON.parse(JSON.stringify(documents)), documents)
})

test('what was flushed is there at the next start, and closing a swarm flushes', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'mcp-swarm-test-'))
  try {
    for (const [round, expected] of [[1, undefined], [2, 1], [3, 2]] as const) {
      await using lab = new Lab()
      const swarm = await lab.join('alice', { dir })
      const notes = await swarm.document('notes')
      assert.is(notes.get('m/round'), expected)
      assert.is(notes.status().durability, 'strict')
      notes.set('m/round', round)
      if (round === 1) await notes.flushed()
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test('a swarm that is closed has no documents', async () => {
  await using lab = new Lab()
  const swarm = await lab.join('alice')
  const notes = await swarm.document('notes')
  await swarm.close()
  for (const attempt of [async () => await swarm.document('notes'), async () => await swarm.documents(), async () => { await notes.flushed() }]) {
    const error = await attempt().then(() => undefined, (thrown: unknown) => thrown)
    assert.ok(error instanceof SwarmError && error.code === 'CLOSED', String(error))
  }
})

test.run()
