import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { swarmIdOf, verifyGrant } from '../../lib/access/grant.ts'
import { answerRedemption, joinProtocol, type Redeemed } from '../../lib/access/redeem.ts'
import { writeLine, type RedeemRefusal } from '../../lib/access/redeem-lines.ts'
import { readTicket, writeTicket, type Inviter, type Ticket } from '../../lib/access/ticket.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { Network } from '../../lib/base/network.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { generateKey, type PrivateKey } from '../../lib/identity/key.ts'
import { AGAIN_MS, CANDIDATES_MAX, ENTER_MS_MAX, LOOK_MS, enterBy, type Attempt, type EntranceOptions } from '../../lib/swarm/entrance.ts'
import { MemoryHub } from '../../transports/memory/memory.ts'
import { VirtualClock } from '../support/clock.ts'

const seed = Number(process.env['SEED'] ?? 20265)
console.log(`entrance: SEED=${seed}`)
const random = seededRandom(seed)

type Found = Parameters<Parameters<NonNullable<EntranceOptions['look']>>[0]>

class Rig {
  readonly clock = new VirtualClock()
  readonly hub = new MemoryHub({ clock: this.clock })
  readonly swarmKey = generateKey(random)
  readonly joiner = generateKey(random)
  readonly network = this.hub.network(this.joiner)
  readonly protocol = joinProtocol(swarmIdOf(this.swarmKey.publicKey))
  /** Who was shown the ticket, in order. */
  readonly asked: string[] = []
  isLooking = false

  /** A peer that lets in, or refuses with a code, or says nothing, or does not know the protocol. */
  peer (does: 'grants' | 'nothing' | 'knows nothing' | RedeemRefusal): Inviter & { readonly key: PrivateKey, readonly network: Network } {
    const key = generateKey(random)
    const network = this.hub.network(key)
    if (does !== 'knows nothing') {
      network.handle(this.protocol, async (stream, connection) => {
        this.asked.push(key.peerId)
        if (does === 'grants') await answerRedemption(stream, connection, { swarmKey: this.swarmKey, ledger: { use: async () => true }, clock: this.clock, random, peerId: key.peerId })
        else if (does === 'nothing') stream.read({ data: () => {}, ended: () => {}, closed: () => {} })
        else {
          stream.read({ data: () => { stream.send(writeLine({ error: { code: does } })) }, ended: () => {}, closed: () => {} })
        }
      }, { beforeAdmission: true })
    }
    return { peerId: key.peerId, addresses: network.addresses(), key, network }
  }

  /** One whose address nobody has any more. */
  gone (): Inviter {
    return { peerId: generateKey(random).peerId, addresses: ['/memory/99999'] }
  }

  ticket (inviters: readonly Inviter[]): Ticket {
    const issuedAtMs = Math.floor(this.clock.wallMs())
    return readTicket(writeTicket(this.swarmKey, generateKey(random), { role: 'member', uses: 1, issuedAtMs, joinBeforeMs: issuedAtMs + 3_600_000, memberForMs: null }, inviters))
  }

  /** @param finds when each is found, in milliseconds from the beginning */
  async enter (inviters: readonly Inviter[], finds?: readonly (readonly [afterMs: number, inviter: Inviter])[]): Promise<{ end: Redeemed | SwarmError, tookMs: number }> {
    const startMs = this.clock.nowMs()
    const look: EntranceOptions['look'] = finds === undefined ? undefined : async onFound => {
      this.isLooking = true
      for (const [afterMs, { peerId, addresses }] of finds) this.clock.after(afterMs, () => { onFound(...[peerId, addresses] satisfies Found) })
      return async () => { this.isLooking = false }
    }
    let end: Redeemed | SwarmError | undefined
    const entering = enterBy({ ticket: this.ticket(inviters), network: this.network, clock: this.clock, random, look }).then(redeemed => { end = redeemed }, (error: unknown) => {
      if (!(error instanceof SwarmError)) throw error
      end = error
    })
    for (let step = 0; step < 3_000 && end === undefined; step++) await this.clock.advance(step < 30 ? 0 : 10)
    const tookMs = this.clock.nowMs() - startMs
    await this.clock.advance(0)
    await entering
    assert.is(this.isLooking, false, 'it looks for nobody any more')
    return { end: end as Redeemed | SwarmError, tookMs }
  }

  assertIn (end: Redeemed | SwarmError): void {
    if (end instanceof SwarmError) throw new Error(`${end.code}: ${end.message}`)
    verifyGrant(end.grant, this.swarmKey.publicKey, this.joiner.peerId, this.clock.wallMs())
  }
}

const codeOf = (end: Redeemed | SwarmError): string => end instanceof SwarmError ? end.code : 'granted'

test('the first that grants is enough, whoever else is away, silent or unable', async () => {
  const rig = new Rig()
  const { end, tookMs } = await rig.enter([rig.gone(), rig.peer('knows nothing'), rig.peer('UNAVAILABLE'), rig.peer('CLOCK_OFF'), rig.peer('nothing'), rig.peer('grants')])
  rig.assertIn(end)
  assert.ok(tookMs <= 6_000, `${tookMs} ms`)
})

for (const code of ['TICKET_INVALID', 'TICKET_EXPIRED', 'TICKET_USED'] as const) {
  test(`an inviter of the ticket that says ${code} has the last word`, async () => {
    const rig = new Rig()
    const { end } = await rig.enter([rig.peer(code)], [[0, rig.gone()]])
    assert.is(codeOf(end), code)
  })

  test(`a stranger that says ${code} has not`, async () => {
    const rig = new Rig()
    const inviter = rig.peer('grants')
    const { end } = await rig.enter([{ peerId: inviter.peerId, addresses: ['/memory/99999'] }], [[0, rig.peer(code)], [1_000, inviter]])
    rig.assertIn(end)
    assert.is(rig.asked.length, 2)
  })
}

