// bound: 180 s
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { serverPath } from '../support/servers.ts'
import { Home, type Facts, type Outcome, type Running } from './home.ts'

const ALONE = serverPath('alone')
const test = suite('watch')

let home: Home
let peers: Running[] = []
test.before.each(() => {
  home = new Home()
  peers = []
})
test.after.each(async () => {
  // By asking: a server that is left alone could still write its file.
  for (const { child } of peers) child.kill('SIGTERM')
  for (const peer of peers) await peer.outcome()
  await home.close()
})

/** A config that shares servers by name, each with the arguments that its tool `who` tells. */
function config (args: Record<string, string>, swarm: object = {}): string {
  const mcpServers = Object.fromEntries(Object.entries(args).map(([name, arg]) => [name, { command: process.execPath, args: [ALONE, home.path(name), arg] }]))
  return JSON.stringify({ mcpServers, swarm: { share: Object.keys(args), ...swarm } }, null, 2)
}

const json = ({ stdout }: Outcome): Facts => JSON.parse(stdout) as Facts
const dir = (): string => home.path('peer')

async function up (path: string, args: string[] = ['--json']): Promise<Running> {
  const running = home.start(['up', '--port', '0', '--dir', dir(), '--config', path, ...args])
  peers.push(running)
  await running.until(() => running.lines[0], 'its first line')
  return running
}

async function changed (running: Running, matches: (facts: Facts) => boolean): Promise<Facts> {
  return await running.event(facts => facts['event'] === 'config:changed' && matches(facts), 'the change')
}

async function who (agent: string): Promise<string> {
  const outcome = await home.run(['call', 'who', '--agent', agent, '--dir', dir()])
  assert.is(outcome.code, 0, outcome.stderr)
  return outcome.stdout.trim()
}

const has = (facts: Facts, kind: string, name: string): boolean => (facts[kind] as string[]).includes(name)

for (const [how, save] of [
  ['written in place', (path: string, text: string) => { writeFileSync(path, text) }],
  ['replaced by a rename', (path: string, text: string) => {
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }],
  ['moved away, then made anew', (path: string, text: string) => {
    renameSync(path, `${path}~`)
    writeFileSync(path, text)
  }]
] as const) {
  test(`a config that is ${how} is taken over, and other servers run on`, async () => {
    const path = home.write('a.json', config({ keep: '1', drop: '1' }))
    const running = await up(path)
    await running.serves('keep')
    const keep = await who('keep')
    save(path, config({ keep: '1', fresh: '1' }))
    const facts = await changed(running, () => true)
    assert.equal(facts, { event: 'config:changed', added: ['fresh'], removed: ['drop'], replaced: [], allowed: [], atRestart: [] })
    await running.serves('fresh')
    assert.match(await who('fresh'), / 1$/)
    const mark = running.lines.length
    save(path, config({ keep: '1', fresh: '2' }, { name: 'other' }))
    assert.equal((await changed(running, facts => has(facts, 'replaced', 'fresh')))['atRestart'], ['name'])
    await running.serves('fresh', mark)
    assert.match(await who('fresh'), / 2$/)
    assert.is(await who('keep'), keep)
  })
}

test('a folder that is replaced, and a link to another file, are seen by looking', async () => {
  mkdirSync(home.path('conf'))
  home.write('conf/a.json', config({ a: '1' }))
  mkdirSync(home.path('link'))
  symlinkSync(home.path('conf', 'a.json'), home.path('link', 'a.json'))
  const running = await up(home.path('link', 'a.json'))
  mkdirSync(home.path('next'))
  home.write('next/a.json', config({ a: '1', b: '1' }))
  renameSync(home.path('conf'), home.path('old'))
  renameSync(home.path('next'), home.path('conf'))
  await changed(running, facts => has(facts, 'added', 'b'))
  rmSync(home.path('link'), { recursive: true })
  mkdirSync(home.path('link'))
  home.write('link/a.json', config({ b: '1' }))
  await changed(running, facts => has(facts, 'removed', 'a'))
  home.write('link/a.json', config({ b: '1', c: '1' }))
  await changed(running, facts => has(facts, 'added', 'c'))
})

test('a broken config is a trouble with its place until it is mended; what was shared goes on', async () => {
  const path = home.write('a.json', config({ a: '1' }))
  const running = await up(path)
  await running.serves('a')
  const before = await who('a')
  writeFileSync(path, '{\n  "mcpServers": {}\n  "swarm": {}\n}')
  const trouble = await running.event(facts => facts['event'] === 'trouble', 'the trouble')
  assert.is(trouble['code'], 'CONFIG_INVALID')
  assert.is(trouble['message'], `${path}:3:3: expected a comma; what was shared before goes on`)
  const status = json(await home.run(['status', '--json', '--dir', dir()]))
  assert.equal((status['troubles'] as Facts[]).map(({ message }) => message), [trouble['message']])
  assert.match((await home.run(['status', '--dir', dir()])).stdout, `CONFIG_INVALID: ${path}:3:3`)
  assert.is(await who('a'), before)
  writeFileSync(path, config({ a: '1' }))
  const over = await running.event(facts => facts['event'] === 'trouble:over', 'its end')
  assert.is(over['message'], trouble['message'])
  assert.equal(json(await home.run(['status', '--json', '--dir', dir()]))['troubles'], [])
  assert.is(await who('a'), before)
  assert.not.ok(running.lines.some(line => line.includes('config:changed')))
})

