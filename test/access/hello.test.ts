import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mintGrant, swarmIdOf } from '../../lib/access/grant.ts'
import type { Role } from '../../lib/access/grant.ts'
import { HELLO_MS_MAX, answerHello, helloProtocol, sayHello } from '../../lib/access/hello.ts'
import type { Membership, Welcome } from '../../lib/access/hello.ts'
import { FEATURES_MAX, FEATURE_CHARS_MAX, HELLO_LINE_BYTES_MAX, NAME_CHARS_MAX, VERSIONS_MAX, chooseVersion } from '../../lib/access/introduction.ts'
import { utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { ByteStream } from '../../lib/base/network.ts'
import { keyFromSeed } from '../../lib/identity/key.ts'
import type { PrivateKey } from '../../lib/identity/key.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock, settle } from '../support/clock.ts'
import { pairConnections } from '../support/pair.ts'
import type { PairedConnection, PairedStream } from '../support/pair.ts'

const key = (fill: number): PrivateKey => keyFromSeed(new Uint8Array(32).fill(fill))
const [swarmKey, foreignKey, alice, bob, mallory] = [key(1), key(2), key(3), key(4), key(5)] as const
const START_MS = new VirtualClock().wallMs()
const DAY_MS = 86_400_000
const WAIT_MS = 2000

interface Facts { name?: string, role?: Role, swarm?: PrivateKey, holder?: PrivateKey, issuedAtMs?: number, memberUntilMs?: number | null, features?: string[] }

function member (of: PrivateKey, { name = 'alice', role = 'member', swarm = swarmKey, holder = of, issuedAtMs = START_MS, memberUntilMs = START_MS + DAY_MS, features = [] }: Facts = {}): Membership {
  return { swarmId: swarmIdOf(swarmKey.publicKey), swarmPublicKey: swarmKey.publicKey, name, features, grant: mintGrant(swarm, { peerId: holder.peerId, role, issuedAtMs, memberUntilMs }) }
}

const protocol = helloProtocol(swarmIdOf(swarmKey.publicKey))

/** What a wait ends with, or a failure of the test: nothing may hang. */
async function settled (promise: Promise<Welcome>): Promise<Welcome | SwarmError> {
  let timer: NodeJS.Timeout | undefined
  const hung = new Promise<never>((_, reject) => { timer = setTimeout(() => { reject(new Error('hello hangs')) }, WAIT_MS) })
  try {
    return await Promise.race([promise.catch((error: unknown) => {
      assert.instance(error, SwarmError, String(error))
      return error as SwarmError
    }), hung])
  } finally {
    clearTimeout(timer)
  }
}

function assertRefusal (outcome: Welcome | SwarmError, code: string, reason?: string): void {
  assert.instance(outcome, SwarmError, JSON.stringify(outcome))
  assert.is((outcome as SwarmError).code, code, (outcome as SwarmError).message)
  assert.is((outcome as SwarmError).details['reason'], reason)
}

interface Meeting { dialler: PairedConnection, listener: PairedConnection, clock: VirtualClock, served: Promise<{ answer: Promise<Welcome>, stream: PairedStream }> }

/** A connection from one peer to another whose listening end answers hello. */
function meet (from: PrivateKey, to: PrivateKey, own: Membership): Meeting {
  const { dialler, listener } = pairConnections(from.peerId, to.peerId)
  const clock = new VirtualClock()
  const served = new Promise<{ answer: Promise<Welcome>, stream: PairedStream }>(resolve => {
    listener.answers.set(protocol, (stream, connection) => {
      const answer = answerHello(stream, connection, own, { clock })
      answer.catch(() => { listener.refused.push('hello') })
      resolve({ answer, stream: stream as PairedStream })
    })
  })
  return { dialler, listener, clock, served }
}

test('two members welcome each other', async () => {
  const { dialler, listener, clock, served } = meet(alice, bob, member(bob, { name: 'bob', role: 'admin', memberUntilMs: null, features: ['b', 'common'] }))
  const outcome = await settled(sayHello(dialler, member(alice, { features: ['common', 'a'] }), { clock }))
  assert.equal(outcome, { peerId: bob.peerId, name: 'bob', role: 'admin', version: 1, features: ['common'], memberUntilMs: null })
  assert.equal(await settled((await served).answer), { peerId: alice.peerId, name: 'alice', role: 'member', version: 1, features: ['common'], memberUntilMs: START_MS + DAY_MS })
  assert.ok(dialler.admitted && listener.admitted)
  assert.is(clock.pending, 0)
})

test('the listener\'s first stream, opened with its answer, finds the dialler ready', async () => {
  const { dialler, listener, clock, served } = meet(alice, bob, member(bob, { name: 'bob' }))
  const arrived = new Promise<ByteStream>(resolve => { dialler.answers.set('/next/1.0.0', resolve) })
  const said = sayHello(dialler, member(alice), { clock })
  await (await served).answer
  await listener.open('/next/1.0.0', new AbortController().signal)
  assert.equal(dialler.refused, [])
  await arrived
  await said
})

test('a listener goes on only once the dialler has ended its side, and so has admitted it', async () => {
  const { dialler, clock, served } = meet(alice, bob, member(bob, { name: 'bob' }))
  const stream = await dialler.open(protocol, new AbortController().signal) as PairedStream
  stream.send(utf8(`${JSON.stringify({ ...valid, grant: member(alice).grant })}\n`))
  const { answer, stream: theirs } = await served
  let done = false
  const outcome = settled(answer.finally(() => { done = true }))
  await settle()
  assert.ok(theirs.text.includes('"name":"bob"'))
  assert.not(done)
  void stream.end()
  assert.is((await outcome as Welcome).peerId, alice.peerId)
  assert.is(clock.pending, 0)
})

for (const [name, act, code, reason] of [
  ['never ends its side', async (_: PairedStream, clock: VirtualClock) => { await clock.advance(HELLO_MS_MAX) }, 'NOT_ADMITTED', 'silent'],
  ['refuses', async (stream: PairedStream) => { stream.send(utf8('{"error":{"code":"VERSION_UNSUPPORTED"}}\n')) }, 'VERSION_UNSUPPORTED', 'refused'],
  ['says hello again, and on and on', async (stream: PairedStream) => { for (let line = 0; line < 1000; line++) stream.send(utf8(`${JSON.stringify(valid)}\n`)) }, 'MALFORMED', undefined],
  ['resets the stream', async (stream: PairedStream) => { stream.abort(new Error('gone')) }, 'NOT_ADMITTED', 'closed']
] as const) {
  test(`a listener is done with a dialler that, once answered, ${name}`, async () => {
    const { dialler, clock, served } = meet(alice, bob, member(bob, { name: 'bob' }))
    const stream = await dialler.open(protocol, new AbortController().signal) as PairedStream
    stream.send(utf8(`${JSON.stringify({ ...valid, grant: member(alice).grant })}\n`))
    const { answer, stream: theirs } = await served
    const outcome = settled(answer)
    await settle()
    assert.ok(theirs.text.includes('"name":"bob"'))
    await act(stream, clock)
    assertRefusal(await outcome, code, reason)
    assert.is(theirs.text.split('\n').length, 2, 'nothing more was said')
    assert.is(clock.pending, 0)
  })
}

const outsiders: readonly (readonly [name: string, membership: Membership, code: string, reason: string])[] = [
  ['a copy of another peer\'s grant', member(mallory, { holder: alice }), 'NOT_ADMITTED', 'peer'],
  ['a grant of a foreign swarm', member(mallory, { swarm: foreignKey }), 'NOT_ADMITTED', 'swarm'],
  ['a grant that has ended', member(mallory, { issuedAtMs: START_MS - DAY_MS, memberUntilMs: START_MS }), 'NOT_ADMITTED', 'expired'],
  ['a grant from the future', member(mallory, { issuedAtMs: START_MS + DAY_MS, memberUntilMs: START_MS + 2 * DAY_MS }), 'NOT_ADMITTED', 'early'],
  ['a tampered grant', { ...member(mallory), grant: tamper(member(mallory).grant) }, 'NOT_ADMITTED', 'signature'],
  ['no grant', { ...member(mallory), grant: '' }, 'NOT_ADMITTED', 'malformed']
]

for (const [name, membership, code, reason] of outsiders) {
  test(`a listener refuses a dialler with ${name}, telling only the code`, async () => {
    const { dialler, listener, clock, served } = meet(mallory, bob, member(bob, { name: 'bob' }))
    const outcome = await settled(sayHello(dialler, membership, { clock }))
    assertRefusal(outcome, code, 'refused')
    const { answer, stream } = await served
    assertRefusal(await settled(answer), code, reason)
    assert.is(stream.text, `{"error":{"code":"${code}"}}\n`)
    assert.not(dialler.admitted || listener.admitted)
    assert.is(clock.pending, 0)
  })

  test(`a dialler refuses a listener with ${name}, telling only the code`, async () => {
    const { dialler, clock, served } = meet(alice, mallory, { ...membership, name: 'mallory' })
    let opened: PairedStream | undefined
    const open = dialler.open.bind(dialler)
    dialler.open = async (...args) => opened = await open(...args) as PairedStream
    assertRefusal(await settled(sayHello(dialler, member(alice), { clock })), code, reason)
    assertRefusal(await settled((await served).answer), code, 'refused')
    assert.is(opened?.text.split('\n')[1], `{"error":{"code":"${code}"}}`)
    assert.not(dialler.admitted)
    assert.is(clock.pending, 0)
  })
}

function tamper (grant: string): string {
  const [body, signature] = grant.split('.') as [string, string]
  return `${Buffer.from(Buffer.from(body, 'base64url').toString().replace('"member"', '"admin"')).toString('base64url')}.${signature}`
}

const valid = { versions: [1], features: [], grant: member(mallory).grant, name: 'mallory' }
for (const [name, line, code, reason] of [
  ['nothing but a newline', '', 'MALFORMED', undefined],
  ['no JSON', 'GET / HTTP/1.1\r', 'MALFORMED', undefined],
  ['a list', '[]', 'MALFORMED', undefined],
  ['deeply nested lists', '['.repeat(8000), 'MALFORMED', undefined],
  ['no versions', JSON.stringify({ ...valid, versions: undefined }), 'MALFORMED', undefined],
  ['versions of another type', JSON.stringify({ ...valid, versions: ['1'] }), 'MALFORMED', undefined],
  ['too many versions', JSON.stringify({ ...valid, versions: Array.from({ length: VERSIONS_MAX + 1 }, (_, index) => index + 1) }), 'MALFORMED', undefined],
  ['only unknown versions', JSON.stringify({ versions: [2, 3] }), 'VERSION_UNSUPPORTED', undefined],
  ['an empty list of versions', JSON.stringify({ ...valid, versions: [] }), 'VERSION_UNSUPPORTED', undefined],
  ['too many features', JSON.stringify({ ...valid, features: Array.from({ length: FEATURES_MAX + 1 }, String) }), 'MALFORMED', undefined],
  ['a feature too long', JSON.stringify({ ...valid, features: ['x'.repeat(FEATURE_CHARS_MAX + 1)] }), 'MALFORMED', undefined],
  ['no name', JSON.stringify({ ...valid, name: '' }), 'MALFORMED', undefined],
  ['a name too long', JSON.stringify({ ...valid, name: 'x'.repeat(NAME_CHARS_MAX + 1) }), 'MALFORMED', undefined],
  ['a name with a terminal escape', JSON.stringify({ ...valid, name: '\u001b[2J' }), 'MALFORMED', undefined],
  ['a name that turns the writing direction', JSON.stringify({ ...valid, name: 'a\u202eb' }), 'MALFORMED', undefined],
  ['a grant that is no text', JSON.stringify({ ...valid, grant: {} }), 'MALFORMED', undefined],
  ['a refusal', JSON.stringify({ error: { code: 'NOT_ADMITTED' } }), 'MALFORMED', undefined]
] as const) {
  test(`a listener refuses ${name}`, async () => {
    const { dialler, listener, clock, served } = meet(mallory, bob, member(bob, { name: 'bob' }))
    const stream = await dialler.open(protocol, new AbortController().signal)
    stream.send(utf8(`${line}\n`))
    const { answer, stream: theirs } = await served
    assertRefusal(await settled(answer), code, reason)
    assert.is(theirs.text, `{"error":{"code":"${code}"}}\n`)
    assert.not(listener.admitted)
    assert.is(clock.pending, 0)
  })
}

for (const [name, act, code, reason] of [
  ['sends 1 MB without a newline', (stream: ByteStream) => { stream.send(new Uint8Array(2 ** 20).fill(65)) }, 'TOO_LARGE', undefined],
  ['sends one byte over the limit', (stream: ByteStream) => { stream.send(utf8(`${'x'.repeat(HELLO_LINE_BYTES_MAX + 1)}\n`)) }, 'TOO_LARGE', undefined],
  ['sends bytes that are not UTF-8', (stream: ByteStream) => { stream.send(Uint8Array.of(0xff, 10)) }, 'MALFORMED', undefined],
  ['ends before a word', (stream: ByteStream) => { void stream.end() }, 'NOT_ADMITTED', 'closed'],
  ['ends inside a word', (stream: ByteStream) => { stream.send(utf8('{"ver')); void stream.end() }, 'MALFORMED', undefined],
  ['resets the stream', (stream: ByteStream) => { stream.abort(new Error('gone')) }, 'NOT_ADMITTED', 'closed'],
  ['closes the connection', (_: ByteStream, dialler: PairedConnection) => { void dialler.close() }, 'NOT_ADMITTED', 'closed']
] as const) {
  test(`a listener is done with a dialler that ${name}, which learns nothing`, async () => {
    const { dialler, listener, clock, served } = meet(mallory, bob, member(bob, { name: 'bob' }))
    act(await dialler.open(protocol, new AbortController().signal), dialler)
    const { answer, stream } = await served
    assertRefusal(await settled(answer), code, reason)
    assert.is(stream.text, '')
    assert.not(listener.admitted)
    assert.is(clock.pending, 0)
  })

  test(`a dialler is done with a listener that ${name}`, async () => {
    const { dialler, listener } = pairConnections(alice.peerId, mallory.peerId)
    const clock = new VirtualClock()
    listener.answers.set(protocol, stream => { act(stream, listener) })
    const outcome = await settled(sayHello(dialler, member(alice), { clock }))
    assertRefusal(outcome, code, reason)
    assert.not(dialler.admitted)
    assert.is(clock.pending, 0)
  })
}

test('a listener gives a silent dialler 5 s and no more', async () => {
  const { dialler, listener, clock, served } = meet(mallory, bob, member(bob, { name: 'bob' }))
  const stream = await dialler.open(protocol, new AbortController().signal)
  const { answer, stream: theirs } = await served
  await clock.advance(HELLO_MS_MAX - 1)
  stream.send(utf8('{'))
  await settle()
  assert.equal(listener.refused, [])
  await clock.advance(1)
  assertRefusal(await settled(answer), 'NOT_ADMITTED', 'silent')
  assert.is(theirs.text, '{"error":{"code":"NOT_ADMITTED"}}\n')
  assert.is(HELLO_MS_MAX, 5000)
  assert.not(listener.admitted)
})

test('a dialler gives a silent listener 5 s and no more', async () => {
  const { dialler, listener } = pairConnections(alice.peerId, mallory.peerId)
  const clock = new VirtualClock()
  const arrived = new Promise<void>(resolve => { listener.answers.set(protocol, () => { resolve() }) })
  const outcome = settled(sayHello(dialler, member(alice), { clock }))
  await arrived
  await clock.advance(HELLO_MS_MAX)
  assertRefusal(await outcome, 'NOT_ADMITTED', 'silent')
  assert.is(clock.pending, 0)
})

test('a dialler gives a listener that takes no stream 5 s and no more', async () => {
  const { dialler } = pairConnections(alice.peerId, mallory.peerId)
  const clock = new VirtualClock()
  dialler.open = async (_, signal) => await new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => { reject(new SwarmError('ABORTED', 'open', { cause: signal.reason })) })
  })
  const outcome = settled(sayHello(dialler, member(alice), { clock }))
  await clock.advance(HELLO_MS_MAX)
  assertRefusal(await outcome, 'NOT_ADMITTED', 'silent')
})

