import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { SwarmError, type ErrorCode } from '../../lib/base/error.ts'
import { gatewayView } from '../../lib/swarm/gateway.ts'
import type { CallToolResult } from '../../lib/mcp/host.ts'
import type { GatewayTool } from '../../lib/mcp/names.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab } from '../../lib/testing.ts'
import { until, within } from '../support/within.ts'

const WORDS = z.object({ text: z.string() })

/** An agent that counts words, under a name, started. */
async function counter (swarm: Swarm, name: string, options: { pool?: string, allow?: string[] } = {}): Promise<void> {
  const agent = swarm.agent(name, options)
  agent.tool('count', { description: 'Counts words', input: WORDS, annotations: { readOnlyHint: true } }, ({ text }) => `${swarm.name}: ${text.split(' ').length}`)
  await agent.start()
}

async function knows (swarm: Swarm, tool: string, providers = 1): Promise<void> {
  await until(`${swarm.name} knows ${providers} providers of ${tool}`, () => swarm.find({ tool }).length === providers)
}

function textOf (result: { content: readonly { type: string }[] }): string {
  return result.content.map(block => (block as { text?: string }).text ?? '').join('')
}

async function failure (work: Promise<unknown>): Promise<SwarmError> {
  try {
    await work
  } catch (error) {
    assert.instance(error, SwarmError)
    return error as SwarmError
  }
  throw new Error('nothing failed')
}

async function fails (work: Promise<unknown>, code: ErrorCode): Promise<SwarmError> {
  const error = await failure(work)
  assert.is(error.code, code, error.message)
  return error
}

function scene (name: string, body: (lab: Lab) => Promise<void>): void {
  test(name, async () => {
    const lab = new Lab()
    try {
      await within(20_000, name, body(lab))
    } catch (error) {
      // uvu takes `details` for its own and prints nothing at all when they are no text.
      throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error }) : error
    } finally {
      await within(5_000, 'closing', lab.close())
    }
  })
}

scene('two peers find each other, and one calls the tool of the other', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await Promise.all([alice.joined(), bob.joined()])
  await counter(bob, 'words')
  await knows(alice, 'count')
  assert.is(textOf(await alice.call('count', { text: 'one two three' })), 'bob: 3')
  assert.equal(alice.find({ tool: 'count' }).map(({ peerName, agent }) => [peerName, agent.name]), [['bob', 'words']])
})

scene('a peer calls its own agents directly, and alone', async lab => {
  const alice = await lab.join('alice')
  await counter(alice, 'words')
  await knows(alice, 'count')
  assert.is(textOf(await alice.call('count', { text: 'a b' })), 'alice: 2')
})

scene('once an agent has started, its own peer can call it', async lab => {
  const alice = await lab.join('alice')
  const agent = alice.agent('words').tool('count', { description: 'Counts' }, () => 'here')
  await agent.start()
  assert.is(alice.find({ tool: 'count' }).length, 1)
  assert.is(textOf(await alice.call('count')), 'here')
})

scene('an agent is not offered before it is started, nor after it has stopped', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  const agent = bob.agent('words').tool('count', { description: 'Counts' }, () => 'x')
  await alice.joined()
  await fails(alice.call('count'), 'UNKNOWN_TOOL')
  await agent.start()
  await knows(alice, 'count')
  await agent.stop()
  await knows(alice, 'count', 0)
})

scene('a tool added or removed later is known to others', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  const agent = bob.agent('words')
  await agent.start()
  await alice.joined()
  const told = new Promise<void>(resolve => { alice.on('tools:changed', () => { if (alice.find({ tool: 'late' }).length === 1) resolve() }) })
  agent.tool('late', { description: 'Comes late' }, () => 'here')
  await within(5_000, 'the event', told)
  assert.is(textOf(await alice.call('late')), 'here')
  agent.removeTool('late')
  await knows(alice, 'late', 0)
})

scene('arguments that do not fit are the tool\'s own answer, with our code', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await counter(bob, 'words')
  await knows(alice, 'count')
  const result = await alice.call('count', { text: 7 })
  assert.is(result.isError, true)
  assert.is((result._meta?.['mcp-swarm/error'] as { code: string }).code, 'INVALID_ARGUMENTS')
})

