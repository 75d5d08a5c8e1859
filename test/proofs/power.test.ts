import { readlinkSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { enterOwnMounts, powerLacks, provePower } from '../crdt/prove/power.ts'

const SEED = Number(process.env['SEED'] ?? 4127)
const CUTS = 5

enterOwnMounts()
const lacks = powerLacks()
if (lacks !== undefined) console.log(`\nneeds ${lacks}: tests skipped`)

const define = (name: string, run: () => void | Promise<void>): void => { lacks === undefined ? test(name, run) : test.skip(name, run) }

define(`${CUTS} power cuts, one of them of the bare control: nothing acknowledged is lost`, async () => {
  const { passed, notes } = await provePower(CUTS, SEED)
  console.log(`\nnote: ${notes.at(-1)}`)
  assert.is(passed, CUTS, notes.join('\n'))
})

define('what it mounts is seen by no process that it has not started', () => {
  assert.is.not(readlinkSync('/proc/self/ns/mnt'), readlinkSync(`/proc/${process.ppid}/ns/mnt`))
})

test.run()