test('what nobody grants and one refuses is told with the refusal', async () => {
  const rig = new Rig()
  const { end } = await rig.enter([rig.gone(), rig.peer('UNAVAILABLE')])
  assert.is(codeOf(end), 'UNAVAILABLE')
})

test('an inviter that is found elsewhere is asked there', async () => {
  const rig = new Rig()
  const inviter = rig.peer('grants')
  const { end } = await rig.enter([{ peerId: inviter.peerId, addresses: ['/memory/99999'] }], [[LOOK_MS - 100, inviter]])
  rig.assertIn(end)
})

test('where nobody answers each is told with its reason, after looking for so long and no longer', async () => {
  const rig = new Rig()
  const gone = rig.gone()
  const { end, tookMs } = await rig.enter([gone, { peerId: rig.gone().peerId, addresses: [] }], [])
  assert.is(codeOf(end), 'UNREACHABLE')
  assert.ok(tookMs >= LOOK_MS && tookMs < LOOK_MS + 200, `${tookMs} ms`)
  const attempts = (end as SwarmError).details['inviters'] as Attempt[]
  assert.equal(attempts.map(({ peerId }) => peerId === gone.peerId), [false, true])
  assert.match(attempts[0]?.message ?? '', 'names no address')
  const alone = await rig.enter([gone])
  assert.ok(codeOf(alone.end) === 'UNREACHABLE' && alone.tookMs < 200, `${alone.tookMs} ms without looking`)
})

test('where all inviters answer and none knows the swarm, the ticket is told as no good, after they were asked once more', async () => {
  const rig = new Rig()
  const inviters = [rig.peer('knows nothing'), rig.peer('knows nothing')]
  const { end, tookMs } = await rig.enter(inviters)
  assert.is(codeOf(end), 'TICKET_INVALID')
  const { details: { reason, inviters: attempts }, message } = end as SwarmError
  assert.equal([reason, (attempts as Attempt[]).map(({ peerId }) => peerId).sort()], ['foreign', inviters.map(({ peerId }) => peerId).sort()])
  assert.match(message, `let nobody into swarm ${swarmIdOf(rig.swarmKey.publicKey)}`)
  assert.ok(tookMs >= AGAIN_MS && tookMs < AGAIN_MS + 200, `${tookMs} ms`)
  const looking = await rig.enter(inviters, [])
  assert.ok(codeOf(looking.end) === 'TICKET_INVALID' && looking.tookMs < LOOK_MS + 200, `${looking.tookMs} ms`)
})

test('where one of the inviters is away, it may yet let in', async () => {
  const rig = new Rig()
  assert.is(codeOf((await rig.enter([rig.peer('knows nothing'), rig.gone()])).end), 'UNREACHABLE')
})

test('a stranger who is found and knows nothing of the swarm says nothing about the ticket', async () => {
  const rig = new Rig()
  assert.is(codeOf((await rig.enter([rig.gone()], [[0, rig.peer('knows nothing')]])).end), 'UNREACHABLE')
})

test('an inviter that is just starting is asked once more', async () => {
  const rig = new Rig()
  const inviter = rig.peer('knows nothing')
  rig.clock.after(AGAIN_MS / 2, () => {
    inviter.network.handle(rig.protocol, async (stream, connection) => {
      await answerRedemption(stream, connection, { swarmKey: rig.swarmKey, ledger: { use: async () => true }, clock: rig.clock, random, peerId: inviter.peerId })
    }, { beforeAdmission: true })
  })
  rig.assertIn((await rig.enter([inviter])).end)
})

test('a ticket that names nobody is told as such', async () => {
  const rig = new Rig()
  const { end } = await rig.enter([])
  assert.match((end as SwarmError).message, 'names nobody')
})

test('many that are silent cost no more than the bound', async () => {
  const rig = new Rig()
  const silent = Array.from({ length: 12 }, () => rig.peer('nothing'))
  const { end, tookMs } = await rig.enter(silent.slice(0, 4), silent.map((inviter, index) => [index * 10, inviter]))
  assert.is(codeOf(end), 'UNREACHABLE')
  assert.ok(tookMs <= ENTER_MS_MAX + 100, `${tookMs} ms`)
})

test('whoever makes peers up is dialled for so many of them, and the inviter of the ticket is asked all the same', async () => {
  const rig = new Rig()
  let dials = 0
  const dial = rig.network.dial.bind(rig.network)
  rig.network.dial = async (...args) => {
    dials++
    return await dial(...args)
  }
  const inviter = rig.peer('UNAVAILABLE')
  const { end } = await rig.enter([inviter], Array.from({ length: 4 * CANDIDATES_MAX }, () => [0, rig.gone()]))
  assert.is(codeOf(end), 'UNAVAILABLE')
  assert.equal([dials, rig.asked], [CANDIDATES_MAX + 1, [inviter.peerId]])
  dials = 0
  const moved = rig.peer('grants')
  const made = Array.from({ length: 4 * CANDIDATES_MAX }, (): [number, Inviter] => [0, rig.gone()])
  const late = await rig.enter([{ peerId: moved.peerId, addresses: ['/memory/99999'] }], [...made, [LOOK_MS - 500, moved]])
  rig.assertIn(late.end)
  dials = 0
  const lies = Array.from({ length: 4 * CANDIDATES_MAX }, (_, index): [number, Inviter] => [0, { peerId: moved.peerId, addresses: [`/memory/${100_000 + index}`] }])
  await rig.enter([{ peerId: moved.peerId, addresses: ['/memory/99999'] }], lies)
  assert.is(dials, CANDIDATES_MAX)
})

test.run()
