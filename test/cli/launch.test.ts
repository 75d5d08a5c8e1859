// bound: 120 s
/** The command as it is published: `connect` from code that an earlier start has kept, and everything else. */
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { buildCommand, nodeBuild } from '../../scripts/build.ts'
import { Home } from './home.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const outdir = join('.tmp', `launch-${process.pid}`)
process.on('exit', () => { rmSync(join(root, outdir), { recursive: true, force: true }) })
await Promise.all([build({ ...nodeBuild, outdir, metafile: false }), buildCommand(outdir)])
const COMMAND = join(root, outdir, 'cli.cjs')

const homes: Home[] = []
const old = new Date('2001-01-01')

/** A user, with a folder for what is kept. */
function scene (): { home: Home, folder: string, kept: () => string[] } {
  const home = new Home()
  homes.push(home)
  const folder = home.path('cache', 'mcp-swarm')
  return { home, folder, kept: () => { try { return readdirSync(folder).map(name => join(folder, name)) } catch { return [] } } }
}

/** Starts `connect`, lists the tools, ends it. Returns their names. */
async function list (home: Home, env: Record<string, string> = {}): Promise<string[]> {
  const connect = home.startNode([COMMAND, 'connect', '--dir', home.path('desk')], { env: { XDG_CACHE_HOME: home.path('cache'), NODE_V8_COVERAGE: '', ...env } }) // nothing is kept while lines are counted
  const send = (message: object): void => { connect.child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`) }
  send({ id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } } })
  await connect.event(({ id }) => id === 1, 'an answer to initialize')
  send({ method: 'notifications/initialized' })
  send({ id: 2, method: 'tools/list' })
  const { result } = await connect.event(({ id }) => id === 2, 'the list') as { result: { tools: { name: string }[] } }
  connect.child.stdin.end()
  const { code, stderr } = await connect.outcome()
  assert.equal([code, stderr], [0, ''])
  return result.tools.map(({ name }) => name)
}

test.after(async () => { for (const home of homes) await home.close() })

test('the first connect keeps its code, for this user alone; the next uses it', async () => {
  const { home, folder, kept } = scene()
  const tools = await list(home)
  assert.ok(tools.includes('swarm_find'))
  const [file = '', ...others] = kept() // nobody was met
  assert.equal(others, [])
  assert.is(statSync(folder).mode & 0o777, 0o700)
  assert.is(statSync(file).mode & 0o777, 0o600)
  utimesSync(file, old, old)
  assert.equal(await list(home), tools)
  assert.is(statSync(file).mtimeMs, old.getTime(), 'code that was kept is used, not kept again')
})

test('kept code that was damaged is not used, and replaced', async () => {
  const { home, kept } = scene()
  const tools = await list(home)
  const [file = ''] = kept()
  const whole = readFileSync(file)
  const flipped = Buffer.from(whole)
  flipped.writeUInt8(flipped.readUInt8(flipped.byteLength - 1_000) ^ 1, flipped.byteLength - 1_000)
  for (const damaged of [flipped, whole.subarray(0, 1_000), Buffer.alloc(0), Buffer.from('rubbish'), Buffer.alloc(17 * 2 ** 20)]) {
    writeFileSync(file, damaged)
    utimesSync(file, old, old)
    assert.equal(await list(home), tools)
    assert.ok(statSync(file).mtimeMs > old.getTime())
  }
})

test('nothing is kept where others may enter, where no folder can be made, and where Node is told to keep none', async () => {
  const open = scene()
  mkdirSync(open.folder, { recursive: true })
  chmodSync(open.folder, 0o755)
  await list(open.home)
  assert.equal(open.kept(), [])
  const none = scene()
  none.home.write('cache', 'a file')
  await list(none.home)
  const told = scene()
  await list(told.home, { NODE_DISABLE_COMPILE_CACHE: '1' })
  assert.equal(told.kept(), [])
})

test('code of few scripts and versions of Node is kept: the eldest goes', async () => {
  const { home, folder, kept } = scene()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (let age = 0; age < 6; age++) {
    writeFileSync(join(folder, `${age}.code`), '')
    utimesSync(join(folder, `${age}.code`), new Date(old.getTime() + age * 1_000), new Date(old.getTime() + age * 1_000))
  }
  await list(home)
  const names = kept().map(path => path.slice(folder.length + 1))
  assert.is(names.length, 4)
  assert.equal(names.filter(name => /^\d\.code$/.test(name)).sort(), ['3.code', '4.code', '5.code'])
})

test('every other command is the program itself', async () => {
  const { home, kept } = scene()
  const { code, stdout } = await home.startNode([COMMAND, '--version'], { env: { XDG_CACHE_HOME: home.path('cache') } }).outcome()
  assert.is(code, 0)
  assert.match(stdout, /^\d+\.\d+\.\d+/)
  const wrong = await home.startNode([COMMAND, 'conect'], { env: { XDG_CACHE_HOME: home.path('cache') } }).outcome()
  assert.match(wrong.stderr, /unknown command/)
  assert.equal(kept(), [])
})

test.run()
