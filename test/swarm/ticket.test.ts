// bound: 180 s
import { chmodSync, copyFileSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readTicket } from '../../lib/access/ticket.ts'
import { systemClock, type Clock } from '../../lib/base/clock.ts'
import type { SwarmError } from '../../lib/base/error.ts'
import { inviteFrom, makeSwarm } from '../../lib/swarm/make.ts'
import type { JoinOptions } from '../../lib/swarm/options.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { until, within } from '../support/within.ts'
import { offerEcho, openStage } from './stage.ts'

process.env['MCP_SWARM_LISTEN'] ??= '/ip4/127.0.0.1/tcp/0'
process.env['MCP_SWARM_DISCOVERY'] ??= 'folder'
const { user, joined, fails, scene } = await openStage(test, { joinMs: 25_000, sceneMs: 50_000 })
let folders = 0

function folder (): string {
  return join(user.home, `peer-${++folders}`)
}

async function says (swarm: Swarm, text: string): Promise<void> {
  await swarm.offered({ tool: 'say' }, { timeoutMs: 5_000 })
  assert.equal((await swarm.call('say', { text })).content, [{ type: 'text', text }])
}

/** A swarm, and its first admin, up. */
async function founded (options: JoinOptions = {}): Promise<{ dir: string, admin: Swarm }> {
  const dir = folder()
  await makeSwarm(dir)
  return { dir, admin: await joined({ dir, name: 'admin', ...options }) }
}

scene('who shows a ticket is let in, calls tools, and needs no ticket again', async () => {
  const { admin } = await founded()
  await offerEcho(admin)
  const { ticket } = admin.invite()
  assert.ok(ticket.length <= 1_024, `a ticket of ${ticket.length} characters`)
  const dir = folder()
  const member = await joined({ dir, ticket, name: 'member' })
  const { swarm } = member.status()
  assert.equal([swarm.id, swarm.kind, swarm.role, swarm.words], [admin.id, 'made', 'member', admin.status().swarm.words])
  assert.is(swarm.words?.split(' ').length, 6)
  await says(member, 'hello')
  for (const file of ['swarm.json', 'peer.key']) assert.is(statSync(join(dir, file)).mode & 0o777, 0o600, file)
  await member.close()
  const again = await joined({ dir, ticket })
  await says(again, 'again')
  await again.close()
  const without = await joined({ dir })
  await says(without, 'without a ticket')
})

/** Runs with the system's, and stands as far ahead as it is set. */
class AheadClock implements Clock {
  aheadMs = 0
  nowMs (): number { return systemClock.nowMs() }
  wallMs (): number { return systemClock.wallMs() + this.aheadMs }
  after (delayMs: number, callback: () => void): () => void { return systemClock.after(delayMs, callback) }
}

scene('a second admin lets in who comes by a ticket of the first, while that one is away', async () => {
  const { admin } = await founded()
  const second = await joined({ dir: folder(), ticket: admin.invite({ role: 'admin' }).ticket, name: 'second' })
  assert.is(second.status().swarm.role, 'admin')
  await admin.joined({ timeoutMs: 5_000 })
  const { ticket, inviters } = admin.invite({ uses: 2 })
  assert.equal(inviters.map(({ peerId }) => peerId), [admin.peerId, second.peerId])
  const early = await joined({ dir: folder(), ticket, name: 'early', discovery: false })
  await early.joined({ timeoutMs: 5_000 })
  await admin.close()
  const late = await joined({ dir: folder(), ticket, name: 'late', discovery: false })
  await late.joined({ timeoutMs: 5_000 })
  assert.ok(late.peers().some(({ peerId }) => peerId === second.peerId))
  // The first one's use is known to the second.
  const error = await fails({ dir: folder(), ticket, discovery: false }, 'TICKET_USED')
  assert.match(error.message, '2 peers')
  assert.is(second.status().swarm.role, 'admin')
  const third = await joined({ dir: folder(), ticket: second.invite().ticket, name: 'third', discovery: false })
  await third.joined({ timeoutMs: 5_000 })
})

