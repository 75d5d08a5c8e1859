/** The bytes of tickets, redemption, ledgers and renewal, frozen as those of protocol.test.ts are. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mintGrant, verifyGrant } from '../lib/access/grant.ts'
import { CLAIM_PAUSE_MS, Claims } from '../lib/access/claims.ts'
import { Ledger } from '../lib/access/ledger.ts'
import { LedgerTalk, ledgerProtocol } from '../lib/access/ledger-talk.ts'
import { answerRedemption, joinProtocol, redeem } from '../lib/access/redeem.ts'
import { REDEEM_REFUSALS, readAnswer, readAsk, readNonce, readProof, verifyProof, writeLine } from '../lib/access/redeem-lines.ts'
import { answerRenewal, askRenewal, renewProtocol } from '../lib/access/renew.ts'
import { readTicket, verifyPass, writeTicket, type Terms, type Ticket } from '../lib/access/ticket.ts'
import { wordsOf } from '../lib/access/words.ts'
import type { SwarmError } from '../lib/base/error.ts'
import type { ByteStream, Connection } from '../lib/base/network.ts'
import { seededRandom } from '../lib/base/random.ts'
import { keyFromSeed } from '../lib/identity/key.ts'
import { VirtualClock, settle } from './support/clock.ts'
import { FaultyStorage } from './support/faulty.ts'
import { SWARM, alice, bob, by, check, freeze, frozen, one, parsed, streams, swarmKey, type Sent } from './support/frozen.ts'

/** What VirtualClock begins with: 2026-01-01T00:00:00Z. */
const NOW_MS = 1_767_225_600_000
const DAY_MS = 86_400_000
const secret = keyFromSeed(new Uint8Array(32).fill(9))
const wanted = { role: 'member', uses: 3, issuedAtMs: NOW_MS, joinBeforeMs: NOW_MS + DAY_MS, memberForMs: 30 * DAY_MS } as const

function ticket (more: Partial<Terms> = {}): string {
  return writeTicket(swarmKey, secret, { ...wanted, ...more }, [{ peerId: alice.peerId, addresses: ['/ip4/192.168.1.7/tcp/4001', '/ip4/127.0.0.1/tcp/4001'] }, { peerId: bob.peerId, addresses: [] }])
}

freeze('ticket', () => [
  ['protocol', joinProtocol(SWARM)], ['protocol', ledgerProtocol(SWARM)], ['protocol', renewProtocol(SWARM)],
  ['secret.seed', Buffer.from(secret.seed).toString('hex')], ['words', wordsOf(swarmKey.publicKey)],
  ['member', ticket()], ['pass', readTicket(ticket()).pass],
  ['admin', writeTicket(swarmKey, secret, { ...wanted, role: 'admin', uses: 1, memberForMs: null }, [])]
])

check('ticket: reads these bytes', () => {
  const { terms, inviters } = readTicket(one('member', frozen('ticket')))
  assert.equal(terms, { v: 1, key: terms.key, ...wanted })
  assert.equal(inviters.map(({ peerId, addresses }) => [peerId, addresses.length]), [[alice.peerId, 2], [bob.peerId, 0]])
  assert.equal(verifyPass(one('pass', frozen('ticket')), swarmKey.publicKey), terms)
  assert.is(readTicket(one('admin', frozen('ticket'))).terms.role, 'admin')
})

/** bob comes by a ticket to alice. */
async function join (shown: Ticket, ledger?: Ledger, clock = new VirtualClock()): Promise<Sent> {
  const random = seededRandom(1)
  const { ends: [near, far], sent } = streams('joiner', 'inviter')
  const counting = ledger ?? new Ledger({ storage: new FaultyStorage(), clock, onOverused: () => {} })
  const answering = answerRedemption(far, { peerId: bob.peerId } as Connection, { swarmKey, ledger: counting, clock, random, peerId: alice.peerId })
  const joining = redeem({ peerId: alice.peerId, open: async () => near as ByteStream } as unknown as Connection, shown, { clock, random, peerId: bob.peerId }).catch((error: unknown) => error)
  await Promise.all([answering, joining])
  return sent
}

freeze('join', async () => [
  ...await join(readTicket(ticket())),
  ...(await join(readTicket(ticket({ role: 'admin', memberForMs: null })))).map(([who, line]) => [`admin-${who}`, line] as const)
])

freeze('join-refused', async () => {
  const clock = new VirtualClock()
  const ledger = new Ledger({ storage: new FaultyStorage(), clock, onOverused: () => {} })
  const once = readTicket(ticket({ uses: 1 }))
  await ledger.use(once.terms, alice.peerId)
  return [...await join(once, ledger, clock), ...REDEEM_REFUSALS.map(code => ['refusal', new TextDecoder().decode(writeLine({ error: { code } })).trimEnd()] as const)]
})

check('join: reads these bytes', () => {
  const shown = readTicket(one('member', frozen('ticket')))
  const [ask = '', proof = ''] = by('joiner', frozen('join'))
  const [nonce = '', answer = ''] = by('inviter', frozen('join'))
  const nonces = [readAsk(ask).nonce, readNonce(nonce, shown, NOW_MS)] as const
  assert.ok(verifyProof(secret.publicKey, { swarmPublicKey: swarmKey.publicKey, joiner: bob.peerId, inviter: alice.peerId, nonces }, readProof(proof)))
  const { grant, swarmKey: none } = readAnswer(answer, shown, NOW_MS)
  assert.equal([verifyGrant(grant, swarmKey.publicKey, bob.peerId, NOW_MS).memberUntilMs, none], [NOW_MS + 30 * DAY_MS, undefined])
  assert.equal(readAnswer(by('admin-inviter', frozen('join'))[1] ?? '', shown, NOW_MS).swarmKey, swarmKey.seed)
  const codes = by('refusal', frozen('join-refused')).map(line => {
    try {
      return readNonce(line, shown, NOW_MS)
    } catch (error) {
      return (error as SwarmError).code
    }
  })
  assert.equal(codes, [...REDEEM_REFUSALS])
})

