import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as fc from 'fast-check'
import { Directory, type Change } from '../../lib/directory/directory.ts'
import { ABSENT_MS_MAX, LEFT_MS_MAX } from '../../lib/directory/places.ts'
import { sealCatalogue, toolHash, type SealedCatalogue } from '../../lib/directory/catalogue.ts'
import { LEASE_MS, type PeerRecord } from '../../lib/directory/record.ts'
import { agent, keyOf, recordOf, sealed, signed, tool } from './sample.ts'

const self = keyOf(1)
const bob = keyOf(2)
const carol = keyOf(3)
const notes = sealed('write', 'read')
const files = sealed('read', 'list')

const add = (directory: Directory, ...catalogues: SealedCatalogue[]): Change[] =>
  catalogues.flatMap(({ hash, catalogue, text }) => directory.addCatalogue(hash, catalogue, text.length))

const kinds = (changes: readonly Change[]): string[] =>
  changes.map(change => 'agent' in change ? `${change.kind} ${change.agent.name}` : `${change.kind} ${'peer' in change ? change.peer.name : ''}`)

const namesOf = (directory: Directory, all = false): string[] => directory.find({ all }).map(({ peerName, agent: { name }, tool }) => `${peerName} ${name} ${tool.name}`).sort()

test('a peer joins, changes its agents and leaves, and each step is told', () => {
  const directory = new Directory(self.peerId)
  add(directory, notes)
  const at = (sequence: number, more: Partial<PeerRecord>): Change[] =>
    [...directory.merge(...signed(bob, { name: 'bob', sequence, ...more }), 0).changes]
  assert.equal(kinds(at(1, { agents: [agent('a', notes.hash)] })), ['peer-joined bob', 'agent-added a'])
  assert.equal(kinds(at(2, { agents: [agent('a', notes.hash), agent('b', notes.hash)] })), ['peer-updated bob', 'agent-added b'])
  assert.equal(kinds(at(3, { agents: [agent('a', notes.hash, { available: false, reason: 'starting' }), agent('b', notes.hash)] })),
    ['peer-updated bob', 'agent-changed a'])
  assert.equal(kinds(at(4, { agents: [agent('b', notes.hash)] })), ['peer-updated bob', 'agent-removed a'])
  assert.equal(kinds(at(5, { left: true })), ['peer-left bob', 'agent-removed b'])
  assert.equal(directory.peers(), [])
  assert.equal(directory.peers({ all: true }).map(({ name, absence, agents }) => [name, absence, agents]), [['bob', 'left', []]])
  assert.equal(directory.find({ all: true }), [])
})

test('of one peer the newest record is held, whatever comes again or late', () => {
  const directory = new Directory(self.peerId)
  const old = signed(bob, { incarnation: 1, sequence: 9, name: 'old' })
  const now = signed(bob, { incarnation: 2, sequence: 1, name: 'now' })
  assert.is(directory.merge(...old, 0).outcome, 'taken')
  assert.is(directory.merge(...now, 0).outcome, 'taken')
  assert.equal(directory.merge(...old, 0, { direct: true }), { outcome: 'outdated', changes: [] })
  assert.equal(directory.merge(...now, 0), { outcome: 'known', changes: [] })
  assert.equal(directory.peers().map(({ name }) => name), ['now'])
})

test('of two records of one age every directory holds the same', () => {
  const twins = [signed(bob, { name: 'one' }), signed(bob, { name: 'two' })]
  const held = [twins, twins.toReversed()].map(order => {
    const directory = new Directory(self.peerId)
    for (const record of order) directory.merge(...record, 0)
    return directory.record(bob.peerId)?.wire
  })
  assert.is(held[0], held[1])
})

test('the own record is nobody else\'s to change', () => {
  const directory = new Directory(self.peerId)
  directory.setOwn(...signed(self, { name: 'me' }))
  assert.equal(directory.merge(...signed(self, { incarnation: 9, name: 'thief' }), 0, { direct: true }), { outcome: 'own', changes: [] })
  directory.recall(...signed(self, { incarnation: 9, name: 'past' }), 0)
  assert.equal(directory.remove(self.peerId, 0), [])
  assert.equal(directory.tick(10 * ABSENT_MS_MAX), [])
  assert.equal(directory.peers().map(({ name, self, living }) => [name, self, living]), [['me', true, true]])
})

