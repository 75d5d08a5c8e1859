import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { checkPrivateFolder, defaultDataFolder, runtimeFolder } from '#folder'
import { userDataFolder } from '#keystore'
import { SwarmError } from '../../lib/base/error.ts'
import * as page from '../../lib/storage/folder.browser.ts'
import * as node from '../../lib/storage/folder.node.ts'
import { needs } from '../support/needs.ts'

const STRANGER = 12345
const root = realpathSync(mkdtempSync(join(tmpdir(), 'swarm-folder-')))
let count = 0
const fresh = (): string => join(root, `${++count}`)

async function refusal (path: string): Promise<SwarmError> {
  try {
    await checkPrivateFolder(path)
  } catch (error) {
    assert.instance(error, SwarmError, String(error))
    assert.is((error as SwarmError).code, 'FOLDER_UNUSABLE')
    return error as SwarmError
  }
  throw new Error(`${path} passes`)
}

function make (mode = 0o700, path = fresh()): string {
  mkdirSync(path, { recursive: true })
  chmodSync(path, mode)
  return path
}

const modeOf = (path: string): number => statSync(path).mode & 0o7777

test('makes a folder and all above it for this user alone', async () => {
  const top = fresh()
  await checkPrivateFolder(join(top, 'a', 'b'))
  for (const path of [top, join(top, 'a'), join(top, 'a', 'b')]) assert.is(modeOf(path), 0o700)
  await checkPrivateFolder(join(top, 'a', 'b'))
})

test('a permissive umask does not loosen it, and many at once make it once', async () => {
  const before = process.umask(0)
  try {
    const path = join(fresh(), 'deep')
    await Promise.all(Array.from({ length: 20 }, async () => { await checkPrivateFolder(path) }))
    assert.is(modeOf(path), 0o700)
  } finally {
    process.umask(before)
  }
})

for (const mode of [0o755, 0o770, 0o777, 0o711, 0o1777]) {
  test(`tightens an empty folder of mode ${mode.toString(8)}`, async () => {
    const path = make(mode)
    await checkPrivateFolder(path)
    assert.is(modeOf(path), 0o700)
  })

  test(`refuses a folder of mode ${mode.toString(8)} that holds something, and leaves it alone`, async () => {
    const path = make(mode)
    writeFileSync(join(path, 'theirs'), '')
    const error = await refusal(path)
    assert.ok(error.message.includes(`chmod 700 '${path}'`), error.message)
    assert.is(modeOf(path), mode)
    chmodSync(path, 0o700)
    await checkPrivateFolder(path)
  })
}

test('refuses a file, and a folder below a file', async () => {
  const file = fresh()
  writeFileSync(file, '')
  assert.match((await refusal(file)).message, /not a folder/)
  assert.instance((await refusal(join(file, 'below'))).cause, Error)
})

test('refuses a folder whose parent everybody may write to, unless that is sticky as /tmp is', async () => {
  const open = make(0o777)
  assert.match((await refusal(join(open, 'mine'))).message, /everybody may replace it/)
  const sticky = make(0o1777)
  await checkPrivateFolder(join(sticky, 'mine'))
})

test('follows a link of our own to a folder of our own', async () => {
  const [target, link] = [make(), fresh()]
  symlinkSync(target, link)
  await checkPrivateFolder(link)
  chmodSync(target, 0o755)
  writeFileSync(join(target, 'theirs'), '')
  assert.match((await refusal(link)).message, /others may enter/)
})

test('refuses a link that leads nowhere', async () => {
  const link = fresh()
  symlinkSync(join(root, 'nowhere'), link)
  assert.match((await refusal(link)).message, /cannot be/)
})

needs(test, 'root')('refuses a link that somebody else put in a shared folder, though it leads to a folder of ours', async () => {
  const shared = make(0o1777)
  const [target, link] = [make(), join(shared, 'mcp-swarm-0')]
  symlinkSync(target, link)
  lchownSync(link, STRANGER, STRANGER)
  assert.match((await refusal(link)).message, /link that user 12345 made/)
})

needs(test, 'root')('refuses a folder that somebody else put in a shared folder, and all below it', async () => {
  const shared = make(0o1777)
  const path = make(0o700, join(shared, 'mcp-swarm-0'))
  chownSync(path, STRANGER, STRANGER)
  assert.match((await refusal(path)).message, /belongs to user 12345/)
  const link = fresh()
  symlinkSync(path, link)
  assert.match((await refusal(link)).message, /belongs to user 12345/, 'behind a link of our own too')
})

