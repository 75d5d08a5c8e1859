/**
 * The bytes of docs/PROTOCOL.md, frozen in test/fixtures/protocol: today's code writes exactly these, and reads them.
 * A failure here means that peers of other releases would be broken: it takes a new version, and new fixtures beside these.
 * The mcp protocol is in protocol-mcp.test.ts.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mintGrant, verifyGrant, type Role } from '../lib/access/grant.ts'
import { answerHello, helloProtocol, sayHello, type Membership } from '../lib/access/hello.ts'
import { judge, readRefusal, writeRefusal } from '../lib/access/introduction.ts'
import { isGranted, shortGrant } from '../lib/access/short-grant.ts'
import { SwarmError } from '../lib/base/error.ts'
import { canonicalJson } from '../lib/base/json.ts'
import { seededRandom } from '../lib/base/random.ts'
import { catalogueHash, readCatalogue, sealCatalogue, toolHash, type Catalogue, type ToolDefinition } from '../lib/directory/catalogue.ts'
import { Directory } from '../lib/directory/directory.ts'
import { Exchange, MENTION_MS } from '../lib/directory/exchange.ts'
import { Hearsay } from '../lib/directory/hearsay.ts'
import { readRecord, signRecord, type AgentEntry, type PeerRecord } from '../lib/directory/record.ts'
import { directoryProtocol, readMessage, writeMessage, type Message, type Said } from '../lib/directory/wire.ts'
import { peerIdOf, publicKeyOf, type PrivateKey } from '../lib/identity/key.ts'
import { mcpProtocol } from '../lib/mcp/wire.ts'
import { openRendezvous, readNeighbour } from '../lib/swarm/rendezvous.node.ts'
import { VirtualClock, settle } from './support/clock.ts'
import { SWARM, alice, bob, by, check, freeze, frozen, one, parsed, stranger, streams, swarmKey, type Sent } from './support/frozen.ts'
import { pairConnections, type PairedStream } from './support/pair.ts'

/** What VirtualClock begins with: 2026-01-01T00:00:00Z. */
const NOW_MS = 1_767_225_600_000

// identity and access

freeze('identity', () => [
  ...([['swarm', swarmKey], ['alice', alice], ['bob', bob]] as const).flatMap(([who, { seed, publicKey, peerId }]): Sent => [
    [`${who}.seed`, Buffer.from(seed).toString('hex')], [`${who}.publicKey`, Buffer.from(publicKey).toString('hex')], [`${who}.peerId`, peerId]
  ]),
  ['swarm.id', SWARM],
  ['protocol', helloProtocol(SWARM)], ['protocol', directoryProtocol(SWARM)], ['protocol', mcpProtocol(SWARM)]
])

function granted (to: PrivateKey, role: Role, memberUntilMs: number | null, by = swarmKey): string {
  return mintGrant(by, { peerId: to.peerId, role, issuedAtMs: NOW_MS, memberUntilMs })
}

freeze('grant', () => [['admin', granted(alice, 'admin', null)], ['member', granted(bob, 'member', NOW_MS + 86_400_000)]]
  .map(([who = '', token = '']) => [who, token]))

check('grant: reads these bytes', () => {
  const admin = { v: 1, swarm: SWARM, peerId: alice.peerId, role: 'admin', issuedAtMs: NOW_MS, memberUntilMs: null }
  assert.equal(verifyGrant(one('admin', frozen('grant')), swarmKey.publicKey, alice.peerId, NOW_MS), admin)
  assert.is(verifyGrant(one('member', frozen('grant')), swarmKey.publicKey, bob.peerId, NOW_MS).role, 'member')
  assert.is(peerIdOf(publicKeyOf(one('alice.peerId', frozen('identity')))), alice.peerId)
})