scene('of those who show one ticket at one moment to two admins that are linked, as many are let in as it says', async () => {
  const { admin } = await founded()
  const second = await joined({ dir: folder(), ticket: admin.invite({ role: 'admin' }).ticket, name: 'second' })
  await admin.joined({ timeoutMs: 5_000 })
  await until('each knows that the other is an admin', () => second.invite().inviters.length === 2, 5_000)
  const { ticket } = admin.invite({ uses: 2 })
  const outcomes = await Promise.all(Array.from({ length: 5 }, async () =>
    await joined({ dir: folder(), ticket, discovery: false }).then(() => 'in', (error: unknown) => (error as SwarmError).code)))
  assert.equal(outcomes.sort(), ['TICKET_USED', 'TICKET_USED', 'TICKET_USED', 'in', 'in'])
  for (const { troubles } of [admin.status(), second.status()]) assert.not(troubles.some(({ code }) => code === 'TICKET_USED'), 'neither has let in too many')
})

scene('an inviter that was started again elsewhere is found by other means', async () => {
  const { dir, admin } = await founded()
  const { ticket } = admin.invite()
  await admin.close()
  const error = await fails({ dir: folder(), ticket, discovery: false }, 'UNREACHABLE')
  const [attempt] = error.details['inviters'] as { peerId: string, causes: string[] }[]
  assert.is(attempt?.peerId, admin.peerId)
  assert.match(attempt?.causes[0] ?? '', /^\/ip4\/127\.0\.0\.1\/tcp\/\d+ refuses connections/)
  assert.match(error.message, /127\.0\.0\.1\/tcp\/\d+ refuses connections/)
  await joined({ dir, name: 'admin again' })
  const member = await joined({ dir: folder(), ticket })
  await member.joined({ timeoutMs: 5_000 })
})

scene('a folder whose membership was lost before it was kept is let in again by the same ticket', async () => {
  const { admin } = await founded()
  const { ticket } = admin.invite()
  const dir = folder()
  const first = await joined({ dir, ticket })
  await first.close()
  rmSync(join(dir, 'swarm.json')) // as if the power had gone before it was written
  const again = await joined({ dir, ticket })
  assert.is(again.peerId, first.peerId)
  await fails({ dir: folder(), ticket }, 'TICKET_USED')
})

scene('without a folder a ticket is enough, and nothing is kept', async () => {
  const { admin } = await founded()
  await offerEcho(admin)
  const before = readdirSync(user.home).sort()
  const guest = await joined({ ticket: admin.invite().ticket, name: 'guest' })
  await says(guest, 'from memory')
  assert.equal([guest.status().peer.dir, readdirSync(user.home).sort()], [null, before])
})

scene('a folder belongs to one swarm that was made', async () => {
  const [one, other] = [await founded(), await founded()]
  const { ticket } = other.admin.invite()
  await one.admin.close()
  const error = await fails({ dir: one.dir, ticket }, 'SWARM_EXISTS')
  assert.match(error.message, '--dir')
  await within(5_000, 'making', makeSwarm(one.dir).then(() => { throw new Error('made') }, (thrown: unknown) => {
    assert.is((thrown as SwarmError).code, 'SWARM_EXISTS')
  }))
  const member = await joined({ dir: folder(), ticket }) // it was not used up
  await member.joined({ timeoutMs: 5_000 })
})

scene('only who has the key of a made swarm may invite, and on possible terms', async () => {
  const codes: string[] = []
  const tries = (work: () => unknown): void => {
    try {
      work()
      codes.push('made')
    } catch (error) {
      codes.push((error as SwarmError).code)
    }
  }
  const local = await joined({ name: 'local' })
  tries(() => local.invite())
  const { admin } = await founded()
  const member = await joined({ dir: folder(), ticket: admin.invite().ticket })
  tries(() => member.invite())
  tries(() => admin.invite({ uses: 0 }))
  tries(() => admin.invite({ role: 'king' as 'admin' }))
  tries(() => admin.invite({ expiresMs: '1h' as unknown as number }))
  tries(() => admin.invite({ expiresMs: -1 }))
  tries(() => admin.invite({ memberForMs: 1 }))
  tries(() => admin.invite({ role: 'admin', uses: 1_000, expiresMs: 90 * 86_400_000, memberForMs: 3_600_000 }))
  assert.equal(codes, ['NOT_ADMIN', 'NOT_ADMIN', 'INVALID_OPTION', 'INVALID_OPTION', 'INVALID_OPTION', 'INVALID_OPTION', 'INVALID_OPTION', 'made'])
})