test('the signal ends a dialler\'s wait', async () => {
  const { dialler, listener } = pairConnections(alice.peerId, mallory.peerId)
  const [clock, controller] = [new VirtualClock(), new AbortController()]
  const arrived = new Promise<PairedStream>(resolve => { listener.answers.set(protocol, stream => { resolve(stream as PairedStream) }) })
  const outcome = settled(sayHello(dialler, member(alice), { clock, signal: controller.signal }))
  const stream = await arrived
  controller.abort(new Error('enough'))
  assertRefusal(await outcome, 'ABORTED')
  assert.is(clock.pending, 0)
  assert.is(stream.text, '')
})

test('a listener that serves another swarm is unreachable for hello', async () => {
  const { dialler } = pairConnections(alice.peerId, mallory.peerId)
  assertRefusal(await settled(sayHello(dialler, member(alice), { clock: new VirtualClock() })), 'UNREACHABLE')
})

for (const [name, line, code] of [
  ['a code it knows', '{"error":{"code":"VERSION_UNSUPPORTED"}}', 'VERSION_UNSUPPORTED'],
  ['a code of ours that is no refusal', '{"error":{"code":"KEY_EXPOSED"}}', 'NOT_ADMITTED'],
  ['an unknown code', '{"error":{"code":"TEAPOT"}}', 'NOT_ADMITTED'],
  ['no code', '{"error":true}', 'NOT_ADMITTED']
] as const) {
  test(`a dialler refused with ${name} says so`, async () => {
    const { dialler, listener } = pairConnections(alice.peerId, bob.peerId)
    listener.answers.set(protocol, stream => { stream.send(utf8(`${line}\n`)) })
    assertRefusal(await settled(sayHello(dialler, member(alice), { clock: new VirtualClock() })), code, 'refused')
  })
}

