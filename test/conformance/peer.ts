/**
 * A peer with an agent whose calls become tasks: the suite knows its tools too. They are an agent's own, since a server of the SDK
 * cannot say which of its tools do; what one does on its own, becoming a task after a while, the suite does not wait for.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { acceptedContent, inputRequired, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server'
import { joinSwarm } from 'mcp-swarm'
import { z } from 'zod'
import type { InputRequired } from '../../lib/mcp/tool.ts'

const LONG_MS = 1_000

const PERSON = z.object({ name: z.string() })
const ASSENT = z.object({ confirm: z.boolean() })

const swarm = await joinSwarm({ name: 'working' })
const agent = swarm.agent('worker', { description: 'Takes its time' })

agent.tool('greet', { description: 'Answers at once', input: PERSON }, ({ name }) => `Hello, ${name}!`)

agent.tool('slow_compute', {
  description: 'Answers after some seconds', input: z.object({ seconds: z.number().min(0).max(600), label: z.string().optional() }), task: 'always'
}, async ({ seconds, label = 'it' }, { signal }) => {
  await wait(seconds * 1_000, undefined, { signal })
  return `${label} took ${seconds} s`
})

agent.tool('failing_job', { description: 'Fails after a while', task: 'required' }, async (_, { signal }) => {
  await wait(LONG_MS, undefined, { signal })
  throw new Error('it came to nothing')
})

agent.tool('protocol_error_job', { description: 'Breaks after a while, without a result', task: 'always' }, async (_, { signal }) => {
  await wait(LONG_MS, undefined, { signal })
  throw new ProtocolError(ProtocolErrorCode.InternalError, 'it broke')
})

agent.tool('confirm_delete', { description: 'Asks before it goes on', input: z.object({ filename: z.string() }), task: 'always' }, ({ filename }, context) => {
  const assent = acceptedContent(context.input?.responses, 'confirm', ASSENT)
  if (assent === undefined) return ask({ confirm: `Delete ${filename}?` }, ASSENT)
  return assent.confirm ? `${filename} is gone` : `${filename} stays`
})

agent.tool('multi_input', { description: 'Asks two things at once', task: 'always' }, (_, context) => {
  const [first, second] = [acceptedContent(context.input?.responses, 'first', PERSON), acceptedContent(context.input?.responses, 'second', PERSON)]
  if (first === undefined || second === undefined) return ask({ first: 'Who is first?', second: 'Who is second?' }, PERSON)
  return `${first.name} and ${second.name}`
})

agent.tool('test_tool_with_task', { description: 'Asks at once, then takes its time' }, async (_, context) => {
  const person = acceptedContent(context.input?.responses, 'user_name', PERSON)
  if (person === undefined) return ask({ user_name: 'Who are you?' }, PERSON)
  context.asTask()
  await wait(LONG_MS, undefined, { signal: context.signal })
  return `for ${person.name}`
})

await agent.start()
console.log(JSON.stringify({ event: 'ready' }))
process.once('SIGTERM', () => { void swarm.close() })

/** Asks for a form under each name, with its message. */
function ask (forms: Readonly<Record<string, string>>, requestedSchema: z.ZodObject): InputRequired {
  return inputRequired({ inputRequests: Object.fromEntries(Object.entries(forms).map(([name, message]) => [name, inputRequired.elicit({ message, requestedSchema })])) }) as InputRequired
}
