import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { SwarmError } from '../../lib/base/error.ts'
import type { Catalogue } from '../../lib/directory/catalogue.ts'
import { PUSH_CHARS_MAX } from '../../lib/directory/agenda.ts'
import { LEAVE_MS_MAX } from '../../lib/directory/exchange.ts'
import { ScriptedStream } from '../support/bytestream.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { Party, connect, linesOf } from './party.ts'
import { tool } from './sample.ts'

const tools = (...names: string[]): Catalogue => ({ tools: names.map(name => tool(name)) })

function meet (): { clock: VirtualClock, alice: Party, bob: Party } {
  const clock = new VirtualClock()
  const alice = new Party(1, 'alice', clock)
  const bob = new Party(2, 'bob', clock)
  alice.offer({ notes: tools('write') })
  bob.offer({ files: tools('list') })
  return { clock, alice, bob }
}

test('two peers know each other\'s tools at once', async () => {
  const { alice, bob } = meet()
  connect(alice, bob)
  await settle()
  assert.equal(alice.tools, ['bob list'])
  assert.equal(bob.tools, ['alice write'])
  assert.equal(alice.changes.map(({ kind }) => kind), ['peer-joined', 'agent-added', 'agent-changed'])
  assert.equal(alice.kept, [bob.key.peerId, bob.directory.own?.record.agents[0]?.catalogue])
})

test('a changed catalogue comes with its record, unasked', async () => {
  const { alice, bob } = meet()
  const { streams } = connect(alice, bob)
  await settle()
  bob.offer({ files: tools('list', 'move') })
  await settle()
  assert.equal(alice.tools, ['bob list', 'bob move'])
  assert.equal(linesOf(streams[0]), ['record', 'want', 'sum', 'catalogue'], 'one want only, the one at the start')
  assert.equal(linesOf(streams[1]), ['record', 'want', 'catalogue', 'record', 'catalogue'])
})

test('a large one waits to be asked for', async () => {
  const { alice, bob } = meet()
  const { streams } = connect(alice, bob)
  await settle()
  bob.offer({ files: { tools: [tool('list', 'd'.repeat(PUSH_CHARS_MAX))] } })
  await settle()
  assert.equal(linesOf(streams[0]).slice(-1), ['want'])
  assert.is(alice.directory.find({ tool: 'list' })[0]?.tool.description?.length, PUSH_CHARS_MAX)
})

test('many changes within a turn leave as one record', async () => {
  const { alice, bob } = meet()
  const { streams } = connect(alice, bob)
  await settle()
  for (const name of ['a', 'b', 'c']) bob.offer({ files: tools(name) })
  await settle()
  assert.is(linesOf(streams[1]).filter(member => member === 'record').length, 2)
  assert.equal(alice.tools, ['bob c'])
})

test('a peer that may not read a catalogue is told so, and asks again when the record changes', async () => {
  const { alice, bob } = meet()
  bob.denied.add(alice.key.peerId)
  const { streams } = connect(alice, bob)
  await settle()
  assert.equal(alice.tools, [])
  assert.equal(alice.directory.agents().filter(({ name }) => name === 'files').map(({ tools, reason }) => [tools, reason]), [[null, 'peer bob answers FORBIDDEN']])
  bob.offer({ files: tools('list', 'move') })
  await settle()
  assert.not.ok(linesOf(streams[1]).includes('catalogue'), 'nothing is pushed to it either')
  bob.denied.clear()
  bob.offer({ files: tools('list', 'move') })
  await settle()
  assert.equal(alice.tools, ['bob list', 'bob move'])
})

test('a catalogue that is here already is asked about without its text', async () => {
  const { clock, alice, bob } = meet()
  const carol = new Party(3, 'carol', clock)
  carol.denied.add(alice.key.peerId)
  for (const other of [bob, carol]) other.offer({ files: tools('list') }, {}, { restricted: true })
  connect(alice, bob)
  await settle()
  const { streams } = connect(alice, carol)
  await settle()
  assert.equal(linesOf(streams[1]).filter(member => member === 'refused' || member === 'catalogue'), ['refused'])
  assert.equal(alice.tools, ['bob list'], 'what carol does not allow is not shown as hers')
  const again = connect(alice, bob)
  await settle()
  assert.equal(linesOf(again.streams[1]).filter(member => member === 'readable' || member === 'catalogue'), ['readable'])
})

test('a catalogue for everyone that is here already is not asked about', async () => {
  const { clock, alice, bob } = meet()
  const carol = new Party(3, 'carol', clock)
  for (const other of [bob, carol]) other.offer({ files: tools('list') })
  connect(alice, bob)
  await settle()
  const { streams } = connect(alice, carol)
  await settle()
  assert.not.ok(linesOf(streams[0]).includes('want'))
  assert.equal(alice.tools, ['bob list', 'carol list'])
})

test('a question whether the other end lives costs a few bytes, and is answered at once', async () => {
  const { clock, alice, bob } = meet()
  const { exchanges, streams } = connect(alice, bob)
  await settle()
  const before = [streams[0].text.length, streams[1].text.length]
  const ping = exchanges[0].ping(new AbortController().signal)
  await settle()
  await ping
  assert.equal([streams[0].text.length, streams[1].text.length].map((length, end) => length - (before[end] ?? 0)), [11, 11])
  const controller = new AbortController()
  const silent = alice.exchangeWith('nobody')
  silent.run(new ScriptedStream())
  const vain = silent.ping(controller.signal).then(() => 'answered', ({ code }: SwarmError) => code)
  await settle()
  controller.abort()
  assert.is(await vain, 'ABORTED')
  streams[0].abort(new Error('gone'))
  await settle()
  assert.is(await exchanges[0].ping(new AbortController().signal).catch(({ code }: SwarmError) => code), 'CLOSED')
  assert.is(clock.pending, 2, 'the two that ask each other whether they hold the same')
})

