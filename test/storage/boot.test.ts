import { existsSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readBoot } from '../../lib/storage/boot.node.ts'

const LINUX = '/proc/sys/kernel/random/boot_id'

test('a start of the machine has one name', async () => {
  const name = await readBoot()
  assert.is(await readBoot(), name)
  assert.match(name, existsSync(LINUX) ? /^[0-9a-f-]{36}$/ : /^started \d+$/)
})

test('where nobody counts starts, the time of this one is its name', async () => {
  const [first, again] = await Promise.all([readBoot('/no/such/file'), readBoot('/no/such/file')])
  assert.match(first, /^started \d+$/)
  // A tick of the clock may lie between the two.
  assert.ok(Math.abs(Number(first.slice(8)) - Number(again.slice(8))) <= 1, `${first}, ${again}`)
})

test.run()
