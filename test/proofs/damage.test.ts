import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { proveDamage } from '../crdt/prove/damage.ts'

const SEED = Number(process.env['SEED'] ?? 4127)

test('each of 60 damaged copies of a folder opens exactly, or says that it is damaged', async () => {
  const { passed, failed, notes } = await proveDamage(60, SEED)
  console.log(`\nnote: ${notes.at(-1)}`)
  assert.equal([passed, failed], [60, 0], notes.join('\n'))
})

test('without the witness some damage goes unnoticed: the run can fail', async () => {
  const { failed, notes } = await proveDamage(40, SEED, false)
  assert.ok(failed > 0, notes.join('\n'))
})

test.run()