async function hello (dialler: Membership, listener: Membership): Promise<Sent> {
  const ends = pairConnections(alice.peerId, bob.peerId)
  const clock = new VirtualClock()
  let stream: PairedStream | undefined
  const answer = new Promise(resolve => {
    ends.listener.answers.set(helloProtocol(SWARM), (far, connection) => {
      stream = far as PairedStream
      resolve(answerHello(far, connection, listener, { clock }).catch((error: unknown) => error))
    })
  })
  const outcome = sayHello(ends.dialler, dialler, { clock }).catch((error: unknown) => error)
  await clock.advance(0)
  await Promise.all([answer, outcome])
  const spoken = (who: string, end: PairedStream | undefined): Sent => (end?.text ?? '').split('\n').slice(0, -1).map(line => [who, line])
  return [...spoken('dialler', stream?.other), ...spoken('listener', stream)]
}

const membership = (name: string, grant: string, features: string[] = []): Membership =>
  ({ swarmId: SWARM, swarmPublicKey: swarmKey.publicKey, name, grant, features })
const [aliceOwn, bobOwn] = [membership('alice', granted(alice, 'admin', null), ['later']), membership('bob', granted(bob, 'admin', null))]

freeze('hello', () => hello(aliceOwn, bobOwn))
freeze('hello-refused', async () => [
  ...await hello(membership('alice', granted(stranger, 'admin', null)), bobOwn),
  ...(['MALFORMED', 'NOT_ADMITTED', 'VERSION_UNSUPPORTED'] as const).map(code => ['refusal', new TextDecoder().decode(writeRefusal(code)).trimEnd()] as const)
])

check('hello: reads these bytes', () => {
  assert.equal(judge(one('dialler', frozen('hello')), bobOwn, alice.peerId, NOW_MS),
    { peerId: alice.peerId, name: 'alice', role: 'admin', version: 1, features: [], memberUntilMs: null })
  assert.is(judge(one('listener', frozen('hello')), aliceOwn, bob.peerId, NOW_MS).name, 'bob')
  assert.is(readRefusal(one('listener', frozen('hello')), bob.peerId), undefined)
  assert.equal(by('refusal', frozen('hello-refused')).map(line => readRefusal(line, bob.peerId)?.code), ['MALFORMED', 'NOT_ADMITTED', 'VERSION_UNSUPPORTED'])
})

// directory

/** Everything that could be written in two ways: order of tools and members, characters, numbers, members nobody knows. */
const WRITE: ToolDefinition = { name: 'write', inputSchema: { type: 'object', required: ['text'], properties: { text: { type: 'string' } } }, annotations: { idempotentHint: true } }
const READ: ToolDefinition = { name: 'read', description: 'Reads “é” and \n/', inputSchema: { type: 'object' }, later: [1.0, 1e21, 0.1, -0, null, true, { a: 1, ﬀ: 2, B: 3, '😀': 4 }] }
const NOTES: Catalogue = { tools: [WRITE, READ], prompts: [{ name: 'ask' }], instructions: 'be kind' }
const MORE: Catalogue = { ...NOTES, tools: [WRITE] }

freeze('catalogue', () => {
  const { hash, text } = sealCatalogue(NOTES)
  const hashed = canonicalJson({ ...NOTES, tools: [READ, WRITE] }) // lists are hashed in the order of their names
  return [['text', text], ['hashed', hashed], ['hash', hash], ['tool.hashed', canonicalJson(READ)], ['tool.hash', toolHash(READ)]]
})

check('catalogue: reads these bytes', () => {
  const [catalogue, hash] = [one('text', frozen('catalogue')), one('hash', frozen('catalogue'))]
  assert.equal(readCatalogue(catalogue, hash).tools.map(({ name }) => name), ['write', 'read'])
  assert.is(catalogueHash(parsed(one('hashed', frozen('catalogue'))) as unknown as Catalogue), hash)
})

function recordOf (key: PrivateKey, name: string, sequence: number, agents: readonly AgentEntry[], more: Partial<PeerRecord> = {}): PeerRecord {
  return { v: 1, peerId: key.peerId, name, incarnation: NOW_MS, sequence, leaseMs: 30_000, addresses: ['/ip4/127.0.0.1/tcp/7001'], agents, ...more }
}