scene('a ticket made where no peer runs is good as soon as one does', async () => {
  const dir = folder()
  const { words } = await makeSwarm(dir)
  const { ticket, inviters, swarm } = await inviteFrom(dir, {})
  assert.equal([inviters.map(({ addresses }) => addresses), swarm.words], [[[]], words])
  const error = await fails({ dir: folder(), ticket, discovery: false }, 'UNREACHABLE')
  assert.match(error.message, 'names no address')
  await joined({ dir, name: 'admin' })
  const member = await joined({ dir: folder(), ticket })
  assert.is(member.status().swarm.words, words)
})

scene('a member becomes an admin by a ticket for one', async () => {
  const { admin } = await founded()
  const dir = folder()
  const member = await joined({ dir, ticket: admin.invite().ticket })
  await member.close()
  const { ticket } = admin.invite({ role: 'admin' })
  const risen = await joined({ dir, ticket })
  assert.equal([risen.peerId, risen.status().swarm.role], [member.peerId, 'admin'])
  assert.is(risen.invite().swarm.id, admin.id)
  assert.is(statSync(join(dir, 'swarm.key')).mode & 0o777, 0o600)
})

scene('a membership with an end is renewed when an admin is met, and ends where none is', async () => {
  const clock = new AheadClock()
  const { dir: adminDir, admin } = await founded({ seams: { clock } })
  await offerEcho(admin)
  const dir = folder()
  const { ticket } = admin.invite({ memberForMs: 3_600_000, uses: 1 })
  const member = await joined({ dir, ticket, seams: { clock } })
  const first = member.status().swarm.memberUntilMs ?? 0
  await says(member, 'at first')
  await member.close()
  clock.aheadMs = 40 * 60_000
  const later = await joined({ dir, seams: { clock } })
  await until('renewed', () => (later.status().swarm.memberUntilMs ?? 0) > first, 10_000)
  await says(later, 'renewed')
  await later.close()
  const kept = (JSON.parse(readFileSync(join(dir, 'swarm.json'), 'utf8')) as { grant: string }).grant
  assert.ok((JSON.parse(Buffer.from(kept.split('.')[0] ?? '', 'base64url').toString()) as { memberUntilMs: number }).memberUntilMs > first)
  clock.aheadMs = 3 * 3_600_000
  const error = await fails({ dir, seams: { clock } }, 'NOT_ADMITTED')
  assert.is(error.details['reason'], 'expired')
  await admin.close()
  const again = await joined({ dir: adminDir, seams: { clock } })
  const renewed = await joined({ dir, ticket: again.invite().ticket, seams: { clock } }) // and then a ticket is used
  assert.equal([renewed.peerId, renewed.status().swarm.memberUntilMs], [member.peerId, null])
})

scene('a peer that stays connected shows its new grant before the old one ends', async () => {
  const clock = new AheadClock()
  const { admin } = await founded({ seams: { clock } })
  await offerEcho(admin)
  const ticket = readTicket(admin.invite({ memberForMs: 3_600_000, uses: 2 }).ticket)
  const member = await joined({ dir: folder(), ticket: admin.invite({ memberForMs: 3_600_000 }).ticket, seams: { clock }, name: 'member' })
  assert.is(ticket.terms.memberForMs, 3_600_000)
  await says(member, 'at first')
  const first = member.status().swarm.memberUntilMs ?? 0
  clock.aheadMs = 31 * 60_000
  // Another admin comes: that is when it looks.
  const second = await joined({ dir: folder(), ticket: admin.invite({ role: 'admin' }).ticket, seams: { clock }, name: 'second' })
  await until('renewed', () => (member.status().swarm.memberUntilMs ?? 0) > first, 10_000)
  await second.close()
  clock.aheadMs = 61 * 60_000 // the first grant has ended by now
  await says(member, 'still a member')
})

