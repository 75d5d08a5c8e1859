import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError, type ErrorCode } from '../../lib/base/error.ts'
import { joinSwarm } from '../../lib/swarm/join.ts'
import { inviteFrom, makeSwarm } from '../../lib/swarm/make.ts'
import type { JoinOptions } from '../../lib/swarm/options.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { within } from '../support/within.ts'
import { becomeUser } from './user.ts'

process.env['MCP_SWARM_LISTEN'] ??= '/ip4/127.0.0.1/tcp/0'
process.env['MCP_SWARM_DISCOVERY'] ??= 'folder'
const user = await becomeUser()
const opened: Swarm[] = []
let folders = 0

function folder (): string {
  return join(user.home, `peer-${++folders}`)
}

async function joined (options: JoinOptions): Promise<Swarm> {
  const swarm = await within(25_000, 'joining', joinSwarm(options))
  opened.push(swarm)
  return swarm
}

async function fails (options: JoinOptions, code: ErrorCode): Promise<SwarmError> {
  try {
    await joined(options)
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    assert.is(error.code, code, error.message)
    return error
  }
  throw new Error(`joined, though ${code} was expected`)
}

function scene (name: string, body: () => Promise<void>): void {
  test(name, async () => {
    try {
      await within(50_000, name, body())
    } catch (error) {
      throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}\n${error.stack}`, { cause: error }) : error
    } finally {
      await Promise.all(opened.splice(0).map(async swarm => { await swarm.close() }))
    }
  })
}

test.after(async () => { await user.leave() })

async function offerEcho (swarm: Swarm): Promise<void> {
  const agent = swarm.agent('echoes')
  agent.tool('say', { description: 'Says it', input: { type: 'object', properties: { text: { type: 'string' } } } }, ({ text }) => text as string)
  await agent.start()
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

test.run()
