// bound: 180 s
/**
 * Somebody on the same network who was not let in, with libp2p as it comes and whatever he may have got hold of. Real sockets on
 * loopback; the peers offer a tool, have a document open, and change both all the while.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Connection as LibConnection, Libp2p, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mintGrant } from '../../lib/access/grant.ts'
import { helloProtocol, sayHello } from '../../lib/access/hello.ts'
import { joinProtocol, redeem, TICKET_SKEW_MS } from '../../lib/access/redeem.ts'
import { readTicket, writeTicket, type Terms, type Ticket } from '../../lib/access/ticket.ts'
import { concatBytes, fromBase64Url, toBase64Url, utf8 } from '../../lib/base/bytes.ts'
import { systemClock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { canonicalJson } from '../../lib/base/json.ts'
import type { ByteStream, Connection } from '../../lib/base/network.ts'
import { systemRandom } from '../../lib/base/random.ts'
import { generateKey, keyFromSeed, type PrivateKey } from '../../lib/identity/key.ts'
import { joinSwarm } from '../../lib/swarm/join.ts'
import { makeSwarm } from '../../lib/swarm/make.ts'
import type { JoinOptions } from '../../lib/swarm/options.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Libp2pStream } from '../../transports/libp2p/stream.ts'
import { openStranger } from '../transports/libp2p/peers.ts'
import { until, within } from '../support/within.ts'
import { becomeUser } from './user.ts'

process.env['MCP_SWARM_LISTEN'] ??= '/ip4/127.0.0.1/tcp/0'
process.env['MCP_SWARM_DISCOVERY'] ??= 'folder'
const user = await becomeUser()
const HOUR_MS = 3_600_000

/** How often the members change what they share: several times while any outsider is there. */
const EDIT_MS = 100

const opened: Swarm[] = []

async function joined (options: JoinOptions): Promise<Swarm> {
  const swarm = await within(25_000, 'joining', joinSwarm({ discovery: { folder: true, mdns: false, dht: true }, ...options }))
  opened.push(swarm)
  return swarm
}

let admin: Swarm
let member: Swarm
let swarmKey: PrivateKey
/** Every protocol that the admin answers to those who belong: listed by one of them. */
let served: string[]
let stop = (): void => undefined

test.before(async () => {
  const dir = join(user.home, 'admin')
  await makeSwarm(dir)
  swarmKey = keyFromSeed(fromBase64Url((JSON.parse(readFileSync(join(dir, 'swarm.key'), 'utf8')) as { seed: string }).seed))
  admin = await joined({ dir, name: 'admin' })
  member = await joined({ dir: join(user.home, 'member'), name: 'member', ticket: admin.invite().ticket })
  const agent = admin.agent('secrets')
  agent.tool('tell_secret', { description: 'The secret', input: { type: 'object' } }, () => 'the secret')
  await agent.start()
  const [plan, copy] = [await admin.document('secret-plan'), await member.document('secret-plan')]
  plan.ydoc.getMap('m').set('secret', 0)
  await until('the document', () => copy.ydoc.getMap('m').get('secret') === 0, 20_000)
  await member.offered({ tool: 'tell_secret' }, { timeoutMs: 20_000 })
  let count = 0
  const busy = setInterval(() => { (count % 2 === 0 ? plan : copy).ydoc.getMap('m').set('secret', ++count) }, EDIT_MS)
  stop = () => { clearInterval(busy) }
  // The hash table is opened after all else, when somebody is there.
  await within(20_000, 'the hash table is served', (async () => {
    do served = await listed()
    while (!served.some(protocol => protocol.includes('/kad/')))
  })())
})

test.after(async () => {
  stop()
  await Promise.all(opened.map(async swarm => { await swarm.close() }))
  await user.leave()
})

/** An end of a connection as libp2p has it, for those of our functions that speak on one; keeps every byte that comes. */
class Plain implements Connection {
  readonly id = 'plain'
  readonly address = ''
  readonly direction = 'outbound'
  readonly path = 'direct'
  admitted = false
  heard = ''
  readonly raw: LibConnection

  constructor (raw: LibConnection) {
    this.raw = raw
  }