scene('an unknown tool, agent or peer is refused with the nearest names', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await counter(bob, 'words')
  await knows(alice, 'count')
  assert.equal((await fails(alice.call('cuont'), 'UNKNOWN_TOOL')).details['nearest'], ['count'])
  assert.equal((await fails(alice.call('count', {}, { agent: 'wrods' }), 'UNKNOWN_AGENT')).details['nearest'], ['words'])
  assert.equal((await fails(alice.call('count', {}, { peer: 'bbo' }), 'UNKNOWN_PEER')).details['nearest'], ['bob'])
})

scene('two agents with one tool are ambiguous until one is named; of one pool they are not', async lab => {
  const [alice, bob, carol] = [await lab.join('alice'), await lab.join('bob'), await lab.join('carol')]
  await counter(bob, 'words')
  await counter(carol, 'words')
  await knows(alice, 'count', 2)
  const { details } = await fails(alice.call('count', { text: 'a' }), 'AMBIGUOUS')
  assert.equal((details['choices'] as { peer: string }[]).map(({ peer }) => peer).sort(), ['bob', 'carol'])
  assert.is(textOf(await alice.call('count', { text: 'a' }, { peer: 'carol' })), 'carol: 1')

  await counter(bob, 'pooled', { pool: 'words' })
  await counter(carol, 'pooled', { pool: 'words' })
  await knows(alice, 'count', 4)
  assert.match(textOf(await alice.call('count', { text: 'a' }, { agent: 'pooled' })), /^(bob|carol): 1$/)
})

scene('when a member of a pool goes, calls go to the other', async lab => {
  const [alice, bob, carol] = [await lab.join('alice'), await lab.join('bob'), await lab.join('carol')]
  await counter(bob, 'words', { pool: 'words' })
  await counter(carol, 'words', { pool: 'words' })
  await knows(alice, 'count', 2)
  lab.hub.cut(alice.peerId, bob.peerId)
  for (let call = 0; call < 10; call++) assert.is(textOf(await alice.call('count', { text: 'a' })), 'carol: 1')
})

scene('a peer that leaves is gone at once, and one that cannot be dialled again soon after', async lab => {
  const [alice, bob, carol] = [await lab.join('alice'), await lab.join('bob'), await lab.join('carol')]
  await counter(bob, 'words')
  await knows(alice, 'count')
  const left = new Promise<string>(resolve => { alice.on('peer:left', peer => { resolve(peer.name) }) })
  await bob.close()
  assert.is(await within(1_000, 'bob leaves', left), 'bob')
  await fails(alice.call('count', { text: 'a' }), 'UNKNOWN_TOOL')
  lab.hub.cut(alice.peerId, carol.peerId)
  await until('carol is gone', () => alice.peers().length === 0, 3_000)
})

scene('a peer whose connection breaks and can be dialled again is not lost', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await counter(bob, 'words')
  await knows(alice, 'count')
  let lost = 0
  alice.on('peer:left', () => { lost++ })
  lab.hub.cut(alice.peerId, bob.peerId)
  lab.hub.heal(alice.peerId, bob.peerId)
  await until('a link again', () => alice.status().peers[0]?.connected === true)
  assert.is(textOf(await alice.call('count', { text: 'a' })), 'bob: 1')
  assert.is(lost, 0)
})

scene('whom `allow` does not name sees no tool and may call none', async lab => {
  const [alice, bob, carol] = [await lab.join('alice'), await lab.join('bob'), await lab.join('carol')]
  await counter(bob, 'words', { allow: [`peer:${carol.peerId}`] })
  await knows(carol, 'count')
  assert.is(textOf(await carol.call('count', { text: 'a' })), 'bob: 1')
  await until('alice has heard of the agent', () => alice.agents().some(agent => agent.name === 'words'))
  await until('alice was refused', () => alice.agents().some(agent => agent.reason?.includes('FORBIDDEN') === true))
  assert.equal(alice.find({ tool: 'count' }), [])
  await fails(alice.call('count', { text: 'a' }), 'UNKNOWN_TOOL')
})

