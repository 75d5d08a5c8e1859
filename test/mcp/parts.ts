/** Parts the MCP tests share. */
import { systemClock } from '../../lib/base/clock.ts'
import type { JsonObject } from '../../lib/base/json.ts'
import { SwarmError, type ErrorCode } from '../../lib/base/error.ts'
import type { CallToolResult, HostedAgent, Progress, ToolCall } from '../../lib/mcp/host.ts'

export const CALLER = { peerId: '12D3KooWCaller', role: 'member' } as const

/** The promise, or a failure after a bound: uvu has none of its own. */
export async function within<Value> (promise: Promise<Value>, what: string, boundMs = 20_000): Promise<Value> {
  let cancel = (): void => {}
  const late = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => { reject(new Error(`${what}: nothing in ${boundMs} ms`)) }, boundMs)
    cancel = () => { clearTimeout(timer) }
  })
  return await Promise.race([promise, late]).finally(cancel)
}

/** Resolves when the claim holds, looking again at each change of the agent. */
export async function until (agent: Pick<HostedAgent, 'onChange'>, claim: () => boolean, what: string, boundMs?: number): Promise<void> {
  if (claim()) return
  let stop = (): void => {}
  const held = new Promise<void>(resolve => { stop = agent.onChange(() => { if (claim()) resolve() }) })
  await within(held, what, boundMs).finally(stop)
}

export function toolCall (name: string, args: JsonObject = {}, more: Omit<Partial<ToolCall>, 'client'> = {}): ToolCall & { client?: undefined } {
  return { name, arguments: args, caller: CALLER, signal: new AbortController().signal, ...more }
}

/** A call that keeps what it was told on the way. */
export function toldCall (name: string, args: JsonObject = {}, more: Omit<Partial<ToolCall>, 'client'> = {}): { call: ToolCall & { client?: undefined }, told: Progress[] } {
  const told: Progress[] = []
  return { told, call: toolCall(name, args, { progress: progress => { told.push(progress) }, ...more }) }
}

export function textOf (result: CallToolResult): string {
  return result.content.map(block => block.type === 'text' ? block.text : `[${block.type}]`).join('\n')
}

/** Our code in a failed result. */
export function failureOf (result: CallToolResult): unknown {
  return result.isError === true ? (result._meta?.['mcp-swarm/error'] as { code?: unknown } | undefined)?.code : undefined
}

export async function rejection (promise: Promise<unknown>): Promise<SwarmError> {
  const outcome = await promise.then(value => ({ value }), (error: unknown) => ({ error }))
  if ('error' in outcome && outcome.error instanceof SwarmError) return outcome.error
  throw new Error(`expected a SwarmError, got ${JSON.stringify(outcome)}`, { cause: outcome })
}

export async function rejectsWith (promise: Promise<unknown>, code: ErrorCode): Promise<SwarmError> {
  const error = await rejection(promise)
  if (error.code !== code) throw new Error(`expected ${code}, got ${error.code}: ${error.message}`, { cause: error })
  return error
}

export const clock = systemClock
