import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { GRANT_SKEW_MS_MAX, swarmIdOf, verifyGrant } from '../../lib/access/grant.ts'
import { Ledger } from '../../lib/access/ledger.ts'
import { REDEEM_MS_MAX, TICKET_SKEW_MS, answerRedemption, joinProtocol, redeem, type Redeemed } from '../../lib/access/redeem.ts'
import { REDEEM_LINE_BYTES_MAX, signProof, writeLine } from '../../lib/access/redeem-lines.ts'
import { readTicket, writeTicket, type Terms, type Ticket } from '../../lib/access/ticket.ts'
import { toBase64Url, utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { LineStream } from '../../lib/base/line.ts'
import type { ByteStream, Connection, Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey, type PrivateKey } from '../../lib/identity/key.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock } from '../support/clock.ts'
import { FaultyStorage } from '../support/faulty.ts'

const seed = Number(process.env['SEED'] ?? 20265)
console.log(`redeem: SEED=${seed}`)
const random = seededRandom(seed)

/** Its wall clock is another machine's. */
class SetClock extends VirtualClock {
  aheadMs = 0

  override wallMs (): number {
    return super.wallMs() + this.aheadMs
  }
}

class Rig {
  readonly clock = new SetClock()
  readonly joinersClock = this.clock
  readonly hub = new MemoryHub({ clock: this.clock })
  readonly swarmKey = generateKey(random)
  readonly inviterKey = generateKey(random)
  readonly storage = new FaultyStorage()
  readonly outcomes: (Terms | SwarmError)[] = []
  readonly overused: string[] = []
  readonly inviter = this.hub.network(this.inviterKey)
  ledger = this.#ledger()

  constructor () {
    this.serve(this.inviter, this.inviterKey)
  }

  serve (network: Network, { peerId }: PrivateKey): void {
    network.handle(joinProtocol(swarmIdOf(this.swarmKey.publicKey)), async (stream, connection) => {
      this.outcomes.push(await answerRedemption(stream, connection, { swarmKey: this.swarmKey, ledger: this.ledger, clock: this.clock, random, peerId }))
    }, { beforeAdmission: true, streamsMax: 1 })
  }

  async restart (): Promise<void> {
    this.ledger = this.#ledger()
    await this.ledger.load()
  }

  ticket (more: Partial<Terms> = {}, swarmKey = this.swarmKey): Ticket {
    const issuedAtMs = this.clock.wallMs()
    return readTicket(writeTicket(swarmKey, generateKey(random), { role: 'member', uses: 1, issuedAtMs, joinBeforeMs: issuedAtMs + 3_600_000, memberForMs: null, ...more }, []))
  }

  async connect (key = generateKey(random), to = this.inviter): Promise<{ network: Network, connection: Connection }> {
    const network = this.hub.network(key)
    return { network, connection: await this.during(network.dial(to.peerId, to.addresses(), new AbortController().signal)) }
  }

  /** Redeems as a peer of its own, or as a given one. */
  async redeem (ticket: Ticket, key = generateKey(random)): Promise<Redeemed & { peerId: string }> {
    const { network, connection } = await this.connect(key)
    try {
      return { ...await this.during(redeem(connection, ticket, { clock: this.clock, random, peerId: key.peerId })), peerId: key.peerId }
    } finally {
      await this.during(network.close())
    }
  }

  async code (ticket: Ticket, key?: PrivateKey): Promise<string> {
    return await this.redeem(ticket, key).then(() => 'granted', codeOf)
  }

  /** Lets a second pass while something is done. */
  async during<Result> (work: Promise<Result>): Promise<Result> {
    let isDone = false
    const done = work.finally(() => { isDone = true })
    done.catch(() => undefined)
    for (let step = 0; step < 400 && !isDone; step++) await this.clock.advance(step < 20 ? 0 : 50)
    if (!isDone) throw new Error('not done in time')
    return await done
  }

  /** Says lines word for word, and hears what comes back; `closed` when the other end has gone. */
  async say (connection: Connection, lines: readonly (string | Uint8Array | ((heard: string[]) => string | Uint8Array))[], protocol = joinProtocol(swarmIdOf(this.swarmKey.publicKey))): Promise<string[]> {
    const heard: string[] = []
    const stream = await this.during(connection.open(protocol, new AbortController().signal))
    let isClosed = false
    new LineStream(stream).read({ line: line => { heard.push(line) }, closed: error => {
      isClosed = true
      heard.push(error === undefined ? 'closed' : 'reset')
    } })
    for (const line of lines) {
      const bytes = typeof line === 'function' ? line(heard) : line
      sendQuietly(stream, typeof bytes === 'string' ? utf8(`${bytes}\n`) : bytes)
      await this.clock.advance(0)
      await this.clock.advance(0)
    }
    for (let step = 0; step < 200 && !isClosed; step++) await this.clock.advance(50)
    return heard
  }

  #ledger (): Ledger {
    return new Ledger({ storage: this.storage, clock: this.clock, onOverused: ticket => { this.overused.push(ticket) } })
  }
}

