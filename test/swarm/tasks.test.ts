/** Tasks across peers: begun through one, gone on with through another. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import { TASKS_EXTENSION } from '../../lib/mcp/task-error.ts'
import { parseTaskId } from '../../lib/mcp/task-id.ts'
import type { Swarm } from '../../lib/swarm/swarm.ts'
import { Lab } from '../../lib/testing.ts'
import { until, within } from '../support/within.ts'

const CLIENT = { capabilities: { elicitation: {}, extensions: { [TASKS_EXTENSION]: {} } } } as const

function scene (name: string, body: (lab: Lab) => Promise<void>): void {
  test(name, async () => {
    const lab = new Lab()
    try {
      await within(20_000, name, body(lab))
    } finally {
      await within(5_000, 'closing', lab.close())
    }
  })
}

/** An agent whose one tool is a task that asks for a name. */
async function greeter (swarm: Swarm): Promise<void> {
  const agent = swarm.agent('greeter', { allow: ['all'] })
  agent.tool('greet', { task: 'always' }, (_args, { input }) => {
    if (input === undefined) return { resultType: 'input_required', inputRequests: { name: { method: 'elicitation/create', params: {} } } }
    return `Hello, ${(input.responses.name as { content: { name: string } }).content.name}`
  })
  await agent.start()
}

async function begin (swarm: Swarm): Promise<string> {
  const task = await swarm.call('greet', {}, { client: CLIENT }) as unknown as { resultType: string, taskId: string }
  assert.is(task.resultType, 'task')
  return task.taskId
}

async function ask (swarm: Swarm, method: string, params: { taskId: string } & JsonObject): Promise<JsonObject> {
  const { peerId, agent } = parseTaskId(params.taskId)
  return await swarm.requests.request({ peerId, agent }, method, params, { client: CLIENT, timeoutMs: 5_000 })
}

async function statusBecomes (swarm: Swarm, taskId: string, status: string): Promise<JsonObject> {
  for (;;) {
    const task = await ask(swarm, 'tasks/get', { taskId })
    if (task['status'] === status) return task
    await new Promise(resolve => { setImmediate(resolve) })
  }
}

async function failure (work: Promise<unknown>): Promise<SwarmError> {
  const error = await work.then(() => undefined, (caught: unknown) => caught)
  assert.instance(error, SwarmError)
  return error as SwarmError
}

scene('a task that one peer began is answered and read by another, after the first has left', async lab => {
  const [alice, bob, carol] = [await lab.join('alice'), await lab.join('bob'), await lab.join('carol')]
  await Promise.all([alice.joined(), bob.joined(), carol.joined()])
  await greeter(bob)
  for (const peer of [alice, carol]) await until('the tool is known', () => peer.find({ tool: 'greet' }).length === 1)
  const taskId = await begin(alice)
  assert.equal(parseTaskId(taskId), { peerId: bob.peerId, agent: 'greeter' })
  await alice.close()
  const { inputRequests } = await statusBecomes(carol, taskId, 'input_required')
  assert.equal(inputRequests, { name: { method: 'elicitation/create', params: {} } })
  await ask(carol, 'tasks/update', { taskId, inputResponses: { name: { action: 'accept', content: { name: 'Alice' } } } })
  const { result } = await statusBecomes(carol, taskId, 'completed')
  assert.equal(result, { content: [{ type: 'text', text: 'Hello, Alice' }] })
  await ask(carol, 'tasks/cancel', { taskId })
})

scene('a peer\'s own agents make tasks as well', async lab => {
  const alice = await lab.join('alice')
  await greeter(alice)
  const taskId = await begin(alice)
  await statusBecomes(alice, taskId, 'input_required')
  await ask(alice, 'tasks/cancel', { taskId })
  assert.is((await ask(alice, 'tasks/get', { taskId }))['status'], 'cancelled')
})

scene('the tasks of an agent that is taken out, or of a peer that is gone, are so: at once, and clearly', async lab => {
  const [alice, bob] = [await lab.join('alice'), await lab.join('bob')]
  await Promise.all([alice.joined(), bob.joined()])
  await greeter(bob)
  await until('the tool is known', () => alice.find({ tool: 'greet' }).length === 1)
  const taskId = await begin(alice)
  await statusBecomes(alice, taskId, 'input_required')
  await bob.unshare('greeter')
  await greeter(bob)
  await until('the tool is known again', () => alice.find({ tool: 'greet' }).length === 1)
  const unknown = await failure(ask(alice, 'tasks/get', { taskId }))
  assert.is((unknown.details['rpc'] as { code: number }).code, -32602)
  assert.match(unknown.message, /unknown task: it has expired, or the peer that ran it has restarted/)
  await bob.close()
  await until('bob is gone', () => alice.find({ tool: 'greet' }).length === 0)
  assert.ok(['UNKNOWN_AGENT', 'UNAVAILABLE', 'UNREACHABLE'].includes((await failure(ask(alice, 'tasks/get', { taskId }))).code))
})

test.run()