  get peerId (): string { return this.raw.remotePeer.toString() }
  admit (): void { this.admitted = true }
  async probe (): Promise<number> { return 0 }
  async close (): Promise<void> { await this.raw.close() }
  abort (error: Error): void { this.raw.abort(error) }
  onClose (listener: () => void): void { this.raw.addEventListener('close', listener) }

  async open (protocol: string): Promise<ByteStream> {
    try {
      const stream = new Libp2pStream(await this.raw.newStream(protocol))
      const read = stream.read.bind(stream)
      stream.read = reader => {
        read({ ...reader, data: bytes => {
          this.heard += new TextDecoder().decode(bytes)
          reader.data(bytes)
        }, ended: () => { reader.ended() }, closed: error => { reader.closed(error) } })
      }
      return stream
    } catch (cause) {
      throw new SwarmError('UNREACHABLE', `${protocol} is refused`, { cause })
    }
  }
}

interface Outsider {
  readonly libp2p: Libp2p
  readonly connection: Plain
  /** Streams that came to him, by their protocol. */
  readonly came: string[]
}

/** Somebody with libp2p as it comes, who would answer whatever the peers speak among themselves. */
async function knock (swarm: Swarm, answers: readonly string[]): Promise<Outsider> {
  const libp2p = await openStranger()
  const came: string[] = []
  for (const protocol of answers) {
    await libp2p.unhandle(protocol).catch(() => undefined)
    await libp2p.handle(protocol, (stream: Stream) => { came.push(stream.protocol) }, { force: true })
  }
  const address = multiaddr(`${swarm.addresses()[0]}/p2p/${swarm.peerId}`)
  return { libp2p, came, connection: new Plain(await within(10_000, 'a dial', libp2p.dial(address))) }
}

/** What a connection lists when it is asked. Source: multistream-select specification, "ls". */
async function list (connection: LibConnection): Promise<string[]> {
  const { muxer } = connection as unknown as { muxer: { createStream: () => Promise<Stream> } }
  const stream = await muxer.createStream()
  let answer = ''
  stream.addEventListener('message', event => { answer += new TextDecoder().decode(event.data.subarray()) })
  for (const line of ['/multistream/1.0.0\n', 'ls\n']) stream.send(concatBytes(Uint8Array.of(line.length), utf8(line)))
  await until('the list', () => answer.endsWith('\n\n'))
  stream.abort(new Error('done'))
  return answer.split('\n').filter(line => line.includes('/')).map(line => line.slice(line.indexOf('/'))).filter(line => !line.startsWith('/multistream/')).sort()
}

/** The name of the error with which a stream is refused. */
async function refusal (connection: LibConnection, protocol: string): Promise<string> {
  return await within(10_000, protocol, connection.newStream(protocol).then(() => 'opened', (error: unknown) => (error as Error).name))
}

/** Lists the protocols as one who belongs: he says hello with a grant of his own, and asks identify. */
async function listed (): Promise<string[]> {
  const outsider = await knock(admin, [])
  const { libp2p, connection } = outsider
  const peerId = libp2p.peerId.toString()
  const grant = mintGrant(swarmKey, { peerId, role: 'admin', issuedAtMs: Math.floor(systemClock.wallMs()), memberUntilMs: null })
  await within(5_000, 'hello', sayHello(connection, { swarmId: admin.id, swarmPublicKey: swarmKey.publicKey, grant, name: 'lister' }, { clock: systemClock }))
  const { protocols } = await within(5_000, 'identify', (libp2p.services as unknown as { identify: { identify: (connection: LibConnection) => Promise<{ protocols: string[] }> } }).identify.identify(connection.raw))
  await libp2p.stop()
  return protocols
}

/** What somebody may have got hold of, and what he does with it; resolves with the code that he was told. */
interface Row {
  readonly what: string
  readonly told: string | undefined
  readonly tries: (connection: Plain, peerId: string) => Promise<unknown>
  /** Everything he hears. */
  readonly hears: RegExp
  /** What the peer itself makes of it, among its refusals. */
  readonly noted?: string
}

function ticket (more: Partial<Terms> = {}, key = swarmKey): Ticket {
  const issuedAtMs = Math.floor(systemClock.wallMs()) - HOUR_MS
  return readTicket(writeTicket(key, generateKey(systemRandom), { role: 'member', uses: 1, issuedAtMs, joinBeforeMs: issuedAtMs + 2 * HOUR_MS, memberForMs: null, ...more }, []))
}

