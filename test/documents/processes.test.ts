// bound: 240 s
/** Two real processes over TCP with LevelDB: one is killed again and again, and nothing that it said was flushed is lost. */
import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { seededRandom } from '../../lib/base/random.ts'
import { joinSwarm } from '../../lib/swarm/join.ts'
import { programArgs } from '../support/source.ts'
import { until, within } from '../support/within.ts'

const ROUNDS = 3
const CHILD = programArgs(new URL('./writer.ts', import.meta.url))

interface Child { readonly process: ChildProcess, readonly flushed: Set<string>, readonly ended: Promise<unknown> }

/** A process that writes, and says what is flushed; it is killed after a number of these. */
function start (dir: string, round: number, killAfter: number): Child {
  const child = fork(CHILD.at(-1) as string, [dir, String(round)], { execArgv: CHILD.slice(0, -1), stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const flushed = new Set<string>()
  child.on('message', (key: string) => {
    flushed.add(key)
    if (flushed.size === killAfter) child.kill('SIGKILL')
  })
  return { process: child, flushed, ended: new Promise(resolve => { child.once('exit', resolve) }) }
}

test('a writer that is killed in the middle has lost nothing it flushed, and the others get it all', async () => {
  const seed = Number(process.env['SEED'] ?? 31)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const folder = mkdtempSync(join(tmpdir(), 'mcp-swarm-test-'))
  const variables = { ...process.env }
  const children: ChildProcess[] = []
  mkdirSync(join(folder, 'run'), { mode: 0o700 })
  Object.assign(process.env, { XDG_DATA_HOME: join(folder, 'data'), XDG_RUNTIME_DIR: join(folder, 'run') })
  try {
    const acknowledged = new Set<string>()
    const clients = new Set<number>()
    {
      await using swarm = await joinSwarm({ name: 'reader', dir: join(folder, 'reader') })
      const document = await swarm.document('notes')
      for (let round = 0; round < ROUNDS; round++) {
        const child = start(join(folder, 'writer'), round, 5 + Math.floor(random.next() * 40))
        children.push(child.process)
        await within(60_000, 'the writer to be killed', child.ended)
        for (const key of child.flushed) acknowledged.add(key)
      }
      // The last one is not killed: it brings what only its disk has.
      const last = start(join(folder, 'writer'), ROUNDS, Infinity)
      children.push(last.process)
      const map = document.ydoc.getMap('keys')
      await until('the reader has all that was flushed', () => [...acknowledged].every(key => map.get(key) === key), 60_000)
      last.process.disconnect()
      assert.is(await within(20_000, 'the writer to end', last.ended), 0)
      await document.flushed()
      for (const client of document.ydoc.store.clients.keys()) clients.add(client)
    }
    assert.ok(acknowledged.size >= 5 * ROUNDS, `${acknowledged.size} keys were flushed`)
    assert.ok(clients.size <= 2, `${clients.size} clientIDs for ${ROUNDS + 1} starts: a whole log goes on under its own`)
    // Both disks have it.
    for (const name of ['reader', 'writer']) {
      await using swarm = await joinSwarm({ name, dir: join(folder, name), discovery: false })
      const document = await swarm.document('notes')
      const lost = [...acknowledged].filter(key => document.get(`keys/${key}`) !== key)
      assert.equal([name, lost, document.status().damage], [name, [], []])
    }
  } finally {
    process.env = variables
    for (const child of children) child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
})

test.run()