test('running peers meet below XDG_RUNTIME_DIR where that is ours, else below the temporary folder', () => {
  const [own, none] = [make(), join(root, 'no-sessions')]
  const fallback = join('/tmp/t', `mcp-swarm-${userInfo().uid}`)
  assert.is(runtimeFolder({ XDG_RUNTIME_DIR: own }, '/tmp/t', none), join(own, 'mcp-swarm'))
  for (const runtime of [undefined, '', 'relative', join(root, 'missing')]) assert.is(runtimeFolder({ XDG_RUNTIME_DIR: runtime }, '/tmp/t', none), fallback)
  const file = fresh()
  writeFileSync(file, '')
  assert.is(runtimeFolder({ XDG_RUNTIME_DIR: file }, '/tmp/t', none), fallback)
})

test('a peer that is not told XDG_RUNTIME_DIR meets those that are', () => {
  const sessions = make()
  const session = make(0o700, join(sessions, String(userInfo().uid)))
  assert.is(runtimeFolder({}, '/tmp/t', sessions), runtimeFolder({ XDG_RUNTIME_DIR: session }, '/tmp/t', sessions))
  const other = make()
  assert.is(runtimeFolder({ XDG_RUNTIME_DIR: other }, '/tmp/t', sessions), join(other, 'mcp-swarm'))
})

needs(test, 'root')('another user\'s XDG_RUNTIME_DIR, as under sudo, is not touched', () => {
  const theirs = make()
  chownSync(theirs, STRANGER, STRANGER)
  assert.is(runtimeFolder({ XDG_RUNTIME_DIR: theirs }, '/tmp/t', join(root, 'no-sessions')), join('/tmp/t', 'mcp-swarm-0'))
})

test('every config file has a data folder of its own, that a person can tell', () => {
  const peers = join(userDataFolder(), 'mcp-swarm', 'peers')
  const project = make(0o700, join(root, 'My Project!'))
  const [one, two] = [join(project, '.mcp.json'), join(project, 'other.json')]
  writeFileSync(one, '{}')
  assert.match(defaultDataFolder(one).slice(peers.length + 1), /^my-project-[0-9a-f]{8}$/)
  assert.is.not(defaultDataFolder(one), defaultDataFolder(two))
  assert.is(defaultDataFolder(), join(peers, 'default'))
  for (const path of ['/x.json', join(root, '日本', 'x.json')]) assert.match(defaultDataFolder(path).slice(peers.length + 1), /^[0-9a-f]{8}$/)
  assert.ok(defaultDataFolder(join(root, 'x'.repeat(200), 'y.json')).length < peers.length + 40)
})

test('the same config file by another path is the same peer, before and after it is written', () => {
  const project = make(0o700, join(root, 'linked'))
  symlinkSync(project, join(root, 'link'))
  const [path, linked] = [join(project, '.mcp.json'), join(root, 'link', '.mcp.json')]
  const before = defaultDataFolder(path)
  assert.is(defaultDataFolder(linked), before)
  assert.is(defaultDataFolder(join(project, '..', 'linked', '.mcp.json')), before)
  writeFileSync(path, '{}')
  assert.equal([defaultDataFolder(path), defaultDataFolder(linked)], [before, before])
})

test('a page has the same functions, and where it may keep no data, says so', async () => {
  const twin: Omit<typeof node, 'openStore'> & { readonly openStore: (folder: string) => Promise<unknown> } = page
  assert.equal(Object.keys(page).sort(), Object.keys(node).sort())
  const holder = { pid: 1, name: 'page', startedAtMs: 0 }
  for (const call of [
    async () => { await twin.checkPrivateFolder('x') }, async () => { await twin.openStore('x') }, async () => { await twin.holdFolder('x', holder) },
    async () => { twin.defaultDataFolder('x') }, async () => { twin.runtimeFolder() }
  ]) {
    assert.is(await call().catch((error: unknown) => (error as SwarmError).code), 'FOLDER_UNUSABLE')
  }
})

test('what a page loads needs nothing of Node', async () => {
  const { metafile, outputFiles } = await build({
    stdin: { contents: ['identity/key', 'access/hello', 'access/rule', 'storage/level'].map(name => `export * from './lib/${name}.ts'`).join('\n') + '\nexport * from \'#keystore\'\nexport * from \'#folder\'', resolveDir: process.cwd() },
    bundle: true, write: false, metafile: true, format: 'esm', platform: 'browser', conditions: ['browser'], logLevel: 'silent'
  })
  assert.equal(Object.keys(metafile.inputs).filter(path => path.includes('.node.ts') || path.startsWith('node:') || path.includes('classic-level')), [])
  assert.not(/from\s*"node:/.test(outputFiles[0]?.text ?? ''))
})

test.after(() => { rmSync(root, { recursive: true, force: true }) })
test.run()