/** Shows a ticket as the library does. */
function shows (made: () => Ticket | Promise<Ticket>): Row['tries'] {
  return async (connection, peerId) => {
    const shown = await made()
    // He knows the swarm: he asks it, whatever his ticket says.
    const asked = { ...connection, peerId: connection.peerId, open: async () => await connection.open(joinProtocol(admin.id)) } as unknown as Connection
    await redeem(asked, shown, { clock: systemClock, random: systemRandom, peerId })
  }
}

/** Says hello with a grant. */
function says (grant: (peerId: string) => string): Row['tries'] {
  return async (connection, peerId) => {
    await sayHello(connection, { swarmId: admin.id, swarmPublicKey: swarmKey.publicKey, grant: grant(peerId), name: 'outsider' }, { clock: systemClock })
  }
}

/** Lets somebody else in by it. */
async function usedUp (): Promise<Ticket> {
  const { ticket: text } = admin.invite()
  const friend = await joinSwarm({ ticket: text, name: 'friend' })
  await friend.close()
  return readTicket(text)
}

function tampered (): Ticket {
  const made = ticket()
  const terms = canonicalJson({ ...made.terms, role: 'admin', uses: 1_000 })
  return { ...made, pass: `${toBase64Url(utf8(terms))}.${made.pass.split('.')[1]}`, terms: { ...made.terms, role: 'admin' } }
}

const nonce = '\\{"nonce":"[\\w-]{43}"\\}\n'
const refused = (code: string): string => `\\{"error":\\{"code":"${code}"\\}\\}\n`
const only = (...lines: string[]): RegExp => new RegExp(`^${lines.join('')}$`)

const ROWS: readonly Row[] = [
  { what: 'no ticket, and says nothing', told: undefined, tries: async () => {}, hears: /^$/, noted: 'NOT_ADMITTED' },
  { what: 'an expired ticket', told: 'TICKET_EXPIRED', tries: shows(() => ticket({ joinBeforeMs: Math.floor(systemClock.wallMs()) - TICKET_SKEW_MS })), hears: only(nonce, refused('TICKET_EXPIRED')), noted: 'TICKET_EXPIRED' },
  { what: 'a ticket that is used up', told: 'TICKET_USED', tries: shows(usedUp), hears: only(nonce, refused('TICKET_USED')), noted: 'TICKET_USED' },
  { what: 'a ticket of a foreign swarm', told: 'TICKET_INVALID', tries: shows(() => ticket({}, generateKey(systemRandom))), hears: only(refused('TICKET_INVALID')), noted: 'TICKET_INVALID' },
  { what: 'a tampered ticket', told: 'TICKET_INVALID', tries: shows(tampered), hears: only(refused('TICKET_INVALID')), noted: 'TICKET_INVALID' },
  { what: 'what he saw of somebody\'s ticket on its way, without the secret', told: 'TICKET_INVALID', tries: shows(() => ({ ...ticket(), key: generateKey(systemRandom) })), hears: only(nonce, refused('TICKET_INVALID')), noted: 'TICKET_INVALID' },
  { what: 'a copy of a member\'s grant', told: 'NOT_ADMITTED', tries: says(() => (JSON.parse(readFileSync(join(user.home, 'member', 'swarm.json'), 'utf8')) as { grant: string }).grant), hears: only(refused('NOT_ADMITTED')), noted: 'NOT_ADMITTED' },
  { what: 'a grant of a foreign swarm', told: 'NOT_ADMITTED', tries: says(peerId => mintGrant(generateKey(systemRandom), { peerId, role: 'admin', issuedAtMs: 1, memberUntilMs: null })), hears: only(refused('NOT_ADMITTED')), noted: 'NOT_ADMITTED' },
  { what: 'a grant of his own that has ended', told: 'NOT_ADMITTED', tries: says(peerId => mintGrant(swarmKey, { peerId, role: 'admin', issuedAtMs: 1, memberUntilMs: 2 })), hears: only(refused('NOT_ADMITTED')), noted: 'NOT_ADMITTED' },
  { what: 'words that nobody knows', told: 'NOT_ADMITTED', tries: async connection => {
    const stream = await connection.open(helloProtocol(admin.id))
    stream.read({ data: () => {}, ended: () => {}, closed: () => {} })
    stream.send(utf8('let me in\n'))
    await until('an answer', () => connection.heard.endsWith('\n'))
    throw new SwarmError('NOT_ADMITTED', connection.heard)
  }, hears: only(refused('MALFORMED')), noted: 'MALFORMED' }
]

