import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { textOf, utf8 } from '../../lib/base/bytes.ts'
import type { Change, Storage } from '../../lib/base/storage.ts'
import { openStorage } from '../../lib/storage/level.ts'
import { Bindings, BINDINGS_MS, BINDINGS_PREFIX, USED_MS_STEP, type Named, type Space } from '../../lib/swarm/bindings.ts'
import { VirtualClock } from '../support/clock.ts'

async function withStorage (body: (storage: Storage) => Promise<void>): Promise<void> {
  const storage = await openStorage(undefined)
  await body(storage)
  await storage.close()
}

interface Opened { bindings: Bindings, failures: unknown[], full: () => number }

function open (storage: Storage, clock = new VirtualClock(), max?: number): Opened {
  const failures: unknown[] = []
  let full = 0
  const bindings = new Bindings({ storage, clock, onFailure: error => { failures.push(error) }, onFull: () => { full++ }, ...max !== undefined && { max } })
  return { bindings, failures, full: () => full }
}

const named = (...names: string[]): Named[] => names.map(name => ({ name, provider: `peer\n1\n${name}` }))
const shown = (space: Space, ...names: string[]): Map<Space, Named[]> => new Map([[space, named(...names)]])
const namesOf = (bindings: Bindings, space: Space): string[] => [...bindings.bound(space).keys()].sort()
const keysOf = async (storage: Storage): Promise<string[]> => {
  const keys: string[] = []
  for await (const [key] of storage.entries(BINDINGS_PREFIX)) keys.push(key)
  return keys
}

test('what was shown is bound after a restart, in its own space, also on a real disk', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-swarm-test-'))
  try {
    const storage = await openStorage(folder)
    const { bindings } = open(storage)
    bindings.bind(new Map([['tool/auto', [{ name: 'read', provider: 'peer\nö\nread' }]], ['resource', [{ name: `file:///${'ü'.repeat(2_000)}`, provider: 'r' }]]]))
    bindings.bind(shown('tool/never', 'read'))
    await bindings.close()
    await storage.close()
    const again = await openStorage(folder)
    const { bindings: later, failures } = open(again)
    assert.equal(await later.load(), { bindings: 3, damaged: 0, pruned: 0 })
    assert.equal([...later.bound('tool/auto')], [['read', 'peer\nö\nread']])
    assert.equal([...later.bound('tool/never')], [['read', 'peer\n1\nread']])
    assert.equal([...later.bound('resource').values()], ['r'])
    assert.equal([...later.bound('prompt/auto')], [])
    assert.equal(failures, [])
    await again.close()
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('damaged entries are dropped and counted, and the rest stays', async () => {
  await withStorage(async storage => {
    const { bindings } = open(storage)
    bindings.bind(shown('tool/auto', 'a', 'b', 'c', 'd', 'e', 'f'))
    await bindings.close()
    const keys = await keysOf(storage)
    const changes: Change[] = []
    const values = ['', 'no time', `1 ${JSON.stringify(['other', 'p'])}`, '1 {"a":1}', '1 [1,2]']
    for (const [index, value] of values.entries()) changes.push({ key: keys[index] as string, value: utf8(value) })
    changes.push({ key: `${BINDINGS_PREFIX}tool/auto/${'x'.repeat(43)}`, value: Uint8Array.of(0xff, 0xfe) })
    await storage.write(changes)
    const { bindings: later } = open(storage)
    assert.equal(await later.load(), { bindings: 1, damaged: 6, pruned: 0 })
    await later.close()
    assert.equal(await keysOf(storage), [keys[5]])
  })
})

test('where there is no room the longest unused go, and none that is shown, in whatever space', async () => {
  await withStorage(async storage => {
    const clock = new VirtualClock()
    const { bindings, full } = open(storage, clock, 4)
    bindings.bind(shown('tool/auto', 'old'))
    await clock.advance(1_000)
    bindings.bind(shown('tool/auto', 'older', 'kept'))
    await clock.advance(1_000)
    bindings.bind(shown('prompt/auto', 'kept prompt'))
    bindings.bind(shown('tool/auto', 'kept', 'new'))
    assert.equal([namesOf(bindings, 'tool/auto'), namesOf(bindings, 'prompt/auto'), full()], [['kept', 'new', 'older'], ['kept prompt'], 0])
    bindings.bind(shown('tool/auto', 'kept', 'new', 'newer', 'newest'))
    assert.equal([namesOf(bindings, 'tool/auto').length, namesOf(bindings, 'prompt/auto'), full()], [3, ['kept prompt'], 1])
    await bindings.close()
    assert.is((await keysOf(storage)).length, 4)
  })
})

test('of too many on disk the longest unused are dropped', async () => {
  await withStorage(async storage => {
    const clock = new VirtualClock()
    const { bindings } = open(storage, clock)
    bindings.bind(shown('tool/auto', 'a', 'b', 'c'))
    await clock.advance(USED_MS_STEP)
    bindings.bind(shown('tool/auto', 'b')) // in use, which is written once a day
    await bindings.close()
    const { bindings: later } = open(storage, clock, 1)
    assert.equal(await later.load(), { bindings: 1, damaged: 0, pruned: 2 })
    assert.equal(namesOf(later, 'tool/auto'), ['b'])
    await later.close()
    assert.is((await keysOf(storage)).length, 1)
  })
})

test('names are gathered and written together, and one that is bound is not written again', async () => {
  let writes = 0
  await withStorage(async storage => {
    const clock = new VirtualClock()
    const { bindings } = open({ ...bound(storage), write: async (...what) => { writes++; await storage.write(...what) } }, clock)
    for (const name of ['a', 'b', 'c']) bindings.bind(shown('tool/auto', name))
    await clock.advance(BINDINGS_MS)
    assert.is(writes, 1)
    bindings.bind(shown('tool/auto', 'a'))
    await clock.advance(USED_MS_STEP - BINDINGS_MS - 1)
    bindings.bind(shown('tool/auto', 'a'))
    await bindings.close()
    assert.is(writes, 1)
    assert.is((await keysOf(storage)).length, 3)
    assert.is(clock.pending, 0)
  })
})

test('a disk that fails costs the memory, and is told of', async () => {
  await withStorage(async storage => {
    const broken = { ...bound(storage), write: async () => { throw new Error('full') }, entries: () => { throw new Error('gone') } }
    const { bindings, failures } = open(broken)
    assert.equal(await bindings.load(), { bindings: 0, damaged: 0, pruned: 0 })
    bindings.bind(shown('tool/auto', 'a'))
    await bindings.close()
    assert.equal(failures.map(String), ['Error: gone', 'Error: full'])
    assert.equal(namesOf(bindings, 'tool/auto'), ['a'])
  })
})

test('an entry says in plain text whose a name is', async () => {
  await withStorage(async storage => {
    const { bindings } = open(storage)
    bindings.bind(shown('tool/auto', 'a'))
    await bindings.close()
    const [key] = await keysOf(storage) as [string]
    assert.match(key, /^gateway\/name\/tool\/auto\/[A-Za-z0-9_-]{43}$/)
    assert.match(textOf(await storage.get(key) as Uint8Array), /^\d+ \d+ \["a","peer\\n1\\na"\]$/)
  })
})

function bound (storage: Storage): Storage {
  return {
    get: async key => await storage.get(key),
    write: async (...what) => { await storage.write(...what) },
    entries: prefix => storage.entries(prefix),
    close: async () => { await storage.close() }
  }
}

test.run()