test('a peer put out by a failed probe is back at once when it connects anew', async () => {
  const { clock, alice, bob } = meet()
  const { exchanges } = connect(alice, bob)
  await settle()
  alice.directory.remove(bob.key.peerId, clock.nowMs())
  for (const exchange of exchanges) void exchange.closed
  assert.equal(alice.tools, [])
  const { streams } = connect(alice, bob)
  await settle()
  assert.equal(alice.tools, ['bob list'])
  assert.not.ok(linesOf(streams[1]).includes('catalogue'))
})

test('a clean leave is known at once, and both ends close in order', async () => {
  const { clock, alice, bob } = meet()
  const { exchanges } = connect(alice, bob)
  await settle()
  bob.offer({}, { left: true, addresses: [] })
  await exchanges[1].leave()
  assert.equal(alice.directory.peers().map(({ name }) => name), ['alice'])
  assert.equal(alice.changes.slice(-2).map(({ kind }) => kind), ['peer-left', 'agent-removed'])
  assert.equal(await Promise.all(exchanges.map(({ closed }) => closed)), [undefined, undefined])
  for (const { hearsay } of [alice, bob]) hearsay.close()
  assert.is(clock.pending, 0, 'no timer is left behind')
  await exchanges[1].leave()
})

test('a leave does not wait for one that does not read', async () => {
  const { clock, alice, bob } = meet()
  const stream = new ScriptedStream()
  const exchange = bob.exchangeWith('nobody')
  exchange.run(stream)
  const left = exchange.leave()
  await clock.advance(LEAVE_MS_MAX)
  await left
  for (const { hearsay } of [alice, bob]) hearsay.close()
  assert.is((await exchange.closed as SwarmError).code, 'TIMEOUT')
  assert.is(clock.pending, 0)
})

test('a peer that starts again below its last incarnation is told', async () => {
  const { clock, alice, bob } = meet()
  bob.incarnation = 7
  bob.offer({ files: tools('list') })
  connect(alice, bob)
  await settle()
  const reborn = new Party(2, 'bob', clock)
  reborn.incarnation = 3
  reborn.offer({ files: tools('new') })
  connect(alice, reborn)
  await settle()
  assert.equal([...new Set(reborn.outdated.map(({ incarnation }) => incarnation))], [7])
  assert.equal(alice.tools, ['bob list'])
  reborn.incarnation = 8
  reborn.offer({ files: tools('new') })
  await settle()
  assert.equal(alice.tools, ['bob new'])
})

test('two streams between two peers do no harm', async () => {
  const { alice, bob } = meet()
  connect(alice, bob)
  connect(bob, alice)
  await settle()
  bob.offer({ files: tools('list', 'move') })
  await settle()
  assert.equal(alice.tools, ['bob list', 'bob move'])
  assert.equal(alice.changes.map(({ kind }) => kind), ['peer-joined', 'agent-added', 'agent-changed', 'peer-updated', 'agent-changed', 'agent-changed'])
  assert.equal(bob.tools, ['alice write'])
})

test('while the other end does not read, changes do not pile up', async () => {
  const { bob } = meet()
  bob.offer({ files: { tools: [tool('big', 'd'.repeat(2 * 2 ** 20))] } })
  const stream = new ScriptedStream()
  const exchange = bob.exchangeWith('nobody')
  exchange.run(stream)
  await settle()
  stream.full = true
  stream.reader?.data(new TextEncoder().encode(`{"want":"${bob.directory.own?.record.agents[0]?.catalogue}"}\n`))
  await settle()
  for (let count = 0; count < 50; count++) {
    bob.offer({ files: tools(`tool-${count}`) })
    await settle(2)
  }
  stream.drain()
  await settle(50)
  assert.equal(linesOf(stream), ['record', 'catalogue', 'record', 'catalogue'])
  assert.ok(stream.text.includes('tool-49'))
})

test('a question without an answer is asked again, after longer and longer', async () => {
  const { clock, alice, bob } = meet()
  const stream = new ScriptedStream()
  alice.exchangeWith(bob.key.peerId).run(stream)
  stream.reader?.data(new TextEncoder().encode(`${JSON.stringify({ record: bob.directory.own?.wire })}\n`))
  const asked: number[] = []
  for (let second = 0; second <= 160; second++) {
    await clock.advance(second === 0 ? 0 : 1_000)
    if (linesOf(stream).filter(member => member === 'want').length > asked.length) asked.push(second)
  }
  assert.equal(asked, [0, 5, 15, 35, 75, 135])
  const { hash } = { hash: bob.directory.own?.record.agents[0]?.catalogue ?? '' }
  stream.reader?.data(new TextEncoder().encode(`${JSON.stringify({ catalogue: hash, text: bob.texts.get(hash) })}\n`))
  assert.equal(alice.tools, ['bob list'])
  await clock.advance(600_000)
  assert.is(linesOf(stream).filter(member => member === 'want').length, asked.length)
})

test('a catalogue that was announced and does not come is asked for', async () => {
  const { clock, alice, bob } = meet()
  const stream = new ScriptedStream()
  alice.exchangeWith(bob.key.peerId).run(stream)
  const { record, wire } = bob.directory.own ?? {}
  stream.reader?.data(new TextEncoder().encode(`${JSON.stringify({ record: wire, follows: [record?.agents[0]?.catalogue] })}\n`))
  await settle()
  assert.not.ok(linesOf(stream).includes('want'))
  await clock.advance(5_000)
  assert.ok(linesOf(stream).includes('want'))
})

test.run()
