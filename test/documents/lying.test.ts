import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Document } from '../../lib/documents/document.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import type { Head } from '../../lib/base/witness.ts'
import { documentKey } from '../../crdt/name.ts'
import { FaultyStorage, FaultyWitness } from '../support/faulty.ts'
import { until, within } from '../support/within.ts'
import { connect, kill, run, untilEqual, type Machine, type Peer } from './rig.ts'

const KEY = documentKey('notes')

/** What a disk holds of log and witness at a moment. */
interface State { readonly values: ReadonlyMap<string, Uint8Array>, readonly head: Head | undefined }

async function stateOf ({ storage, witness }: Machine): Promise<State> {
  const standing = await witness.read(KEY)
  return { values: new Map(storage.flushed), head: typeof standing === 'object' ? standing.sure : undefined }
}

/** A machine whose disk has gone back to a state, though it said that more was flushed. */
async function backTo ({ key }: Machine, log: State, witnessed: State, boot: string): Promise<Machine> {
  const [storage, witness] = [new FaultyStorage(), new FaultyWitness()]
  for (const [name, value] of log.values) storage.values.set(name, value)
  storage.flushed = new Map(storage.values)
  if (witnessed.head !== undefined) {
    await witness.claim(new Map([[KEY, witnessed.head]]))
    await witness.confirm()
  }
  witness.boot = boot
  return { key, storage, witness }
}

async function write (document: Document, key: string): Promise<void> {
  document.set(`m/${key}`, true)
  await within(5_000, 'flushed', document.flushed())
}

/** Alice writes `kept` and `lost`, which bob has seen; `old` is what her disk held between the two. */
async function begin (hub: MemoryHub): Promise<{ alice: Peer, bob: Peer, there: Document, old: State, client: number }> {
  const [alice, bob] = [run(hub), run(hub)]
  await connect(alice, bob)
  const [here, there] = await Promise.all([alice.documents.open('notes'), bob.documents.open('notes')])
  await write(here, 'kept')
  const old = await stateOf(alice)
  await write(here, 'lost')
  await until('bob has it all', () => there.get('m/lost') === true)
  return { alice, bob, there, old, client: here.ydoc.clientID }
}

test('a disk that has lied and lost log and witness alike parts no document, though its peer writes before it has met anybody', async () => {
  const hub = new MemoryHub()
  const { alice, bob, there, old, client } = await begin(hub)
  const told: unknown[] = []
  there.on('alarm', alarm => { told.push(alarm) })
  const on = await kill(alice)
  const again = run(hub, await backTo(on, old, old, 'second'), { seed: 2 })
  const here = await again.documents.open('notes')
  here.on('alarm', alarm => { told.push(alarm) })
  assert.equal([here.get('m/kept'), here.get('m/lost'), here.status().damage], [true, undefined, []], 'nothing seems to be missing')
  assert.not.equal(here.ydoc.clientID, client)
  await write(here, 'new')
  await connect(again, bob)
  await untilEqual(here, there)
  assert.equal(here.get('m'), { kept: true, lost: true, new: true })
  assert.equal(told, [])
  await Promise.all([again.close(), bob.close()])
})

test('where the machine ran on, a peer that knows more is what tells: the old name is left, and stays so at the next start', async () => {
  const hub = new MemoryHub()
  const { alice, bob, there, old, client } = await begin(hub)
  const again = run(hub, await backTo(await kill(alice), old, old, 'first'), { seed: 2 })
  const here = await again.documents.open('notes')
  assert.is(here.ydoc.clientID, client, 'nothing is known to be missing')
  await connect(again, bob)
  await untilEqual(here, there)
  const fresh = here.ydoc.clientID
  assert.not.equal(fresh, client)
  await within(5_000, 'flushed', here.flushed())
  const last = run(hub, await kill(again), { seed: 3 })
  assert.is((await last.documents.open('notes')).ydoc.clientID, fresh)
  await Promise.all([last.close(), bob.close()])
})

test('a name that was given up for damage is not taken again once the damage is repaired', async () => {
  const hub = new MemoryHub()
  const { alice, bob, there, old, client } = await begin(hub)
  const whole = await stateOf(alice)
  const damaged = run(hub, await backTo(await kill(alice), old, whole, 'first'), { seed: 2 })
  const here = await damaged.documents.open('notes')
  assert.equal(here.status().damage.map(({ kind }) => kind), ['short'])
  const repaired = new Promise(resolve => { here.on('repaired', resolve) })
  await connect(damaged, bob)
  await within(10_000, 'repaired', repaired)
  await untilEqual(here, there)
  // It has written nothing meanwhile.
  const again = run(hub, await kill(damaged), { seed: 3 })
  const after = await again.documents.open('notes')
  assert.equal([after.status().damage, after.get('m/lost')], [[], true])
  assert.not.equal(after.ydoc.clientID, client)
  await Promise.all([again.close(), bob.close()])
})

test('a name of another start is void: a disk that cannot be written is read, and the fresh name is there as soon as anything is', async () => {
  const hub = new MemoryHub()
  const { alice, bob, old, client } = await begin(hub)
  const on = await backTo(await kill(alice), old, old, 'second')
  on.storage.fails = true
  const again = run(hub, on, { seed: 2 })
  const here = await within(5_000, 'opened', again.documents.open('notes'))
  assert.equal([here.get('m/kept'), on.storage.writes.length], [true, 0])
  here.set('m/new', true)
  await here.flushed().then(() => { assert.unreachable('it cannot be written') }, () => undefined)
  on.storage.fails = false
  await until('flushed', async () => await here.flushed().then(() => true, () => false), 10_000)
  const fresh = here.ydoc.clientID
  const last = run(hub, await kill(again), { seed: 3 })
  assert.is((await last.documents.open('notes')).ydoc.clientID, fresh)
  assert.not.equal(fresh, client)
  await Promise.all([last.close(), bob.close()])
})

test.run()
