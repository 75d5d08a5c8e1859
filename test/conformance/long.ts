/**
 * Tools that take their time: a swarm makes a task of such a call, if the caller knows tasks; the SDK's own servers know none.
 * None of them has anything to do with tasks itself, but for one that asks that its caller knows them.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { acceptedContent, inputRequired, MissingRequiredClientCapabilityError, ProtocolError, ProtocolErrorCode, type McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { say } from './content.ts'
import { capabilitiesOf, type Refuse, type Shared } from './context.ts'

const TASKS = 'io.modelcontextprotocol/tasks'

/** Long enough for a call to be a task, in milliseconds. */
const LONG_MS = 1_000

const PERSON = z.object({ name: z.string() })
const ASSENT = z.object({ confirm: z.boolean() })

export function addLong (mcp: McpServer, refuse: Refuse, { longMsMax = Infinity }: Shared): void {
  const take = async (ms: number, signal: AbortSignal): Promise<void> => { await wait(Math.min(ms, longMsMax), undefined, { signal }) }
  mcp.registerTool('greet', { description: 'Answers at once', inputSchema: PERSON }, ({ name }) => say(`Hello, ${name}!`))
  mcp.registerTool('slow_compute', {
    description: 'Answers after some seconds', inputSchema: z.object({ seconds: z.number().min(0).max(600), label: z.string().optional() })
  }, async ({ seconds, label = 'it' }, { mcpReq }) => {
    await take(seconds * 1_000, mcpReq.signal)
    return say(`${label} took ${seconds} s`)
  })
  mcp.registerTool('failing_job', { description: 'Fails after a while; only for callers that know tasks' }, async context => {
    if (capabilitiesOf(context).extensions?.[TASKS] === undefined) refuse(context, new MissingRequiredClientCapabilityError({ requiredCapabilities: { extensions: { [TASKS]: {} } } }))
    await take(LONG_MS, context.mcpReq.signal)
    return { ...say('it came to nothing'), isError: true }
  })
  mcp.registerTool('protocol_error_job', { description: 'Breaks after a while, without a result' }, async context => {
    await take(LONG_MS, context.mcpReq.signal)
    return refuse(context, new ProtocolError(ProtocolErrorCode.InternalError, 'it broke'))
  })
  mcp.registerTool('confirm_delete', { description: 'Asks after a while', inputSchema: z.object({ filename: z.string() }) }, async ({ filename }, { mcpReq }) => {
    const assent = acceptedContent(mcpReq.inputResponses, 'confirm', ASSENT)
    if (assent !== undefined) return say(assent.confirm ? `${filename} is gone` : `${filename} stays`)
    await take(LONG_MS, mcpReq.signal)
    return inputRequired({ inputRequests: { confirm: inputRequired.elicit({ message: `Delete ${filename}?`, requestedSchema: ASSENT }) } })
  })
  mcp.registerTool('multi_input', { description: 'Asks two things at once, after a while' }, async ({ mcpReq }) => {
    const names = ['first', 'second'].map(key => acceptedContent(mcpReq.inputResponses, key, PERSON)?.name)
    if (!names.includes(undefined)) return say(names.join(' and '))
    await take(LONG_MS, mcpReq.signal)
    const ask = (message: string): ReturnType<typeof inputRequired.elicit> => inputRequired.elicit({ message, requestedSchema: PERSON })
    return inputRequired({ inputRequests: { first: ask('Who is first?'), second: ask('Who is second?') } })
  })
  mcp.registerTool('test_tool_with_task', { description: 'Asks at once, then takes its time' }, async ({ mcpReq }) => {
    const person = acceptedContent(mcpReq.inputResponses, 'user_name', PERSON)
    if (person === undefined) return inputRequired({ inputRequests: { user_name: inputRequired.elicit({ message: 'Who are you?', requestedSchema: PERSON }) } })
    await take(LONG_MS, mcpReq.signal)
    return say(`for ${person.name}`)
  })
}
