/** Calls to what is known from before, and is met a moment later. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { gatewayView } from '../../lib/swarm/gateway.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab } from '../../lib/testing.ts'
import { within } from '../mcp/parts.ts'

/** Alice, who has started anew and knows bob's tool, with no way to him yet. */
async function scene (run: (parts: { alice: Swarm, lab: Lab, bob: Swarm }) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'mcp-swarm-seek-'))
  const lab = new Lab()
  try {
    const bob = await lab.join('bob')
    await bob.agent('notes').tool('read', {}, () => 'read').start()
    const before = await lab.join('alice', { dir })
    await within(before.offered({ tool: 'read' }), 'the tool')
    await before.close()
    lab.hub.cut(before.peerId, bob.peerId)
    const alice = await lab.join('alice', { dir })
    assert.equal(alice.tools({ all: true }).map(({ name, available }) => [name, available]), [['read', false]])
    await run({ alice, lab, bob })
  } catch (error) {
    throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error.cause }) : error // uvu cannot show ours
  } finally {
    await lab.close()
    await rm(dir, { recursive: true, force: true })
  }
}

const call = async (alice: Swarm, signal = new AbortController().signal): Promise<unknown> => {
  const view = gatewayView(alice)
  const [tool] = view.tools()
  assert.ok(tool)
  return await view.call(tool, {}, { signal, meta: {} }).then(({ content }) => content, (error: unknown) => (error as SwarmError).code)
}

test('a call waits for a peer that is being dialled', async () => {
  await scene(async ({ alice, bob, lab }) => {
    const calling = call(alice)
    assert.is(await Promise.race([calling, new Promise(resolve => setImmediate(resolve, 'waits'))]), 'waits')
    lab.hub.heal(alice.peerId, bob.peerId)
    assert.equal(await within(calling, 'the call'), [{ type: 'text', text: 'read' }])
  })
})

test('a call to a peer that nobody expects any more fails at once', async () => {
  await scene(async ({ alice, bob }) => {
    const calling = call(alice)
    await bob.close()
    assert.match(String(await within(calling, 'the call', 2_000)), /UNAVAILABLE|UNKNOWN_/)
  })
})

test('a call that waits can be given up', async () => {
  await scene(async ({ alice }) => {
    const controller = new AbortController()
    const calling = call(alice, controller.signal)
    controller.abort()
    assert.is(await within(calling, 'the call'), 'ABORTED')
  })
})

test.run()
