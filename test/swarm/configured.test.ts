// bound: 120 s
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { parseConfig, type Config } from '../../lib/swarm/config.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab } from '../../lib/testing.ts'
import { serverPath } from '../support/servers.ts'
import { until, within } from '../support/within.ts'

const ALONE = serverPath('alone')
let lab = new Lab()
let folder = ''

test.before.each(() => {
  lab = new Lab()
  folder = mkdtempSync(join(tmpdir(), 'mcs-configured-'))
})
test.after.each(async () => {
  await within(20_000, 'closing', lab.close())
  rmSync(folder, { recursive: true, force: true })
})

/** Shares servers by name, each with the arguments that `who` tells. */
function config (args: Record<string, string>, swarm: object = {}): Config {
  const mcpServers = Object.fromEntries(Object.entries(args).map(([name, arg]) => [name, { command: process.execPath, args: [ALONE, join(folder, name), arg] }]))
  return parseConfig(JSON.stringify({ mcpServers, swarm: { share: Object.keys(args), ...swarm } }), { path: 'mcp.json', env: {} })
}

async function serves (swarm: Swarm, ...names: string[]): Promise<void> {
  const running = (): string => swarm.status().agents.filter(({ available }) => available).map(({ name }) => name).sort().join()
  await until(`${names.join()} to run and nothing else`, () => running() === [...names].sort().join() && swarm.status().agents.length === names.length, 20_000)
}

/** @returns pid and arguments */
async function who (swarm: Swarm, agent: string): Promise<string> {
  const { content: [block] } = await swarm.call('who', {}, { agent })
  return (block as { text: string }).text
}

test('starts what is new, ends what is gone, starts anew what is another, and leaves the rest alone', async () => {
  const desk = await lab.join('desk', { config: config({ keep: '1', change: '1', drop: '1' }) })
  await serves(desk, 'keep', 'change', 'drop')
  const [keep, change] = [await who(desk, 'keep'), await who(desk, 'change')]
  const drop = Number((await who(desk, 'drop')).split(' ')[0])
  const told: unknown[] = []
  desk.on('config:changed', changes => { told.push(changes) })
  const expected = { added: ['fresh'], removed: ['drop'], replaced: ['change'], allowed: [], atRestart: ['name'] }
  assert.equal(await desk.reconfigure(config({ keep: '1', change: '2', fresh: '1' }, { name: 'other' })), expected)
  assert.throws(() => process.kill(drop, 0), /ESRCH/)
  await serves(desk, 'keep', 'change', 'fresh')
  assert.is(await who(desk, 'keep'), keep, 'its process lives on')
  assert.match(await who(desk, 'change'), / 2$/)
  assert.not.equal((await who(desk, 'change')).split(' ')[0], change.split(' ')[0])
  assert.is(desk.name, 'desk')
  await desk.reconfigure(config({ keep: '1', change: '2', fresh: '1' }, { name: 'other' }))
  assert.equal(told, [expected], 'of nothing, nothing is told')
})

test('allow counts at once, without starting the server anew, for those let in and those put out', async () => {
  const open = { s: '1' }
  const desk = await lab.join('desk', { config: config(open, { allow: { s: [] } }) })
  const guest = await lab.join('guest')
  await serves(desk, 's')
  const pid = readFileSync(join(folder, 's'), 'utf8')
  await guest.joined()
  assert.equal(guest.find({ tool: 'who' }), [])
  assert.equal((await desk.reconfigure(config(open))).allowed, ['s'])
  await within(10_000, 'the guest to see it', guest.offered({ tool: 'who' }))
  assert.is(await who(guest, 's'), `${pid} 1`)
  await desk.reconfigure(config(open, { allow: { s: ['role:member'] } }))
  await desk.reconfigure(config(open, { allow: { s: [`peer:${desk.peerId}`] } }))
  const refused = await guest.call('who', {}, { agent: 's' }).then(() => undefined, (error: unknown) => error)
  assert.is(refused instanceof SwarmError && refused.code, 'FORBIDDEN')
  await desk.reconfigure(config(open))
  await within(10_000, 'the guest to see it again', guest.offered({ tool: 'who' }))
  assert.is(await who(guest, 's'), `${pid} 1`)
})

test('a hundred changes at once end in the last, and never in two processes of one server', async () => {
  const desk = await lab.join('desk', { config: config({ a: '0', b: '0' }) })
  await within(60_000, 'all changes', Promise.all(Array.from({ length: 100 }, async (_, index) => {
    await desk.reconfigure(index % 3 === 0 ? config({ b: '0' }) : config({ a: String(index), b: '0' }))
  })))
  await desk.reconfigure(config({ a: 'last', b: '0' }))
  await serves(desk, 'a', 'b')
  assert.match(await who(desk, 'a'), / last$/)
  for (const name of ['a', 'b']) {
    const twice = join(folder, `${name}.twice`)
    assert.not.ok(existsSync(twice), existsSync(twice) ? readFileSync(twice, 'utf8') : '')
  }
})

test('what the program shares itself is not touched, nor taken over', async () => {
  const desk = await lab.join('desk')
  await desk.share({ command: process.execPath, args: [ALONE, join(folder, 'own'), 'by hand'] }, { name: 'own' })
  const own = await who(desk, 'own')
  await desk.reconfigure(config({ own: 'by file', more: '1' }))
  await serves(desk, 'own', 'more')
  assert.ok(desk.status().troubles.some(({ code, message }) => code === 'AGENT_EXISTS' && message.startsWith('server own is not shared')))
  await desk.reconfigure(config({}))
  await serves(desk, 'own')
  assert.is(await who(desk, 'own'), own)
})

test('a config that cannot be taken over is a trouble until one can', async () => {
  const desk = await lab.join('desk', { config: config({ a: '1' }) })
  const told: string[] = []
  desk.on('trouble', ({ message }) => { told.push(message) })
  desk.on('trouble:over', ({ message }) => { told.push(`over: ${message}`) })
  for (const message of ['first', 'first', 'second']) desk.refuseConfig(new SwarmError('CONFIG_INVALID', message))
  assert.equal(desk.status().troubles.map(({ code, message }) => [code, message]), [['CONFIG_INVALID', 'second']])
  await desk.reconfigure(config({ a: '1' }))
  assert.equal(told, ['first', 'second', 'over: second'])
  assert.equal(desk.status().troubles, [])
})

test('closing in the middle of a change leaves no process behind', async () => {
  const desk = await lab.join('desk', { config: config({ a: '1' }) })
  await serves(desk, 'a')
  const changing = desk.reconfigure(config({ a: '2', b: '1' })).then(() => 'done', (error: unknown) => (error as SwarmError).code)
  await desk.close()
  assert.ok(['done', 'CLOSED'].includes(await within(10_000, 'the change', changing)))
  for (const name of ['a', 'b']) {
    if (!existsSync(join(folder, name))) continue
    const pid = Number(readFileSync(join(folder, name), 'utf8'))
    assert.throws(() => process.kill(pid, 0), /ESRCH/)
  }
})

test.run()
