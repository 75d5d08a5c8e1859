// bound: 180 s
/** The `doc` commands where the disk, the folder or a name is at fault, alone and through a peer that runs. */
import { Disk } from '../support/disk.ts'
import { chmodSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { STORE_VERSION, VERSION_KEY, openEngine } from '../../lib/storage/engine.node.ts'
import { needs } from '../support/needs.ts'
import { Home, type Outcome, type Running } from './home.ts'

const test = suite('disk')
const home = new Home()
const MIB = 2 ** 20

/** Each way to use a document. */
const COMMANDS = [['get', 'notes', 'm/k'], ['set', 'notes', 'm/k', '1'], ['watch', 'notes', 'm/k']] as const
const valueOf = (letter: string, bytes: number): string => JSON.stringify(letter.repeat(bytes))

/** That a command fails with a code and says what to do. */
async function refuses (args: readonly string[], code: string, says: RegExp): Promise<void> {
  const outcome = await home.run(['doc', ...args])
  assert.equal([outcome.code, outcome.stdout], [1, ''], `${args.join(' ')}: ${outcome.stderr}`)
  assert.ok(outcome.stderr.startsWith(`mcp-swarm: ${code}: `), outcome.stderr)
  assert.match(outcome.stderr, says)
}

/** The same, for a program. */
async function tells (args: readonly string[], code: string): Promise<void> {
  const outcome = await home.run(['doc', ...args, '--json'])
  assert.is(outcome.code, 1, outcome.stderr)
  const { error } = JSON.parse(outcome.stdout) as { error: { code: string, todo: string } }
  assert.equal([error.code, error.todo.length > 0], [code, true])
}

async function succeeds (args: readonly string[], stdin?: string): Promise<Outcome> {
  const outcome = await home.run(['doc', ...args], stdin === undefined ? {} : { stdin })
  assert.is(outcome.code, 0, `${args.join(' ')}: ${outcome.stderr}`)
  return outcome
}

async function up (dir: string): Promise<Running> {
  const running = home.start(['up', '--json', '--dir', dir])
  await running.event(({ event }) => event === 'ready', 'ready')
  return running
}

async function down (running: Running, signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<Outcome> {
  running.child.kill(signal)
  return await running.outcome()
}

function onDisk (name: string, run: (disk: Disk, dir: string) => Promise<void>): void {
  needs(test, 'mounts')(name, async () => {
    const disk = new Disk(home.path('disk'), 64 * MIB)
    try {
      await run(disk, join(disk.room, 'peer'))
    } finally {
      await home.end()
      disk.end()
    }
  })
}

test.after(async () => { await home.close() })

onDisk('a running peer whose disk is full reads on, refuses with a code, and writes all of it once there is room', async (disk, dir) => {
  const [desk, other] = [await up(dir), await up(home.path('other'))]
  const flags = ['--dir', dir]
  await succeeds(['set', 'notes', 'm/before', '"on disk"', ...flags])
  const [here, there] = [home.start(['doc', 'watch', 'notes', 'm/last', '--json', ...flags]), home.start(['doc', 'watch', 'notes', 'm/last', '--json', '--dir', home.path('other')])]
  for (const watching of [here, there]) await watching.event(({ event }) => event === 'changed', 'the first')
  disk.fill(2 * MIB)
  for (let count = 0, isFull = false; !isFull; count++) {
    const put = await home.run(['doc', 'set', 'notes', `m/k${count}`, '-', ...flags], { stdin: valueOf('x', MIB) })
    isFull = put.code !== 0
    if (!isFull) continue
    assert.equal([put.code, put.stdout], [1, ''])
    assert.match(put.stderr, /^mcp-swarm: DISK_FAILED: documents cannot be written: .*(No space left|has no room).*\nMake room on the disk/s)
    assert.ok(count < 4)
  }
  await refuses(['set', 'notes', 'm/last', '"meanwhile"', ...flags], 'DISK_FAILED', /Make room on the disk/)
  await here.event(({ value }) => value === 'meanwhile', 'what is in memory only')
  for (const [path, value] of [['m/before', 'on disk'], ['m/last', 'meanwhile']]) assert.is((await succeeds(['get', 'notes', path as string, ...flags])).stdout, `${value}\n`)
  const status = JSON.parse((await home.run(['status', '--json', ...flags])).stdout) as { documents: { failure: { code: string } | null } }
  assert.is(status.documents.failure?.code, 'DISK_FAILED')
  assert.is((await home.run(['doc', 'get', 'notes', 'm/last', '--dir', home.path('other')])).code, 1, 'nobody sees what is not on disk')
  disk.empty()
  await there.event(({ value }) => value === 'meanwhile', 'what was set meanwhile, at another peer')
  await succeeds(['set', 'notes', 'm/after', '1', ...flags])
  for (const watching of [here, there]) {
    watching.child.kill('SIGINT')
    assert.is((await watching.outcome()).code, 0)
  }
  await down(other)
  await down(desk, 'SIGKILL')
  for (const [path, value] of [['m/before', 'on disk'], ['m/last', 'meanwhile'], ['m/after', '1']]) assert.is((await succeeds(['get', 'notes', path as string, ...flags])).stdout, `${value}\n`)
})

onDisk('a command alone that finds no room for what it sets says so, and what was there is there', async (disk, dir) => {
  const flags = ['--dir', dir]
  await succeeds(['set', 'notes', 'm/k', '"before"', ...flags])
  disk.fill(2 * MIB)
  const put = await home.run(['doc', 'set', 'notes', 'm/k', '-', ...flags], { stdin: valueOf('x', 3.5 * MIB) })
  assert.equal([put.code, put.stdout], [1, ''], put.stderr)
  assert.match(put.stderr, /^mcp-swarm: DISK_FAILED: .*\nMake room on the disk/s)
  disk.empty()
  assert.is((await succeeds(['get', 'notes', 'm/k', ...flags])).stdout, 'before\n')
  await succeeds(['set', 'notes', 'm/k', '-', ...flags], valueOf('x', 3.5 * MIB))
})

for (const [what, hurt, mend, says] of [
  ['a disk that is full', (disk: Disk) => { disk.fill() }, (disk: Disk) => { disk.empty() }, /the space on its disk/],
  ['a disk that may only be read', (disk: Disk) => { disk.remount('ro') }, (disk: Disk) => { disk.remount('rw') }, /check its permissions/],
  ['a folder that may not be entered', (_disk: Disk, dir: string) => { chmodSync(dir, 0) }, (_disk: Disk, dir: string) => { chmodSync(dir, 0o700) }, /Check who owns the folder, its mode, and the space/],
  ['a store that may not be written', (_disk: Disk, dir: string) => { chmodSync(join(dir, 'store'), 0o500) }, (_disk: Disk, dir: string) => { chmodSync(join(dir, 'store'), 0o700) }, /Check its permissions/]
] as const) {
  onDisk(`with ${what} each command ends with what to do, and all is there afterwards`, async (disk, dir) => {
    const flags = ['--dir', dir]
    await succeeds(['set', 'notes', 'm/k', '"before"', ...flags])
    hurt(disk, dir)
    try {
      for (const command of COMMANDS) await refuses([...command, ...flags], 'FOLDER_UNUSABLE', says)
      await tells([...COMMANDS[0], ...flags], 'FOLDER_UNUSABLE')
    } finally {
      mend(disk, dir)
    }
    assert.is((await succeeds(['get', 'notes', 'm/k', ...flags])).stdout, 'before\n')
  })
}

test('with a folder of a newer release each command ends with what to do, and leaves it as it is', async () => {
  const dir = home.path('newer')
  const flags = ['--dir', dir]
  await succeeds(['set', 'notes', 'm/k', '"before"', ...flags])
  const write = async (version: number): Promise<void> => {
    const engine = await openEngine(join(dir, 'store'))
    await engine.put(VERSION_KEY, Uint8Array.of(version))
    await engine.close()
  }
  await write(STORE_VERSION + 1)
  const key = readFileSync(join(dir, 'peer.key'))
  for (const command of COMMANDS) await refuses([...command, ...flags], 'VERSION_UNSUPPORTED', /Use the release that wrote it, or another folder\.\nUpdate mcp-swarm/)
  await tells([...COMMANDS[0], ...flags], 'VERSION_UNSUPPORTED')
  assert.ok(readFileSync(join(dir, 'peer.key')).equals(key))
  await write(STORE_VERSION)
  assert.is((await succeeds(['get', 'notes', 'm/k', ...flags])).stdout, 'before\n')
})

test('a name that cannot be is refused by each command, alone and through a running peer; one that is merely odd is taken', async () => {
  const dir = home.path('names')
  mkdirSync(dir, { mode: 0o700 })
  // Which names can be is told by test/crdt/name.test.ts; here, that all ways ask.
  const bad = ['x'.repeat(129), 'a\nb', 'e\u0301', '']
  const odd = ['../../etc/passwd', '-x', '🚀'.repeat(128)]
  const all = async (): Promise<void> => {
    for (const [index, name] of bad.entries()) {
      const [command, , ...rest] = COMMANDS[index % COMMANDS.length] as typeof COMMANDS[number]
      await refuses([command, name, ...rest, '--dir', dir], 'NAME_INVALID', /is no name of a document: it .*\nName it with letters, digits and signs, at most 128/s)
    }
    await tells(['get', ' a', '--dir', dir], 'NAME_INVALID')
    for (const name of odd) {
      await succeeds(['set', '--dir', dir, '--', name, 'm/k', JSON.stringify(name)])
      assert.is((await succeeds(['get', '--dir', dir, '--', name, 'm/k'])).stdout, `${name}\n`)
    }
  }
  await all()
  const desk = await up(dir)
  await all()
  assert.is((await down(desk)).code, 0)
})

test.run()
