// bound: 120 s
/** What a member of a pool bids its client return goes back to that member. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { gatewayView } from '../../lib/swarm/gateway.ts'
import { memberOf, withMember } from '../../lib/swarm/states.ts'
import { KINDS, inScene, refusal, words, type Answers, type Scene } from '../mcp/through.ts'
import { serverCommand } from '../support/servers.ts'

const test = suite('states')
const asking = (name: string): ReturnType<typeof serverCommand> => serverCommand('asking', name)

/** So often that a retry that went to any of two would all but surely be seen: the odds are 2^-40 and less. */
const CALLS = 10

const ANN: Answers = { elicitation: ({ message }) => ({ action: 'accept', content: { name: `Ann of ${words(message)}` } }) }

async function pool (scene: Scene): Promise<void> {
  await scene.share('bob', asking('one'), { name: 'one', pool: 'askers' })
  await scene.share('alice', asking('two'), { name: 'two', pool: 'askers' })
}

for (const kind of KINDS) {
  test(`${kind}: a retry reaches the member of a pool that asked: of tools, prompts and resources`, inScene(async scene => {
    await pool(scene)
    const client = await scene.client(kind, { answers: ANN })
    const members = new Set<string>()
    for (let call = 0; call < CALLS; call++) {
      const said = await client.text('rounds', { count: 4 })
      assert.match(said, /^(one|two): .*round 3/)
      members.add(said.slice(0, 3))
      assert.match(JSON.stringify(await client.request('prompts/get', { name: 'ask' })), 'Ann of About what?')
      assert.match(JSON.stringify(await client.request('resources/read', { uri: 'secret://one' })), 'Ann of Who reads?')
    }
    assert.is(members.size, 2, 'both were asked')
  }))
}

test('a state of a member that has left is refused; one made up reaches nobody outside the pool', inScene(async scene => {
  await pool(scene)
  const view = gatewayView(scene.alice)
  const tool = view.tools().find(({ name }) => name === 'form')
  assert.ok(tool?.pool !== undefined)
  const signal = new AbortController().signal
  const asked = new Map<string, string>()
  while (asked.size < 2) {
    const { requestState } = await view.call(tool, {}, { signal, meta: {}, client: { capabilities: { elicitation: {} } } }) as unknown as { requestState: string }
    asked.set(memberOf(requestState)?.member.agent ?? '', requestState)
  }
  const retry = async (requestState: string): Promise<JsonObject> => await view.call(tool, {}, {
    signal, meta: {}, client: { capabilities: { elicitation: {} }, requestState, inputResponses: { form: { action: 'decline' } } }
  }) as unknown as JsonObject
  await scene.bob.unshare('one')
  await refusal(scene.alice.offered({ tool: 'form', agent: 'one' }, { timeoutMs: 1 }))
  const gone = await refusal(retry(asked.get('one') ?? ''))
  assert.is(gone.code, 'UNAVAILABLE')
  assert.match(gone.message, 'call anew')
  assert.match(JSON.stringify(await retry(asked.get('two') ?? '')), 'decline')
  const forged = await refusal(retry(`mcp-swarm-member:${scene.bob.peerId}/elsewhere:x`))
  assert.is(forged.code, 'UNAVAILABLE')
  const strange = await retry('a state of nobody')
  assert.match(JSON.stringify(strange), 'does not know this state')
}))

test('a state is given back as it was, whatever it holds', () => {
  const member = { peerId: '12D3KooWx', agent: 'a_b-c.d' }
  for (const requestState of ['', 'x', 'mcp-swarm-member:a/b:c', 'a:b/c\n', '\u{1F600}'.repeat(1_000)]) {
    const { requestState: out } = withMember({ resultType: 'input_required', requestState }, member)
    assert.equal(memberOf(out), { member, requestState })
  }
  assert.equal(withMember({ content: [] }, member), { content: [] })
  assert.equal(withMember({ resultType: 'input_required', inputRequests: {} }, member), { resultType: 'input_required', inputRequests: {} })
  for (const none of [undefined, '', 'mcp-swarm-member:', 'mcp-swarm-member:a', 'mcp-swarm-member:a/b', `mcp-swarm-member:${'a'.repeat(300)}/b:c`]) assert.is(memberOf(none), undefined)
})

test.run()