const entry = (catalogue: Catalogue, more: Partial<AgentEntry> = {}): AgentEntry => ({ name: 'notes', catalogue: catalogueHash(catalogue), available: true, ...more })

freeze('record', () => [
  ['record', signRecord(alice, recordOf(alice, 'alice', 1, [entry(NOTES, { role: 'processor', pool: 'notes', description: 'Keeps notes', version: '1.0.0' })]), SWARM)],
  ['unavailable', signRecord(alice, recordOf(alice, 'alice', 2, [entry(NOTES, { available: false, reason: 'starting' })]), SWARM)],
  ['left', signRecord(alice, recordOf(alice, 'alice', 3, [], { left: true }), SWARM)],
  ['granted', signRecord(alice, recordOf(alice, 'alice', 4, [], { grant: shortGrant(granted(alice, 'member', NOW_MS + 86_400_000)) }), SWARM)]
])

check('record: reads these bytes', () => {
  const { name, agents: [agent] } = readRecord(one('record', frozen('record')), SWARM)
  assert.equal([name, agent?.pool, agent?.catalogue], ['alice', 'notes', one('hash', frozen('catalogue'))])
  assert.is(readRecord(one('left', frozen('record')), SWARM).left, true)
  assert.ok(isGranted(readRecord(one('granted', frozen('record')), SWARM).grant ?? '', swarmKey.publicKey, alice.peerId, NOW_MS))
})

/** One end of an exchange. */
class Party {
  readonly directory: Directory
  readonly texts = new Map<string, string>()
  readonly key: PrivateKey
  readonly name: string
  readonly hearsay: Hearsay
  readonly #clock: VirtualClock
  mayRead = true

  constructor (key: PrivateKey, name: string, clock: VirtualClock) {
    this.key = key
    this.name = name
    this.#clock = clock
    this.directory = new Directory(key.peerId)
    this.hearsay = new Hearsay({
      directory: this.directory, swarmId: SWARM, clock, random: seededRandom(1), isLinked: () => true, verify: async () => false, isMember: () => false,
      events: { changed: () => {}, recordTaken: () => {}, catalogueTaken: () => {}, outdated: () => {}, accused: () => {} }
    })
  }

