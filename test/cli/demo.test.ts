// bound: 180 s
import { mkdirSync, readdirSync } from 'node:fs'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Home } from './home.ts'

const home = new Home()
const temporary = home.path('tmp')
mkdirSync(temporary)

test.after(async () => { await home.close() })

test('verifies every step, says so to a program, and leaves nothing behind', async () => {
  const { code, stdout, stderr } = await home.run(['demo', '--json'], { env: { TMPDIR: temporary }, boundMs: 70_000 })
  assert.is(code, 0, stdout + stderr)
  const { ok, servers, steps, figures } = JSON.parse(stdout) as { ok: boolean, servers: string[], steps: unknown[], figures: Record<string, number> }
  assert.is(ok, true)
  assert.equal(servers, ['everything', 'filesystem', 'memory'])
  assert.is(steps.length, 13)
  assert.is(Object.keys(figures).length, 5)
  assert.ok(Object.values(figures).every(ms => ms > 0), stdout)
  assert.equal(readdirSync(temporary), [])
  assert.equal(readdirSync(home.path('run')), [], "the user's own swarm is not touched")
})

test('ends what it started when it is interrupted', async () => {
  const demo = home.start(['demo'], { env: { TMPDIR: temporary } })
  await demo.until(() => demo.lines.some(line => line.includes('✓')) ? true : undefined, 'the first step')
  demo.child.kill('SIGINT')
  const { code, stderr } = await demo.outcome()
  assert.is(code, 1)
  assert.match(stderr, 'ABORTED')
  assert.equal(readdirSync(temporary), [])
})

test.run()