test('a lease runs by the reader\'s clock, and ends once', () => {
  const directory = new Directory(self.peerId)
  directory.merge(...signed(bob, { name: 'bob', leaseMs: 5_000, agents: [agent('a', notes.hash)] }), 1_000)
  assert.equal(directory.tick(5_999), [])
  assert.equal(kinds(directory.tick(6_000)), ['peer-left bob', 'agent-removed a'])
  assert.equal(directory.tick(6_001), [])
  assert.is(directory.isLiving(bob.peerId), false)
})

test('only the peer itself renews its lease by a record heard before', () => {
  const directory = new Directory(self.peerId)
  const record = signed(bob, { name: 'bob' })
  directory.merge(...record, 0)
  assert.is(directory.merge(...record, LEASE_MS / 2).outcome, 'known')
  assert.is(directory.tick(LEASE_MS).length, 1)
  assert.is(directory.merge(...record, LEASE_MS, { direct: true }).outcome, 'revived')
  assert.is(directory.merge(...record, 2 * LEASE_MS - 1, { direct: true }).outcome, 'renewed')
  assert.equal(directory.tick(3 * LEASE_MS - 2), [])
  assert.is(directory.tick(3 * LEASE_MS - 1).length, 1)
})

test('a peer that failed its probe is out at once; thawed and connected anew it is back at once', () => {
  const directory = new Directory(self.peerId)
  const record = signed(bob, { name: 'bob', agents: [agent('a', notes.hash)] })
  add(directory, notes)
  directory.merge(...record, 0, { direct: true })
  assert.equal(kinds(directory.remove(bob.peerId, 10)), ['peer-left bob', 'agent-removed a'])
  assert.equal(directory.remove(bob.peerId, 10), [])
  assert.equal(directory.find({ tool: 'write' }), [])
  assert.equal(directory.find({ tool: 'write', all: true }).map(({ available, reason }) => [available, reason]), [[false, 'peer bob does not answer']])
  assert.is(directory.merge(...record, 20).outcome, 'known', 'heard from others')
  assert.equal(directory.find({ tool: 'write' }), [])
  const { outcome, changes } = directory.merge(...record, 30, { direct: true })
  assert.is(outcome, 'revived')
  assert.equal(kinds(changes), ['peer-joined bob', 'agent-added a'])
  assert.is(directory.find({ tool: 'write' }).length, 1)
})

test('a peer that has left stays away from any earlier record, and returns with a new incarnation', () => {
  const directory = new Directory(self.peerId)
  const before = signed(bob, { sequence: 4 })
  const left = signed(bob, { sequence: 5, left: true })
  directory.merge(...left, 0, { direct: true })
  for (const late of [before, left]) directory.merge(...late, 1, { direct: true })
  directory.tick(LEFT_MS_MAX - 1)
  directory.merge(...before, LEFT_MS_MAX - 1, { direct: true })
  assert.equal(directory.peers(), [])
  assert.is(directory.merge(...signed(bob, { incarnation: 2, sequence: 0 }), LEFT_MS_MAX - 1).outcome, 'taken')
  assert.is(directory.peers().length, 1)
})

test('those who left and those long absent are forgotten', () => {
  const directory = new Directory(self.peerId)
  directory.merge(...signed(bob, { left: true }), 0)
  directory.merge(...signed(carol), 0)
  directory.remove(carol.peerId, 0)
  directory.tick(LEFT_MS_MAX)
  assert.equal(directory.peers({ all: true }).map(({ peerId }) => peerId), [carol.peerId])
  directory.tick(ABSENT_MS_MAX)
  assert.equal(directory.peers({ all: true }), [])
})