test('a later version may add members, and newer versions beside ours', async () => {
  const { dialler, listener, clock, served } = meet(alice, bob, member(bob, { name: 'bob' }))
  const stream = await dialler.open(protocol, new AbortController().signal)
  stream.send(utf8(`${JSON.stringify({ ...valid, versions: [3, 2, 1], grant: member(alice).grant, more: { nested: true } })}\n`))
  void stream.end()
  const outcome = await settled((await served).answer) as Welcome
  assert.is(outcome.version, 1)
  assert.ok(listener.admitted)
  assert.is(clock.pending, 0)
})

for (const [ours, theirs, version] of [
  [[1], [1], 1], [[1, 2, 3], [2, 3, 4], 3], [[3, 1, 2], [1, 2], 2], [[1], [2], undefined], [[1], [], undefined]
] as const) {
  test(`of ${JSON.stringify(ours)} and ${JSON.stringify(theirs)} both ends choose ${version}`, () => {
    assert.is(chooseVersion(ours, theirs), version)
    assert.is(chooseVersion(theirs, ours), version)
  })
}

test('on a network, both ends open streams at once after hello, in both directions', async () => {
  const hub = new MemoryHub()
  const [near, far] = [hub.network(alice), hub.network(bob)]
  const clock = new VirtualClock()
  const next = '/next/1.0.0'
  const signal = AbortSignal.timeout(WAIT_MS)
  const arrived: string[] = []
  for (const network of [near, far]) network.handle(next, (_, connection) => { arrived.push(connection.peerId) })
  const farDone = new Promise<Welcome | SwarmError>(resolve => {
    far.handle(protocol, async (stream, connection) => {
      const outcome = await settled(answerHello(stream, connection, member(bob, { name: 'bob' }), { clock }))
      await connection.open(next, signal)
      resolve(outcome)
    }, { beforeAdmission: true, streamsMax: 1 })
  })
  const connection = await near.dial(bob.peerId, far.addresses(), signal)
  const welcome = await settled(sayHello(connection, member(alice), { clock, signal }))
  await connection.open(next, signal)
  assert.is((welcome as Welcome).name, 'bob')
  assert.is((await farDone as Welcome).name, 'alice')
  await settle()
  assert.equal(arrived.sort(), [alice.peerId, bob.peerId].sort())
  await Promise.all([near.close(), far.close()])
})

test.run()
