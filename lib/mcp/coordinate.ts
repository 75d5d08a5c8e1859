/**
 * `coordinate_task`: finds the agents that offer a capability, hands each the task, a bounded number at once, and gathers
 * what each answered, failures too.
 *
 * It calls with the rights of the peer that hosts it, not of its caller: who may use it is for that peer's `allow` to say.
 */
import { z } from 'zod'
import { SwarmError, messageOf } from '../base/error.ts'
import type { JsonObject } from '../base/json.ts'
import type { CallToolResult } from './host.ts'
import { makeTool, type Tool } from './tool.ts'

/** Most agents one task goes to. */
export const FAN_OUT_MAX = 256

/** Most of them at once. */
export const CONCURRENCY_MAX = 64

/** Longest wait for one agent, in milliseconds. */
export const TASK_MS_MAX = 600_000

const NAME = 'coordinate_task'

/** The rest of the swarm as a tool may use it: lent by the peer that hosts the agent. */
export interface Coordination {
  /** Living agents that offer the tool, each once, in a stable order. */
  find (query: { readonly tool: string, readonly agent?: string, readonly role?: string, readonly pool?: string }): readonly CoordinationTarget[]
  /** Calls that agent's tool. @throws SwarmError as `swarm.call` */
  call (target: CoordinationTarget, tool: string, args: JsonObject, options: { readonly timeoutMs: number, readonly signal: AbortSignal }): Promise<CallToolResult>
}

export interface CoordinationTarget {
  readonly peerId: string
  readonly peerName: string
  readonly agent: string
}

const answer = z.object({
  agent: z.string(),
  peer: z.string(),
  ok: z.boolean(),
  text: z.string().optional(),
  structured: z.unknown().optional(),
  error: z.object({ code: z.string(), message: z.string() }).optional()
})

export function coordinateTask (coordination: () => Coordination | undefined): Tool {
  return makeTool(NAME, {
    title: 'Coordinate a task',
    description: 'Finds the agents in the swarm that offer a tool, calls it on each of them with the same arguments, and returns every answer and every failure.',
    input: z.object({
      capability: z.string().min(1).max(128).describe('the tool to call'),
      arguments: z.record(z.string(), z.unknown()).default({}).describe('handed to each agent'),
      agent: z.string().optional().describe('only agents of this name'),
      role: z.string().optional().describe('only agents of this role'),
      pool: z.string().optional().describe('only agents of this pool'),
      concurrency: z.int().min(1).max(CONCURRENCY_MAX).default(8).describe('how many work at once'),
      timeoutMs: z.int().min(1).max(TASK_MS_MAX).default(60_000).describe('how long each may take')
    }),
    output: z.object({ agents: z.int(), succeeded: z.int(), failed: z.int(), answers: z.array(answer) }),
    annotations: { openWorldHint: true }
  }, async ({ capability, arguments: args, concurrency, timeoutMs, ...query }, { signal, progress }) => {
    const swarm = coordination()
    if (swarm === undefined) throw new SwarmError('AGENT_NOT_RUNNING', 'this agent is hosted by no swarm, so there is nobody to hand a task to')
    if (capability === NAME) throw new SwarmError('INVALID_ARGUMENTS', 'coordinators do not coordinate each other: name the tool that does the work')
    const targets = swarm.find({ tool: capability, ...query })
    if (targets.length === 0) throw new SwarmError('UNKNOWN_TOOL', `no living agent offers ${capability}`)
    if (targets.length > FAN_OUT_MAX) throw new SwarmError('TOO_LARGE', `${targets.length} agents offer ${capability}; limit ${FAN_OUT_MAX}: narrow it by agent, role or pool`)
    let done = 0
    const answers = await eachBounded(targets, concurrency, async target => {
      signal.throwIfAborted()
      const told = await ask(swarm, target, capability, args as JsonObject, { timeoutMs, signal })
      progress(++done, targets.length, `${target.agent} at ${target.peerName}: ${told.ok ? 'done' : told.error?.message}`)
      return told
    })
    signal.throwIfAborted()
    const succeeded = answers.filter(({ ok }) => ok).length
    return { agents: answers.length, succeeded, failed: answers.length - succeeded, answers }
  })
}

async function ask (
  swarm: Coordination, target: CoordinationTarget, tool: string, args: JsonObject, options: { timeoutMs: number, signal: AbortSignal }
): Promise<z.infer<typeof answer>> {
  const who = { agent: target.agent, peer: target.peerName }
  try {
    const { content, structuredContent, isError } = await swarm.call(target, tool, args, options)
    const text = content.flatMap(block => block.type === 'text' ? [block.text] : []).join('\n')
    if (isError === true) return { ...who, ok: false, error: { code: 'TOOL_FAILED', message: text } }
    return { ...who, ok: true, text, ...structuredContent !== undefined && { structured: structuredContent } }
  } catch (error) {
    return { ...who, ok: false, error: { code: error instanceof SwarmError ? error.code : 'TOOL_FAILED', message: messageOf(error) } }
  }
}

/** Maps in order of the items, with at most `limit` at work. */
async function eachBounded<Item, Value> (items: readonly Item[], limit: number, work: (item: Item) => Promise<Value>): Promise<Value[]> {
  const values: Value[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) values[index] = await work(items[index] as Item)
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker))
  return values
}
