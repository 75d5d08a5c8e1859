import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { proveKill } from '../crdt/prove/kill.ts'

const SEED = Number(process.env['SEED'] ?? 4127)

test('three times kill -9 in one folder: nothing acknowledged is lost, nothing is told damaged', async () => {
  const { passed, notes } = await proveKill(3, SEED)
  console.log(`\nnote: ${notes.at(-1)}`)
  assert.is(passed, 3, notes.join('\n'))
})

test.run()