test('a peer from disk is known with its tools, and living once it is heard', () => {
  const directory = new Directory(self.peerId)
  const record = signed(bob, { name: 'bob', agents: [agent('a', notes.hash)] })
  directory.recall(...record, 0)
  add(directory, notes)
  assert.equal(directory.find({ tool: 'write' }), [])
  assert.equal(directory.find({ tool: 'write', all: true }).map(({ reason }) => reason), ['peer bob not met since this peer started'])
  assert.equal(directory.agents(), [])
  assert.equal(directory.agents({ all: true }).map(({ name, available, tools }) => [name, available, tools]), [['a', false, 2]])
  assert.is(directory.merge(...record, 5, { direct: true }).outcome, 'revived')
  assert.is(directory.find({ tool: 'write' }).length, 1)
})

test('a restarted peer shows its agents as it says now, not as they were', () => {
  const directory = new Directory(self.peerId)
  directory.recall(...signed(bob, { name: 'bob', agents: [agent('a', notes.hash), agent('b', notes.hash)] }), 0)
  const { changes } = directory.merge(...signed(bob, { name: 'bob', incarnation: 2, agents: [agent('b', files.hash), agent('c', files.hash)] }), 1)
  assert.equal(kinds(changes), ['peer-joined bob', 'agent-added b', 'agent-added c'])
})

test('find looks up by tool, agent, peer id, peer name and pool', () => {
  const directory = new Directory(self.peerId)
  add(directory, notes, files)
  directory.setOwn(...signed(self, { name: 'me', agents: [agent('files', files.hash)] }))
  directory.merge(...signed(bob, { name: 'bob', agents: [agent('notes', notes.hash, { pool: 'p' }), agent('files', files.hash)] }), 0)
  directory.merge(...signed(carol, { name: 'carol', agents: [agent('notes', notes.hash, { pool: 'p' })] }), 0)
  const found = (query: Parameters<Directory['find']>[0]): string[] => directory.find(query).map(({ peerName, agent }) => `${peerName} ${agent.name}`).sort()
  assert.equal(found({ tool: 'read' }), ['bob files', 'bob notes', 'carol notes', 'me files'])
  assert.equal(found({ tool: 'write' }), ['bob notes', 'carol notes'])
  assert.equal(found({ tool: 'read', pool: 'p' }), ['bob notes', 'carol notes'])
  assert.equal(found({ tool: 'read', agent: 'files', peer: 'bob' }), ['bob files'])
  assert.equal(found({ agent: 'notes', peer: carol.peerId }), ['carol notes', 'carol notes'])
  assert.equal(found({ tool: 'nothing' }), [])
  assert.equal(directory.toolNames(), ['list', 'read', 'write'])
  const [provider] = directory.find({ tool: 'write', peer: 'bob' })
  assert.equal(provider, {
    peerId: bob.peerId, peerName: 'bob', agent: agent('notes', notes.hash, { pool: 'p' }), tool: tool('write'), toolHash: toolHash(tool('write')), available: true
  })
})

test('an agent that is not available is left out, and named with its reason when asked for', () => {
  const directory = new Directory(self.peerId)
  add(directory, notes)
  directory.merge(...signed(bob, { agents: [agent('a', notes.hash, { available: false, reason: 'its command died' })] }), 0)
  assert.equal(directory.find({ tool: 'write' }), [])
  assert.equal(directory.toolNames(), [])
  assert.equal(directory.find({ tool: 'write', all: true }).map(({ available, reason }) => [available, reason]), [[false, 'its command died']])
})

test('the tools of the last catalogue stay until the next one is here', () => {
  const directory = new Directory(self.peerId)
  add(directory, notes)
  directory.merge(...signed(bob, { name: 'b', agents: [agent('a', notes.hash)] }), 0)
  directory.merge(...signed(bob, { name: 'b', sequence: 2, agents: [agent('a', files.hash)] }), 0)
  assert.equal(namesOf(directory), ['b a read', 'b a write'])
  assert.equal(kinds(add(directory, files)), ['agent-changed a'])
  assert.equal(namesOf(directory), ['b a list', 'b a read'])
})