  /** Hears a third peer's record from nobody in particular. */
  know (record: PeerRecord, key: PrivateKey): void {
    this.directory.merge(record, signRecord(key, record, SWARM), this.#clock.nowMs())
  }

  offer (sequence: number, catalogues: readonly Catalogue[], more: Partial<PeerRecord> = {}): void {
    for (const catalogue of catalogues) this.texts.set(catalogueHash(catalogue), JSON.stringify(catalogue))
    const record = recordOf(this.key, this.name, sequence, catalogues.map(catalogue => entry(catalogue, { restricted: true })), more)
    this.directory.setOwn(record, signRecord(this.key, record, SWARM))
  }

  exchange (other: PrivateKey, begins: boolean): Exchange {
    return new Exchange({
      swarmId: SWARM, peerId: other.peerId, directory: this.directory, clock: this.#clock, hearsay: this.hearsay, begins,
      catalogueText: hash => this.texts.get(hash), mayRead: () => this.mayRead
    })
  }
}

freeze('directory', async () => {
  const clock = new VirtualClock()
  const [own, other] = [new Party(alice, 'alice', clock), new Party(bob, 'bob', clock)]
  const sent: [string, string][] = []
  const meet = async (): Promise<{ talk: Exchange, end: PairedStream }> => {
    const { ends } = streams('alice', 'bob', sent)
    const talk = own.exchange(bob, true)
    talk.run(ends[0])
    other.exchange(alice, false).run(ends[1])
    await settle()
    return { talk, end: ends[0] }
  }
  const part = async (end: PairedStream): Promise<void> => {
    end.abort(new SwarmError('CLOSED', 'the next conversation'))
    await settle()
  }
  own.offer(1, [NOTES])
  other.offer(1, [])
  const carol = (sequence: number): PeerRecord => recordOf(stranger, 'carol', sequence, [])
  own.know(carol(1), stranger)
  await clock.advance(5_000)
  const first = await meet() // the records; bob wants the catalogue; alice compares, and carol is told
  own.offer(2, [MORE])
  first.talk.announce()
  await settle() // a further record, and its catalogue unasked
  own.know(carol(2), stranger)
  own.hearsay.spread(stranger.peerId)
  await clock.advance(MENTION_MS) // the mark of carol's further record, and what bob asks
  await first.talk.ping(new AbortController().signal)
  own.hearsay.suspicion.lost(stranger.peerId)
  await settle()
  await first.talk.part()
  await settle()
  await part(first.end)
  const second = await meet() // bob holds the catalogue, and asks whether he may
  await part(second.end)
  own.mayRead = false
  own.offer(1, [MORE]) // as if alice had lost count: bob holds a newer one
  const third = await meet()
  own.offer(3, [NOTES])
  third.talk.announce()
  await settle() // bob may not see it
  own.offer(4, [], { left: true })
  await third.talk.leave()
  return sent
})

check('directory: reads these bytes', () => {
  const messages = frozen('directory').map(([, line]): [string, Message] => [line, readMessage(line)])
  const kinds = new Set(messages.map(([, { kind }]) => kind))
  assert.equal([...kinds].sort(), ['catalogue', 'gone', 'have', 'marks', 'need', 'newer', 'part', 'ping', 'pong', 'readable', 'record', 'refused', 'sum', 'sums', 'told', 'want'])
  for (const [line, message] of messages) assert.is(writeMessage(message as Said), line)
  for (const [, message] of messages) if (message.kind === 'record' || message.kind === 'newer') readRecord(message.wire, SWARM)
  for (const [, message] of messages) if (message.kind === 'told') for (const [wire] of message.records) readRecord(wire, SWARM)
})

// rendezvous

freeze('rendezvous', async () => {
  const place = mkdtempSync(join(tmpdir(), 'mcp-swarm-protocol-'))
  const before = process.env['XDG_RUNTIME_DIR']
  process.env['XDG_RUNTIME_DIR'] = place
  try {
    const rendezvous = await openRendezvous({
      swarmId: SWARM, peerId: alice.peerId, clock: new VirtualClock(), random: seededRandom(1), onFound: () => {}, onGone: () => {}
    })
    await rendezvous.announce(['/ip4/127.0.0.1/tcp/7001'])
    const folder = join('mcp-swarm', SWARM)
    const files = readdirSync(join(place, folder))
    const written = files.map(name => [join(folder, name), readFileSync(join(place, folder, name), 'utf8').replace(`"pid":${process.pid},`, '"pid":4711,')] as const)
    await rendezvous.close()
    assert.equal(readdirSync(join(place, folder)), [])
    return written
  } finally {
    if (before === undefined) delete process.env['XDG_RUNTIME_DIR']
    else process.env['XDG_RUNTIME_DIR'] = before
    rmSync(place, { recursive: true })
  }
})

check('rendezvous: reads these bytes', () => {
  const [[, file] = ['', '']] = frozen('rendezvous')
  assert.equal(readNeighbour(file, alice.peerId), { peerId: alice.peerId, processId: 4711, addresses: ['/ip4/127.0.0.1/tcp/7001'] })
  assert.is(readNeighbour(file, bob.peerId), undefined)
})

check('every fixture is held by a test: sync by protocol-sync.test.ts, mdns by protocol-mdns.test.ts, dialback by protocol-dialback.test.ts, tickets by protocol-ticket.test.ts', () => {
  const names = readdirSync(new URL('fixtures/protocol', import.meta.url)).map(name => name.replace(/\.txt$/, '')).sort()
  assert.equal(names, ['catalogue', 'dialback', 'directory', 'grant', 'hello', 'hello-refused', 'identity', 'join', 'join-refused', 'ledger', 'ledger-claim', 'mcp-call', 'mcp-refused', 'mcp-session', 'mcp-stateless', 'mdns', 'record', 'rendezvous', 'renew', 'sync', 'ticket'])
})

test.run()