function sendQuietly (stream: ByteStream, bytes: Uint8Array): void {
  try {
    stream.send(bytes)
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error // the other end has closed
  }
}

function codeOf (error: unknown): string {
  if (!(error instanceof SwarmError)) throw error
  return error.code
}

function scene (name: string, body: () => Promise<void>): void {
  test(name, async () => {
    try {
      await body()
    } catch (error) {
      throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}\n${error.stack}`) : error
    }
  })
}

scene('a ticket brings a grant that is bound to whoever showed it', async () => {
  const rig = new Rig()
  const { grant, swarmKey, peerId } = await rig.redeem(rig.ticket({ memberForMs: 7_200_000 }))
  assert.is(swarmKey, undefined)
  const { role, memberUntilMs, issuedAtMs } = verifyGrant(grant, rig.swarmKey.publicKey, peerId, rig.clock.wallMs())
  assert.equal([role, (memberUntilMs ?? 0) - issuedAtMs], ['member', 7_200_000])
  assert.throws(() => verifyGrant(grant, rig.swarmKey.publicKey, rig.inviterKey.peerId, rig.clock.wallMs()), /somebody|shown by|'s, shown/)
})

scene('who becomes an admin gets the key of the swarm', async () => {
  const rig = new Rig()
  const { swarmKey, peerId, grant } = await rig.redeem(rig.ticket({ role: 'admin' }))
  assert.is(swarmKey?.peerId, rig.swarmKey.peerId)
  assert.is(verifyGrant(grant, rig.swarmKey.publicKey, peerId, rig.clock.wallMs()).role, 'admin')
})

scene('another admin takes a ticket that it has not made', async () => {
  const rig = new Rig()
  const ticket = rig.ticket()
  const second = generateKey(random)
  const network = rig.hub.network(second)
  rig.serve(network, second)
  const key = generateKey(random)
  const { connection } = await rig.connect(key, network)
  await rig.during(redeem(connection, ticket, { clock: rig.clock, random, peerId: key.peerId }))
})

scene('the same joiner is granted again, and counted once; another is not let in', async () => {
  const rig = new Rig()
  const [ticket, key] = [rig.ticket(), generateKey(random)]
  for (let round = 0; round < 3; round++) assert.is(await rig.code(ticket, key), 'granted')
  assert.is(await rig.code(ticket), 'TICKET_USED')
  assert.is(rig.ledger.size, 1)
})

scene('of many that come at once by one ticket, as many get in as it says, and no more', async () => {
  for (const uses of [1, 3]) {
    const rig = new Rig()
    const ticket = rig.ticket({ uses })
    const all = await Promise.all(Array.from({ length: 12 }, async () => await rig.connect()))
    const codes = await rig.during(Promise.all(all.map(async ({ network, connection }) =>
      await redeem(connection, ticket, { clock: rig.clock, random, peerId: network.peerId }).then(() => 'granted', codeOf))))
    assert.equal(codes.sort(), [...Array.from({ length: 12 - uses }, () => 'TICKET_USED'), ...Array.from({ length: uses }, () => 'granted')])
  }
})

scene('the same joiner, over two connections at once, is counted once', async () => {
  const rig = new Rig()
  const [ticket, key] = [rig.ticket(), generateKey(random)]
  const ends = [await rig.connect(key), await rig.connect(key)]
  const codes = await rig.during(Promise.all(ends.map(async ({ connection }) => await redeem(connection, ticket, { clock: rig.clock, random, peerId: key.peerId }).then(() => 'granted', codeOf))))
  assert.equal([codes, rig.ledger.size], [['granted', 'granted'], 1])
})

scene('a use is on disk before its grant leaves, and counts after a power cut', async () => {
  const rig = new Rig()
  const [ticket, key] = [rig.ticket(), generateKey(random)]
  let open = (): void => undefined
  rig.storage.gate = new Promise(resolve => { open = resolve })
  const { connection, network } = await rig.connect(key)
  let granted = false
  const redeeming = redeem(connection, ticket, { clock: rig.clock, random, peerId: key.peerId }).then(() => { granted = true }, codeOf)
  for (let step = 0; step < 50; step++) await rig.clock.advance(0)
  assert.equal([rig.storage.writes.length, rig.storage.writes[0]?.sync, granted], [1, true, false])
  open()
  await network.close() // the joiner is gone: the answer is lost
  await rig.during(redeeming)
  rig.storage.values.clear()
  for (const [name, value] of rig.storage.flushed) rig.storage.values.set(name, value) // a power cut at the inviter
  await rig.restart()
  assert.is(rig.ledger.size, 1)
  assert.is(await rig.code(ticket), 'TICKET_USED')
  assert.is(await rig.code(ticket, key), 'granted')
})

scene('a disk that fails lets nobody in, and counts nobody', async () => {
  const rig = new Rig()
  const ticket = rig.ticket()
  rig.storage.fails = true
  assert.is(await rig.code(ticket), 'UNAVAILABLE')
  rig.storage.fails = false
  assert.is(await rig.code(ticket), 'granted')
})

for (const [what, aheadMs, code] of [
  ['one millisecond before the end of the tolerance', 3_600_000 + TICKET_SKEW_MS - 1, 'granted'],
  ['at the end of the tolerance', 3_600_000 + TICKET_SKEW_MS, 'TICKET_EXPIRED'],
  ['by a clock as far behind as is tolerated', -GRANT_SKEW_MS_MAX, 'granted'],
  ['by a clock that is further behind', -GRANT_SKEW_MS_MAX - 1, 'CLOCK_OFF']
] as const) {
  scene(`${what}: ${code}`, async () => {
    const rig = new Rig()
    const ticket = rig.ticket()
    rig.clock.aheadMs = aheadMs
    assert.is(await rig.code(ticket), code)
  })
}

scene('a ticket of a foreign swarm is not even understood', async () => {
  const rig = new Rig()
  assert.is(await rig.code(rig.ticket({}, generateKey(random))), 'UNREACHABLE') // that protocol is not served
})

scene('an inviter that answers with anything but a good grant is not believed', async () => {
  const rig = new Rig()
  const ticket = rig.ticket()
  const liar = generateKey(random)
  const network = rig.hub.network(liar)
  let answer: string | Uint8Array = ''
  network.handle(joinProtocol(swarmIdOf(rig.swarmKey.publicKey)), stream => {
    let lines = 0
    new LineStream(stream).read({ line: () => {
      lines++
      sendQuietly(stream, lines === 1 ? writeLine({ nonce: toBase64Url(random.bytes(32)) }) : typeof answer === 'string' ? utf8(`${answer}\n`) : answer)
    }, closed: () => {} })
  }, { beforeAdmission: true })
  const good = (await rig.redeem(ticket)).grant
  for (const [said, code] of [
    [good, 'MALFORMED'], ['', 'MALFORMED'], ['{}', 'MALFORMED'], ['[]', 'MALFORMED'], [`{"grant":${JSON.stringify(good)}}`, 'MALFORMED'], // somebody else's
    ['{"grant":7}', 'MALFORMED'], ['{"error":{}}', 'TICKET_INVALID'], ['{"error":{"code":"TICKET_USED"}}', 'TICKET_USED'], ['{"error":{"code":"rm -rf"}}', 'TICKET_INVALID'],
    ['x'.repeat(REDEEM_LINE_BYTES_MAX + 1), 'TOO_LARGE'], [Uint8Array.of(0xff, 10), 'MALFORMED']
  ] as const) {
    answer = said
    const key = generateKey(random)
    const { connection } = await rig.connect(key, network)
    assert.is(await rig.during(redeem(connection, ticket, { clock: rig.clock, random, peerId: key.peerId }).then(() => 'granted', codeOf)), code, String(said))
  }
})

scene('an inviter that says nothing costs the joiner no more than its bound', async () => {
  const rig = new Rig()
  const network = rig.hub.network(generateKey(random))
  network.handle(joinProtocol(swarmIdOf(rig.swarmKey.publicKey)), () => {}, { beforeAdmission: true })
  const key = generateKey(random)
  const { connection } = await rig.connect(key, network)
  const end = redeem(connection, rig.ticket(), { clock: rig.clock, random, peerId: key.peerId }).then(() => 'granted', codeOf)
  await rig.clock.advance(REDEEM_MS_MAX + 1)
  assert.is(await rig.during(end), 'UNREACHABLE')
})

// What a stranger can try.

/** What an inviter says to whoever shows a good pass and proves with another's words. */
async function asks (rig: Rig, ticket: Ticket, proof: (nonces: readonly [string, string], joiner: string) => Uint8Array): Promise<string[]> {
  const { connection, network } = await rig.connect()
  const nonce = toBase64Url(random.bytes(32))
  return await rig.say(connection, [
    writeLine({ pass: ticket.pass, nonce }),
    heard => writeLine({ proof: toBase64Url(proof([nonce, (JSON.parse(heard[0] ?? '{}') as { nonce: string }).nonce], network.peerId)) })
  ])
}

const REFUSAL = '{"error":{"code":"TICKET_INVALID"}}'

for (const [what, change] of [
  ['a proof made for another inviter', { inviter: generateKey(random).peerId }],
  ['a proof that another joiner made', { joiner: generateKey(random).peerId }],
  ['a proof for other nonces', { nonces: ['a', 'b'] as const }]
] as const) {
  scene(`refuses ${what}, with the code alone, and counts nothing`, async () => {
    const rig = new Rig()
    const ticket = rig.ticket()
    const parties = { swarmPublicKey: rig.swarmKey.publicKey, inviter: rig.inviterKey.peerId }
    const said = await asks(rig, ticket, (nonces, joiner) => signProof(ticket.key, { ...parties, joiner, nonces, ...change }))
    assert.equal(said.slice(1), [REFUSAL, 'closed'])
    const fine = await asks(rig, ticket, (nonces, joiner) => signProof(ticket.key, { ...parties, joiner, nonces }))
    assert.match(fine[1] ?? '', /^\{"grant":/)
    assert.is(rig.ledger.size, 1)
  })
}

scene('refuses a copy of a pass without its secret, and an end of the ticket is told to nobody but who has it', async () => {
  const rig = new Rig()
  const ticket = rig.ticket()
  const stranger = generateKey(random)
  const prove = (key: PrivateKey) => (nonces: readonly [string, string], joiner: string): Uint8Array =>
    signProof(key, { swarmPublicKey: rig.swarmKey.publicKey, inviter: rig.inviterKey.peerId, joiner, nonces })
  rig.clock.aheadMs = 2 * 3_600_000
  assert.equal((await asks(rig, ticket, prove(stranger))).slice(1), [REFUSAL, 'closed'])
  assert.equal((await asks(rig, ticket, prove(ticket.key))).slice(1), ['{"error":{"code":"TICKET_EXPIRED"}}', 'closed'])
})

scene('a recorded redemption, said again, is worth nothing', async () => {
  const rig = new Rig()
  const ticket = rig.ticket({ uses: 5 })
  const nonce = toBase64Url(random.bytes(32))
  const first = await rig.connect()
  let proof: Uint8Array = new Uint8Array()
  const heard = await rig.say(first.connection, [writeLine({ pass: ticket.pass, nonce }), lines => {
    const theirs = (JSON.parse(lines[0] ?? '{}') as { nonce: string }).nonce
    proof = writeLine({ proof: toBase64Url(signProof(ticket.key, { swarmPublicKey: rig.swarmKey.publicKey, inviter: rig.inviterKey.peerId, joiner: first.network.peerId, nonces: [nonce, theirs] })) })
    return proof
  }])
  assert.match(heard[1] ?? '', /^\{"grant":/)
  const again = await rig.say(first.connection, [writeLine({ pass: ticket.pass, nonce }), proof]) // by the very same peer, even
  assert.equal(again.slice(1), [REFUSAL, 'closed'])
})

scene('rubbish in the place of either line is told TICKET_INVALID or reset, and the next joiner is let in', async () => {
  const rig = new Rig()
  const ticket = rig.ticket()
  const good = JSON.stringify({ pass: ticket.pass, nonce: toBase64Url(random.bytes(32)) })
  const rubbish = (): string | Uint8Array => {
    const draw = random.next()
    if (draw < 0.2) return Uint8Array.from([...random.bytes(Math.floor(random.next() * 300)).map(byte => byte === 10 ? 11 : byte), 10])
    if (draw < 0.3) return 'x'.repeat(REDEEM_LINE_BYTES_MAX + Math.floor(random.next() * 100))
    if (draw < 0.5) {
      const at = Math.floor(random.next() * good.length)
      return good.slice(0, at) + String.fromCharCode(33 + Math.floor(random.next() * 90)) + good.slice(at + 1)
    }
    const values = ['null', '7', '[]', '{}', '""', '{"a":{"b":[1]}}', `"${'x'.repeat(200)}"`]
    const pick = (): string => values[Math.floor(random.next() * values.length)] as string
    return random.next() < 0.2 ? pick() : `{"pass":${pick()},"nonce":${pick()},"proof":${pick()}}`
  }
  const told = new Set<string>()
  for (let round = 0; round < 150; round++) {
    const { connection, network } = await rig.connect()
    const heard = await rig.say(connection, random.next() < 0.5 ? [rubbish()] : [good, rubbish(), rubbish()])
    const last = heard.filter(line => !line.startsWith('{"nonce":'))
    for (const line of last) told.add(line)
    await rig.during(network.close())
  }
  assert.equal([...told].sort(), ['closed', 'reset', REFUSAL].sort())
  assert.is(rig.ledger.size, 0)
  assert.is(await rig.code(ticket), 'granted')
})

scene('who says nothing is given up after the bound', async () => {
  const rig = new Rig()
  const { connection } = await rig.connect()
  const heard = await rig.say(connection, [])
  assert.ok(heard.length <= 2 && ['closed', 'reset'].includes(heard.at(-1) ?? ''), heard.join())
  assert.is(rig.outcomes.length, 1)
})

test.run()
