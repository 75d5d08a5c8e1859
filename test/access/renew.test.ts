import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mintGrant, swarmIdOf, verifyGrant, type Grant } from '../../lib/access/grant.ts'
import { RENEW_MS_MAX, answerRenewal, askRenewal, renewProtocol } from '../../lib/access/renew.ts'
import { utf8 } from '../../lib/base/bytes.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { keyFromSeed } from '../../lib/identity/key.ts'
import { VirtualClock } from '../support/clock.ts'
import { pairConnections, type PairedConnection } from '../support/pair.ts'

const key = (fill: number): ReturnType<typeof keyFromSeed> => keyFromSeed(new Uint8Array(32).fill(fill))
const [swarmKey, admin, member, stranger] = [key(1), key(2), key(3), key(4)] as const
const swarmId = swarmIdOf(swarmKey.publicKey)
const DAY_MS = 86_400_000

class Rig {
  readonly clock = new VirtualClock()
  readonly dialler: PairedConnection
  readonly listener: PairedConnection
  readonly answers: (SwarmError | undefined)[] = []

  constructor (by = swarmKey) {
    const { dialler, listener } = pairConnections(member.peerId, admin.peerId)
    this.dialler = dialler
    this.listener = listener
    dialler.admit()
    listener.admit()
    listener.answers.set(renewProtocol(swarmId), (stream, connection) => {
      void answerRenewal(stream, connection, by, this.clock).then(answer => { this.answers.push(answer) })
    })
  }

  grant (forMs: number | null, peerId = member.peerId): { grant: string, terms: Grant, swarmId: string, swarmPublicKey: Uint8Array } {
    const issuedAtMs = this.clock.wallMs()
    const grant = mintGrant(swarmKey, { peerId, role: 'member', issuedAtMs, memberUntilMs: forMs === null ? null : issuedAtMs + forMs })
    return { grant, terms: verifyGrant(grant, swarmKey.publicKey, peerId, issuedAtMs), swarmId, swarmPublicKey: swarmKey.publicKey }
  }

  async ask (own: ReturnType<Rig['grant']>): Promise<Grant | string> {
    const asking = askRenewal(this.dialler, own, this.clock).then(({ terms }) => terms, (error: unknown) => {
      if (!(error instanceof SwarmError)) throw error
      return error.code
    })
    await this.clock.advance(0)
    return await asking
  }
}

test('a grant is renewed for as long as it was for, from now, in the same role', async () => {
  const rig = new Rig()
  const own = rig.grant(DAY_MS)
  await rig.clock.advance(DAY_MS / 2)
  const nowMs = Math.floor(rig.clock.wallMs())
  assert.equal(await rig.ask(own), { ...own.terms, issuedAtMs: nowMs, memberUntilMs: nowMs + DAY_MS })
})

for (const [what, own] of [
  ['one that has ended', async (rig: Rig) => {
    const own = rig.grant(1_000)
    await rig.clock.advance(1_000)
    return own
  }],
  ['somebody else\'s', async (rig: Rig) => rig.grant(DAY_MS, stranger.peerId)],
  ['rubbish', async (rig: Rig) => ({ ...rig.grant(DAY_MS), grant: 'rubbish' })]
] as const) {
  test(`does not renew ${what}`, async () => {
    const rig = new Rig()
    assert.is(await rig.ask(await own(rig)), 'UNREACHABLE')
    assert.is(rig.answers[0]?.code, 'NOT_ADMITTED')
  })
}

test('a renewal that the swarm\'s key has not signed is not taken', async () => {
  const rig = new Rig(stranger)
  rig.listener.answers.set(renewProtocol(swarmId), stream => {
    stream.read({ data: () => {}, ended: () => {}, closed: () => {} })
    const issuedAtMs = Math.floor(rig.clock.wallMs())
    stream.send(utf8(`${JSON.stringify({ grant: mintGrant(stranger, { peerId: member.peerId, role: 'admin', issuedAtMs, memberUntilMs: null }) })}\n`))
  })
  assert.is(await rig.ask(rig.grant(DAY_MS)), 'NOT_ADMITTED')
})

test('one that would shorten the membership, or change the role, is not taken', async () => {
  for (const [role, forMs] of [['member', 1_000], ['admin', 2 * DAY_MS]] as const) {
    const rig = new Rig()
    rig.listener.answers.set(renewProtocol(swarmId), stream => {
      stream.read({ data: () => {}, ended: () => {}, closed: () => {} })
      const issuedAtMs = Math.floor(rig.clock.wallMs())
      stream.send(utf8(`${JSON.stringify({ grant: mintGrant(swarmKey, { peerId: member.peerId, role, issuedAtMs, memberUntilMs: issuedAtMs + forMs }) })}\n`))
    })
    assert.is(await rig.ask(rig.grant(DAY_MS)), 'NOT_ADMITTED')
  }
})

test('an admin that says nothing costs no more than the bound', async () => {
  const rig = new Rig()
  rig.listener.answers.set(renewProtocol(swarmId), stream => { stream.read({ data: () => {}, ended: () => {}, closed: () => {} }) })
  const asking = askRenewal(rig.dialler, rig.grant(DAY_MS), rig.clock).then(() => 'renewed', (error: unknown) => error instanceof SwarmError ? error.code : String(error))
  await rig.clock.advance(RENEW_MS_MAX)
  assert.is(await asking, 'UNREACHABLE')
})

test.run()