const claimsOf = (ledger: Ledger, clock: VirtualClock): Claims => new Claims({ clock, counted: ticket => ledger.counted(ticket) })

freeze('ledger', async () => {
  const clock = new VirtualClock()
  const ledgers = [1, 2].map(() => new Ledger({ storage: new FaultyStorage(), clock, onOverused: () => {} })) as [Ledger, Ledger]
  const { terms } = readTicket(ticket())
  await ledgers[0].use(terms, bob.peerId)
  const { ends, sent } = streams('alice', 'bob')
  for (const [index, end] of ends.entries()) new LedgerTalk(end, ledgers[index as 0 | 1], claimsOf(ledgers[index as 0 | 1], clock), { clock, onEnd: () => {} })
  await settle()
  await ledgers[1].use(terms, alice.peerId)
  await settle()
  return sent
})

check('ledger: reads these bytes', async () => {
  const clock = new VirtualClock()
  const ledger = new Ledger({ storage: new FaultyStorage(), clock, onOverused: () => {} })
  const { ends: [near, far] } = streams('alice', 'bob')
  new LedgerTalk(far, ledger, claimsOf(ledger, clock), { clock, onEnd: () => {} })
  near.read({ data: () => {}, ended: () => {}, closed: () => {} })
  for (const line of by('alice', frozen('ledger'))) near.send(new TextEncoder().encode(`${line}\n`))
  await settle()
  assert.equal(ledger.all().map(({ peerId, uses }) => [peerId, uses]), [[bob.peerId, 3]])
})

/** bob comes to alice by a ticket for one; her peer, whom somebody else has come to, promises nothing. */
freeze('ledger-claim', async () => {
  const clock = new VirtualClock()
  const ledger = new Ledger({ storage: new FaultyStorage(), clock, onOverused: () => {} })
  const { ends: [near, far], sent } = streams('alice', 'carol')
  const { terms } = readTicket(ticket({ uses: 1 }))
  const others = new Ledger({ storage: new FaultyStorage(), clock, onOverused: () => {} })
  const [one, other] = [claimsOf(ledger, clock), claimsOf(others, clock)]
  const talk = new LedgerTalk(near, ledger, one, { clock, onEnd: () => {} })
  new LedgerTalk(far, others, other, { clock, onEnd: () => {} })
  const claim = { ticket: terms.key, peerId: bob.peerId, uses: 1 }
  other.promise({ ...claim, peerId: alice.peerId })
  const asking = one.use(claim, () => [talk], async () => await ledger.use(terms, bob.peerId))
  await settle()
  other.release({ ...claim, peerId: alice.peerId })
  await clock.advance(CLAIM_PAUSE_MS)
  await settle()
  assert.is(await asking, true)
  await settle()
  return sent
})

check('ledger-claim: reads these bytes', async () => {
  const clock = new VirtualClock()
  const ledger = new Ledger({ storage: new FaultyStorage(), clock, onOverused: () => {} })
  const claims = claimsOf(ledger, clock)
  const { ends: [near, far] } = streams('alice', 'carol')
  new LedgerTalk(far, ledger, claims, { clock, onEnd: () => {} })
  near.read({ data: () => {}, ended: () => {}, closed: () => {} })
  const [claim = '', release = ''] = by('alice', frozen('ledger-claim')).filter(line => /"(claim|release)"/.test(line))
  const rival = { ticket: (parsed(claim)['claim'] as string[])[0] ?? '', peerId: alice.peerId, uses: 1 }
  for (const [line, isFree] of [[claim, false], [release, true]] as const) {
    near.send(new TextEncoder().encode(`${line}\n`))
    await settle()
    assert.is(claims.promise(rival), isFree)
  }
})

freeze('renew', async () => {
  const clock = new VirtualClock()
  const grant = mintGrant(swarmKey, { peerId: bob.peerId, role: 'member', issuedAtMs: NOW_MS, memberUntilMs: NOW_MS + DAY_MS })
  const own = { grant, terms: verifyGrant(grant, swarmKey.publicKey, bob.peerId, NOW_MS), swarmId: SWARM, swarmPublicKey: swarmKey.publicKey }
  await clock.advance(DAY_MS / 2)
  const { ends: [near, far], sent } = streams('bob', 'alice')
  const answering = answerRenewal(far, { peerId: bob.peerId } as Connection, swarmKey, clock)
  await Promise.all([answering, askRenewal({ peerId: alice.peerId, open: async () => near as ByteStream } as unknown as Connection, own, clock)])
  return sent
})

check('renew: reads these bytes', () => {
  const { grant } = parsed(one('alice', frozen('renew')))
  assert.is(verifyGrant(grant as string, swarmKey.publicKey, bob.peerId, NOW_MS + DAY_MS / 2).memberUntilMs, NOW_MS + 1.5 * DAY_MS)
})

test.run()