test('what one peer refuses to show is hidden there, and not where another shows it', () => {
  const directory = new Directory(self.peerId)
  add(directory, notes)
  directory.merge(...signed(bob, { name: 'bob', agents: [agent('a', notes.hash)] }), 0)
  directory.merge(...signed(carol, { name: 'carol', agents: [agent('a', notes.hash)] }), 0)
  assert.equal(kinds(directory.setReadable(bob.peerId, notes.hash, 'FORBIDDEN')), ['agent-changed a'])
  assert.equal(directory.setReadable(bob.peerId, notes.hash, 'FORBIDDEN'), [])
  assert.equal(namesOf(directory), ['carol a read', 'carol a write'])
  assert.equal(directory.agents().map(({ peerName, tools, reason }) => [peerName, tools, reason]).sort(),
    [['bob', null, 'peer bob answers FORBIDDEN'], ['carol', 2, undefined]])
  directory.setReadable(bob.peerId, notes.hash, undefined)
  assert.is(namesOf(directory).length, 4)
})

test('holds no more peers than its limit: the longest absent makes room, the living stay', () => {
  const directory = new Directory(self.peerId, { peersMax: 2 })
  directory.merge(...signed(bob), 0)
  directory.merge(...signed(carol), 0)
  const dave = signed(keyOf(4))
  assert.equal(directory.merge(...dave, 0), { outcome: 'full', changes: [] })
  directory.remove(carol.peerId, 1)
  directory.remove(bob.peerId, 2)
  assert.is(directory.merge(...dave, 3).outcome, 'taken')
  assert.equal(directory.peers({ all: true }).map(({ peerId }) => peerId).sort(), [bob.peerId, keyOf(4).peerId].sort())
})

test('holds no more catalogues than its budget: those of absent peers make room', () => {
  const big = (name: string): SealedCatalogue => sealCatalogue({ tools: [tool(name, 'd'.repeat(900))] })
  const [one, two, three] = [big('one'), big('two'), big('three')]
  const directory = new Directory(self.peerId, { libraryBytesMax: 2_100 })
  directory.merge(...signed(bob, { agents: [agent('a', one.hash)] }), 0)
  directory.merge(...signed(carol, { agents: [agent('a', two.hash), agent('b', three.hash)] }), 0)
  add(directory, one, two, three)
  assert.is(directory.hasCatalogue(three.hash), false, 'two living catalogues fill the budget')
  directory.remove(bob.peerId, 1)
  add(directory, three)
  assert.is(directory.hasCatalogue(one.hash), false)
  assert.is(directory.libraryBytes <= 2_100, true)
  assert.equal(directory.toolNames(), ['three', 'two'])
  directory.merge(...signed(bob, { agents: [agent('a', one.hash)] }), 2, { direct: true })
  assert.equal(directory.toolNames(), ['three', 'two'])
})

test('a catalogue that no agent names is dropped in time', () => {
  const directory = new Directory(self.peerId)
  directory.tick(0)
  add(directory, notes, files)
  directory.merge(...signed(bob, { agents: [agent('a', notes.hash)] }), 0)
  directory.merge(...signed(bob, { sequence: 2, agents: [agent('a', files.hash)] }), 0)
  directory.tick(59_000)
  assert.is(directory.hasCatalogue(notes.hash), true)
  directory.tick(60_000)
  assert.equal([directory.hasCatalogue(notes.hash), directory.hasCatalogue(files.hash)], [false, true])
  assert.is(directory.libraryBytes, files.text.length)
})

/** Everything that several peers have said over time, as signed records: some leave, some come back, agents come and go. */
const history = [2, 3, 4, 5].flatMap(seed => {
  const key = keyOf(seed)
  const catalogues = [notes, files, sealed('sum')]
  return Array.from({ length: 8 }, (_, index) => signed(key, {
    name: `peer-${seed}`,
    incarnation: Math.floor(index / 4),
    sequence: index % 4,
    agents: Array.from({ length: (seed + index) % 3 }, (_, place) => agent(`agent-${place}`, catalogues[(seed * index + place) % 3]?.hash ?? '')),
    ...(seed * index) % 7 === 6 ? { left: true } : {}
  }))
})