test('a config that vanishes is told after a while, and taken over when it comes back', async () => {
  const path = home.write('a.json', config({ a: '1' }))
  const running = await up(path)
  await running.serves('a')
  rmSync(path)
  const trouble = await running.event(facts => facts['event'] === 'trouble', 'the trouble')
  assert.is(trouble['message'], `there is no config file ${path}; what was shared before goes on`)
  await who('a')
  writeFileSync(path, config({ b: '1' }))
  await running.event(facts => facts['event'] === 'trouble:over', 'its end')
  await changed(running, facts => has(facts, 'added', 'b') && has(facts, 'removed', 'a'))
})

test('allow counts at once, for a peer that knew nothing of the server and for one that did', async () => {
  const path = home.write('a.json', config({ a: '1' }, { allow: { a: [] } }))
  const running = await up(path)
  const { peerId } = await running.event(({ event }) => event === 'ready', 'ready')
  await running.serves('a')
  const pid = readFileSync(home.path('a'), 'utf8')
  const guest = home.start(['up', '--json', '--port', '0', '--dir', home.path('guest')])
  peers.push(guest)
  await guest.until(() => guest.lines.find(line => line.includes('answers FORBIDDEN')), 'the guest to hear of it')
  const call = async (): Promise<Outcome> => await home.run(['call', 'who', '--agent', 'a', '--dir', home.path('guest')])
  assert.is((await call()).code, 1)
  writeFileSync(path, config({ a: '1' }))
  await changed(running, facts => has(facts, 'allowed', 'a'))
  await guest.event(({ event, name, tools }) => event === 'agent:changed' && name === 'a' && tools === 1, 'the guest to be let in')
  assert.is((await call()).stdout, `${pid} 1\n`)
  writeFileSync(path, config({ a: '1' }, { allow: { a: [`peer:${String(peerId)}`] } }))
  await running.until(() => running.lines.filter(line => line.includes('config:changed'))[1], 'the second change')
  assert.match((await call()).stderr, 'FORBIDDEN')
})

test('a hundred saves end in the last, and never in two processes of one server', async () => {
  const path = home.write('a.json', config({ a: '0', b: '0' }))
  const running = await up(path)
  await running.serves('a')
  const text = (index: number): string => index % 3 === 0 ? config({ b: '0' }) : config({ a: String(index), b: '0' })
  for (let index = 0; index < 100; index++) {
    writeFileSync(path, index % 7 === 0 ? text(index).slice(0, 40) : text(index)) // some are caught half written
    await new Promise(resolve => { setTimeout(resolve, index % 10 === 0 ? 120 : 5) })
  }
  writeFileSync(path, config({ a: 'last', b: '0' }))
  for (let tries = 0; !(await home.run(['call', 'who', '--agent', 'a', '--dir', dir()])).stdout.endsWith(' last\n'); tries++) assert.ok(tries < 20, 'the last config counts')
  for (const name of ['a', 'b']) assert.not.ok(existsSync(home.path(`${name}.twice`)), name)
})

test('connect takes over a change of the config too', async () => {
  const path = home.write('a.json', config({ a: '1' }))
  const connecting = home.start(['connect', '--dir', dir(), '--config', path])
  peers.push(connecting)
  const ask = (id: number, method: string, params: object = {}): void => { connecting.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method, params })}\n`) }
  ask(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } })
  await connecting.event(({ id }) => id === 1, 'initialize')
  connecting.child.stdin.write('{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
  writeFileSync(path, config({ a: '1', b: '2' }))
  await connecting.event(({ method }) => method === 'notifications/tools/list_changed', 'the client to be told')
  for (let tries = 0; !(await home.run(['call', 'who', '--agent', 'b', '--dir', dir()])).stdout.endsWith(' 2\n'); tries++) assert.ok(tries < 20, 'b is shared')
  writeFileSync(path, '{')
  await connecting.until(() => connecting.stderr.includes(`mcp-swarm: CONFIG_INVALID: ${path}:1:2: `) ? true : undefined, 'the log to have the trouble')
})

test('up tells a person each change', async () => {
  const path = home.write('a.json', config({ drop: '1', change: '1', open: '1' }))
  const running = await up(path, [])
  const says = async (text: string): Promise<void> => { await running.until(() => `${running.lines.join('\n')}\n${running.stderr}`.includes(text) ? true : undefined, text) }
  await says('✓ drop: 1 tool offered')
  writeFileSync(path, config({ change: '2', open: '1', fresh: '1' }, { name: 'x', allow: { open: ['role:admin'] } }))
  for (const line of ['- no longer shares drop', '+ now shares fresh', '+ shares change anew, as the config has it now', '+ who may use open has changed', '! the name in the config counts from the next start', '✓ fresh: 1 tool offered']) await says(line)
  writeFileSync(path, '{')
  await says(`✗ CONFIG_INVALID: ${path}:1:2: `)
  writeFileSync(path, config({}))
  await says(`✓ over: ${path}:1:2: `)
  await says('- no longer shares fresh')
})

test.run()