scene('a call that is given up aborts the tool; one out of time is indeterminate', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  let [begun, aborted] = [0, 0]
  const agent = bob.agent('slow')
  agent.tool('wait', { description: 'Never ends by itself' }, async (_args, { signal }) => await new Promise<string>(resolve => {
    begun++
    signal.addEventListener('abort', () => {
      aborted++
      resolve('late')
    })
  }))
  await agent.start()
  await knows(alice, 'wait')
  const controller = new AbortController()
  const call = alice.call('wait', {}, { signal: controller.signal })
  await until('the tool runs', () => begun === 1)
  controller.abort()
  await fails(call, 'ABORTED')
  const error = await fails(alice.call('wait', {}, { timeoutMs: 100 }), 'INDETERMINATE')
  assert.is(error.details['sent'], true)
  await until('both calls were aborted at the provider', () => aborted === 2)
})

scene('progress comes in order, and all of it before the result', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  const agent = bob.agent('steps')
  agent.tool('climb', { description: 'In steps' }, (_args, { progress }) => {
    for (let step = 1; step <= 5; step++) progress(step, 5)
    return 'up'
  })
  await agent.start()
  await knows(alice, 'climb')
  const seen: number[] = []
  assert.is(textOf(await alice.call('climb', {}, { progress: ({ progress }) => { seen.push(progress) } })), 'up')
  assert.equal(seen, [1, 2, 3, 4, 5])
})

scene('300 calls at once, one of three peers late: none is lost and the others do not wait', async lab => {
  const [alice, bob, carol, dave] = [await lab.join('alice'), await lab.join('bob'), await lab.join('carol'), await lab.join('dave')]
  let release = (): void => {}
  const late = new Promise<void>(resolve => { release = resolve })
  for (const swarm of [bob, carol, dave]) {
    const agent = swarm.agent('echoes')
    agent.tool('say', { description: 'Says it', input: WORDS }, async ({ text }) => {
      if (swarm === dave) await late
      return text
    })
    await agent.start()
  }
  await knows(alice, 'say', 3)
  const call = async (peer: string, index: number): Promise<string> => textOf(await alice.call('say', { text: `${peer} ${index}` }, { peer }))
  const slow = Array.from({ length: 100 }, (_, index) => call('dave', index))
  const quick = ['bob', 'carol'].flatMap(peer => Array.from({ length: 100 }, (_, index) => call(peer, index)))
  assert.is(new Set(await within(5_000, 'the quick ones', Promise.all(quick))).size, 200)
  release()
  assert.is(new Set(await within(5_000, 'the late ones', Promise.all(slow))).size, 100)
})

scene('a closed swarm refuses, and closing twice is one close', async lab => {
  const alice = await lab.join('alice')
  await Promise.all([alice.close(), alice.close()])
  await fails(alice.call('count'), 'CLOSED')
  await fails(alice.joined(), 'CLOSED')
  assert.throws(() => alice.agent('late'), (error: unknown) => error instanceof SwarmError && error.code === 'CLOSED')
})

scene('a name may be taken once', async lab => {
  const alice = await lab.join('alice')
  alice.agent('words')
  assert.throws(() => alice.agent('words'), (error: unknown) => error instanceof SwarmError && error.code === 'AGENT_EXISTS')
  await alice.unshare('words')
  alice.agent('words')
})

scene('an agent for whom the record has no room is refused, and the others stay', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await counter(bob, 'words')
  let hosted = 1
  const error = await failure((async () => { for (;; hosted++) bob.agent(`agent-number-${hosted}`) })())
  assert.is(error.code, 'TOO_LARGE')
  assert.is(error.details['fits'], hosted)
  await knows(alice, 'count')
  assert.is(textOf(await alice.call('count', { text: 'a' })), 'bob: 1')
})

scene('an existing MCP server is shared unchanged, and taken back', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  const command = { command: process.execPath, args: ['node_modules/@modelcontextprotocol/server-everything/dist/index.js'] }
  await bob.share(command, { name: 'everything' })
  await knows(alice, 'echo', 1)
  assert.match(textOf(await alice.call('echo', { message: 'hello' })), /hello/)
  assert.equal(bob.status().agents.map(({ name, kind, available }) => [name, kind, available]), [['everything', 'server', true]])
  await bob.unshare('everything')
  await knows(alice, 'echo', 0)
})

scene('a server whose command does not exist is refused, and not offered', async lab => {
  const alice = await lab.join('alice')
  const error = await fails(alice.share({ command: 'no-such-program-anywhere' }, { name: 'missing' }), 'SERVER_FAILED')
  assert.match(error.message, /no-such-program-anywhere/)
  assert.equal(alice.status().agents, [])
})