for (const [what, harm, code] of [
  ['cut short', (path: string) => { writeFileSync(path, readFileSync(path, 'utf8').slice(0, 40)) }, 'FOLDER_UNUSABLE'],
  ['of a later release', (path: string) => { writeFileSync(path, readFileSync(path, 'utf8').replace('"v":1', '"v":2')) }, 'VERSION_UNSUPPORTED'],
  ['too long', (path: string) => { writeFileSync(path, ' '.repeat(40_000)) }, 'FOLDER_UNUSABLE'],
  ['writable by others', (path: string) => { chmodSync(path, 0o666) }, 'KEY_EXPOSED']
] as const) {
  scene(`swarm.json ${what}: ${code}, and not the user's own swarm instead`, async () => {
    const dir = folder()
    await makeSwarm(dir)
    harm(join(dir, 'swarm.json'))
    await fails({ dir }, code)
  })
}

scene('a copy of somebody else\'s swarm.json is refused here already', async () => {
  const { admin, dir } = await founded()
  const copy = folder()
  await (await joined({ dir: copy })).close()
  copyFileSync(join(dir, 'swarm.json'), join(copy, 'swarm.json'))
  const error = await fails({ dir: copy }, 'NOT_ADMITTED')
  assert.is(error.details['reason'], 'peer')
  assert.is(admin.peers().length, 0)
})

scene('two swarms that were made and the user\'s own stay apart on one machine', async () => {
  const [one, other] = [await founded(), await founded()]
  const swarms = [
    [one.admin, await joined({ dir: folder(), ticket: one.admin.invite().ticket, name: 'one' })],
    [other.admin, await joined({ dir: folder(), ticket: other.admin.invite().ticket, name: 'other' })],
    [await joined({ dir: folder(), name: 'local' }), await joined({ dir: folder(), name: 'local too' })]
  ] as const
  for (const [index, [first, second]] of swarms.entries()) {
    const agent = first.agent(`agent-${index}`)
    agent.tool(`tool-${index}`, { description: 'x', input: { type: 'object' } }, () => `${index}`)
    await agent.start()
    const document = await first.document('plan')
    document.ydoc.getMap('m').set('swarm', index)
    await document.flushed()
    await second.offered({ tool: `tool-${index}` }, { timeoutMs: 10_000 })
    const copy = await second.document('plan')
    await until('the document', () => copy.ydoc.getMap('m').get('swarm') !== undefined, 10_000)
  }
  assert.is(new Set(swarms.map(([first]) => first.id)).size, 3)
  for (const [index, [first, second]] of swarms.entries()) {
    for (const swarm of [first, second]) {
      assert.equal(swarm.peers().map(({ peerId }) => peerId), [swarm === first ? second.peerId : first.peerId], `peers of swarm ${index}`)
      assert.equal([...new Set(swarm.agents().map(({ name }) => name))], [`agent-${index}`])
      assert.equal(swarm.tools({ all: true }).map(({ tool }) => tool.name), [`tool-${index}`])
      assert.is((await swarm.document('plan')).ydoc.getMap('m').get('swarm'), index)
      assert.equal(swarm.status().refusals, [], 'not even a dial')
    }
  }
  for (const both of swarms) {
    const named = readdirSync(join(user.home, 'run', 'mcp-swarm', both[0].id)).sort()
    assert.equal(named, both.map(({ peerId }) => `${peerId}.json`).sort())
  }
})

scene('what a folder wrote in the user\'s own swarm stays out of the one that it is let into', async () => {
  const { admin } = await founded()
  const dir = folder()
  const before = await joined({ dir })
  const secret = await before.document('diary')
  secret.ydoc.getMap('m').set('dear', 'diary')
  await secret.flushed()
  await before.close()
  const member = await joined({ dir, ticket: admin.invite().ticket })
  assert.equal(await member.documents(), [])
  assert.equal((await member.document('diary')).ydoc.getMap('m').toJSON(), {})
  assert.equal((await admin.document('diary')).ydoc.getMap('m').toJSON(), {})
})

test.run()