function scene (name: string, body: () => Promise<void>): void {
  test(name, async () => {
    try {
      await within(40_000, name, body())
    } catch (error) {
      throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}\n${error.stack}`) : error
    }
  })
}

scene('who belongs sees what there is to be seen', async () => {
  for (const part of ['hello', 'join', 'ledger', 'renew', 'directory', 'mcp', 'sync', 'kad', 'gossip']) assert.ok(served.some(protocol => protocol.startsWith(`/mcp-swarm/${admin.id}/${part}/`)), `${part} among ${served.join(' ')}`)
  assert.ok(served.some(protocol => protocol.includes('relay')), served.join(' '))
  console.log(`\nnote: ${served.length} protocols for members: ${served.join(' ')}`)
})

for (const { what, told, tries, hears, noted } of ROWS) {
  for (const whom of ['admin', 'member'] as const) {
    if (whom === 'member' && !hears.source.includes('NOT_ADMITTED') && told !== undefined) continue // tickets are the admins' to take
    scene(`an outsider with ${what}, at the ${whom}: sees nothing, and is told ${told ?? 'nothing'}`, async () => {
      const swarm = whom === 'admin' ? admin : member
      const [hello, joining] = [helloProtocol(admin.id), joinProtocol(admin.id)]
      const open = whom === 'admin' ? [hello, joining] : [hello]
      const closedToHim = served.filter(protocol => !open.includes(protocol))
      assert.ok(closedToHim.length >= 8, closedToHim.join(' '))
      const { libp2p, connection, came } = await knock(swarm, closedToHim)
      try {
        assert.equal(await list(connection.raw), open.sort())
        assert.equal([...new Set(await Promise.all(closedToHim.map(async protocol => await refusal(connection.raw, protocol))))], ['UnsupportedProtocolError'])
        const code = await tries(connection, libp2p.peerId.toString()).then(() => undefined, (error: unknown) => {
          if (error instanceof SwarmError) return error.code
          throw error
        })
        assert.is(code, told)
        for (const protocol of closedToHim) assert.is.not(await refusal(connection.raw, protocol), 'opened', protocol)
        await until('the end of the connection', () => connection.raw.status !== 'open', 12_000)
        assert.match(connection.heard, hears)
        assert.equal(came, [], 'no stream came to him: no gossip, no record, no document')
        assert.ok(swarm.peers().every(({ peerId }) => peerId !== libp2p.peerId.toString()), 'nobody lists him')
        const mine = swarm.status().refusals.filter(({ peerId }) => peerId === libp2p.peerId.toString())
        assert.ok(mine.some(refused => refused.code === noted), JSON.stringify(mine))
      } finally {
        await libp2p.stop()
      }
    })
  }
}

scene('the rendezvous folder tells other users nothing, and this one only where peers are', async () => {
  const folder = join(user.home, 'run', 'mcp-swarm')
  for (const place of [folder, join(folder, admin.id)]) assert.is(statSync(place).mode & 0o777, 0o700, place)
  const files = readdirSync(join(folder, admin.id))
  assert.equal(files.sort(), [admin, member].map(({ peerId }) => `${peerId}.json`).sort())
  for (const file of files) {
    assert.is(statSync(join(folder, admin.id, file)).mode & 0o777, 0o600)
    assert.equal(Object.keys(JSON.parse(readFileSync(join(folder, admin.id, file), 'utf8')) as object).sort(), ['addresses', 'peerId', 'pid', 'v'])
  }
})

scene('after all of them the swarm is as it was', async () => {
  assert.equal((await member.call('tell_secret')).content, [{ type: 'text', text: 'the secret' }])
  assert.equal([admin.peers().length, member.peers().length], [1, 1])
})

test.run()