test('records in any order, any number of times, give the same directory everywhere', () => {
  type Step = { record: number } | { catalogue: number }
  const expected = view(history.map((_, record) => ({ record })))
  assert.ok(expected.found.length > 0)

  function view (steps: readonly Step[]): { peers: unknown, found: unknown[], living: string[] } {
    const directory = new Directory(self.peerId)
    const catalogues = [notes, files, sealed('sum')]
    for (const step of [...steps, { catalogue: 0 }, { catalogue: 1 }, { catalogue: 2 }]) {
      if ('record' in step) directory.merge(...history[step.record] as [PeerRecord, string], 0)
      else add(directory, catalogues[step.catalogue] as SealedCatalogue)
    }
    return { peers: directory.peers({ all: true }), found: namesOf(directory, true), living: namesOf(directory) }
  }

  const seed = 4_127
  const orders = fc.array(fc.oneof(fc.nat(history.length - 1).map(record => ({ record })), fc.nat(2).map(catalogue => ({ catalogue }))), { maxLength: 60 })
    .chain(extra => fc.shuffledSubarray([...history.map((_, record) => ({ record })), ...extra], { minLength: history.length + extra.length }))
  console.log(`orders of records: seed ${seed}`)
  fc.assert(fc.property(orders, steps => { assert.equal(view(steps), expected) }), { seed, numRuns: 500 })
})

test('a view is plain JSON', () => {
  const directory = new Directory(self.peerId)
  directory.setOwn(...signed(self, { agents: [agent('a', notes.hash)] }))
  directory.recall(recordOf(bob, { agents: [agent('b', files.hash)] }), '', 0)
  const views = { peers: directory.peers({ all: true }), agents: directory.agents({ all: true }) }
  assert.equal(JSON.parse(JSON.stringify(views)), views)
})

test('all that is known is offered with its catalogue, of absent peers too, and another edition says when that may have changed', () => {
  const directory = new Directory(self.peerId)
  const told = (): unknown[] => directory.offerings()
    .map(({ peerName, agent: { name }, catalogue, available, reason, absentMs }) => [peerName, name, catalogue?.tools.length, available, reason, absentMs])
  let edition = directory.edition
  const becomes = (what: unknown[]): void => {
    assert.equal(told(), what)
    assert.is.not(directory.edition, edition)
    edition = directory.edition
  }
  directory.merge(...signed(bob, { name: 'bob', agents: [agent('a', notes.hash), agent('b', files.hash, { available: false, reason: 'starting' })] }), 0)
  becomes([['bob', 'a', undefined, true, undefined, undefined], ['bob', 'b', undefined, false, 'starting', undefined]])
  add(directory, notes)
  becomes([['bob', 'a', 2, true, undefined, undefined], ['bob', 'b', undefined, false, 'starting', undefined]])
  directory.setReadable(bob.peerId, notes.hash, 'FORBIDDEN')
  becomes([['bob', 'a', undefined, false, 'peer bob answers FORBIDDEN', undefined], ['bob', 'b', undefined, false, 'starting', undefined]])
  directory.setReadable(bob.peerId, notes.hash, undefined)
  directory.merge(...signed(bob, { name: 'robert', sequence: 2, agents: [agent('a', notes.hash)] }), 0)
  becomes([['robert', 'a', 2, true, undefined, undefined]])
  directory.remove(bob.peerId, 500)
  becomes([['robert', 'a', 2, false, 'peer robert does not answer', 500]])
  directory.recall(...signed(carol, { name: 'carol', agents: [agent('c', files.hash)] }), 600)
  becomes([['robert', 'a', 2, false, 'peer robert does not answer', 500], ['carol', 'c', undefined, false, 'peer carol not met since this peer started', undefined]])
  add(directory, files) // of which nothing is told: carol is absent
  becomes([['robert', 'a', 2, false, 'peer robert does not answer', 500], ['carol', 'c', 2, false, 'peer carol not met since this peer started', undefined]])
  directory.merge(...signed(carol, { name: 'carol', agents: [agent('c', files.hash)] }), 700, { direct: true })
  becomes([['robert', 'a', 2, false, 'peer robert does not answer', 500], ['carol', 'c', 2, true, undefined, undefined]])
  directory.merge(...signed(carol, { name: 'carol', agents: [agent('c', files.hash)] }), 800, { direct: true })
  assert.is(directory.edition, edition, 'a further lease changes nothing')
  directory.tick(500 + ABSENT_MS_MAX)
  assert.equal(told(), [['carol', 'c', 2, false, 'peer carol silent for longer than its lease', 500 + ABSENT_MS_MAX]])
})

test.run()
