// bound: 40 s
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { powerLacks, provePower } from '../crdt/prove/power.ts'

const SEED = Number(process.env['SEED'] ?? 4127)
const CUTS = 5

const lacks = powerLacks()
if (lacks !== undefined) console.log(`\nneeds ${lacks}: tests skipped`)

const NAME = `${CUTS} power cuts, one of them of the bare control: nothing acknowledged is lost`
const run = async (): Promise<void> => {
  const { passed, notes } = await provePower(CUTS, SEED)
  console.log(`\nnote: ${notes.at(-1)}`)
  assert.is(passed, CUTS, notes.join('\n'))
}
if (lacks === undefined) test(NAME, run)
else test.skip(NAME, run)

test.run()