scene('a gateway shows each tool once, and calls the one it shows', async lab => {
  const [alice, bob, carol] = [await lab.join('alice'), await lab.join('bob'), await lab.join('carol')]
  await counter(bob, 'pooled', { pool: 'words' })
  await counter(carol, 'pooled', { pool: 'words' })
  await counter(carol, 'own')
  await knows(alice, 'count', 3)
  const view = gatewayView(alice)
  assert.equal(view.tools().map(({ name, pool }) => [name, pool]), [['own__count', undefined], ['words__count', 'words']])
  const [own, pooled] = view.tools() as [GatewayTool, GatewayTool]
  const call = async (tool: GatewayTool): Promise<string> => textOf(await view.call(tool, { text: 'a' }, { signal: new AbortController().signal, meta: {} }) as CallToolResult)
  assert.is(await call(own), 'carol: 1')
  assert.match(await call(pooled), /^(bob|carol): 1$/)
  await bob.close()
  for (let times = 0; times < 5; times++) assert.is(await call(pooled), 'carol: 1')
})

scene('a gateway\'s list is the same array until something on it changes', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await counter(bob, 'words')
  await knows(alice, 'count')
  const view = gatewayView(alice)
  const shown = view.tools()
  let told = 0
  view.onChange(() => { told++ })
  await bob.agent('idle').start()
  await until('a change is told', () => told > 0 && alice.agents().some(agent => agent.name === 'idle' && agent.tools !== null))
  assert.is(view.tools(), shown)
  await counter(bob, 'more')
  await knows(alice, 'count', 2)
  assert.is.not(view.tools(), shown)
})

scene('a call that pins a definition does not run another', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await counter(bob, 'words')
  await knows(alice, 'count')
  const toolHash = alice.find({ tool: 'count' })[0]?.toolHash
  assert.is(textOf(await alice.call('count', { text: 'a' }, { definition: toolHash })), 'bob: 1')
  await fails(alice.call('count', { text: 'a' }, { definition: 'another' }), 'UNKNOWN_TOOL')
})

scene('the tools built into every agent do not make a like-named tool ambiguous', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  const agent = bob.agent('parrot').tool('say', { description: 'Says' }, () => 'said')
  await agent.start()
  agent.tool('echo', { description: 'An echo of its own' }, () => 'own echo')
  await counter(alice, 'words')
  await until('the tool is there', () => alice.find({ tool: 'echo', agent: 'parrot' })[0]?.tool.description === 'An echo of its own')
  assert.is(textOf(await alice.call('echo', { message: 'x' })), 'own echo')
  assert.is(textOf(await alice.call('echo', { message: 'x' }, { agent: 'words' })), 'x')
  assert.is(textOf(await alice.call('ping', {}, { peer: 'bob' })), 'pong')
})

scene('a coordinator fans a task out to every agent that can do it', async lab => {
  const [alice, bob, carol] = [await lab.join('alice'), await lab.join('bob'), await lab.join('carol')]
  await counter(bob, 'words')
  await counter(carol, 'words')
  await alice.agent('lead', { role: 'coordinator' }).start()
  await knows(alice, 'count', 2)
  const result = await alice.call('coordinate_task', { capability: 'count', arguments: { text: 'a b' } })
  const { succeeded, answers } = result.structuredContent as { succeeded: number, answers: { text: string }[] }
  assert.is(succeeded, 2)
  assert.equal(answers.map(({ text }) => text).sort(), ['bob: 2', 'carol: 2'])
})

scene('offered() resolves with the providers of a tool, now or once there are some, and ends by its time-out', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await fails(alice.offered({ tool: 'count' }, { timeoutMs: 10 }), 'TIMEOUT')
  const waiting = alice.offered({ tool: 'count', peer: 'bob' })
  await counter(bob, 'words')
  assert.equal((await waiting).map(({ agent }) => agent.name), ['words'])
  assert.is((await alice.offered({ tool: 'count' })).length, 1)
  const never = fails(alice.offered({ tool: 'never' }), 'CLOSED')
  await alice.close()
  await never
})

scene('joined() ends by its time-out or its signal while nobody comes', async lab => {
  const alice = await lab.join('alice')
  await fails(alice.joined({ timeoutMs: 10 }), 'TIMEOUT')
  await fails(alice.joined({ signal: AbortSignal.abort() }), 'ABORTED')
})

test.run()
