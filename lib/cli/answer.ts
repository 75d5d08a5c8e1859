/** Answers the questions of commands from a swarm joined by this process. */
import type { Status, Swarm } from 'mcp-swarm'
import type { AskOptions, Call, Question } from './request.ts'
import { viewOf } from './view.ts'

/** What `status` says: how the peer is, and where its gateway is served over HTTP. */
export type StatusAnswer = Status & { readonly gateway: string | null }

export async function answer (swarm: Swarm, question: Question, options: AskOptions, gateway: string | null = null): Promise<unknown> {
  switch (question.do) {
    case 'status': return { ...swarm.status(), gateway } satisfies StatusAnswer
    case 'tools': return swarm.tools({ prefix: question.prefix })
    case 'invite': return swarm.invite(question.options)
    case 'call': return await callTool(swarm, question, options)
    case 'doc-get': case 'doc-set': case 'doc-watch': return await (await import('./document.ts')).answerDocument(swarm, question, options)
  }
}

async function callTool (swarm: Swarm, call: Call, { signal, progress }: AskOptions): Promise<unknown> {
  const { tool, ...whom } = findTool(swarm, call)
  return await swarm.call(tool, call.arguments, { ...whom, timeoutMs: call.timeoutMs, signal, progress })
}

/** Whether somebody offers what a call asks for. */
export function isKnown (swarm: Swarm, call: Call): boolean {
  return swarm.find(findTool(swarm, call)).length > 0
}

/** What is meant by a name: what a gateway shows under it, which is one provider or pool; else a tool's own name. */
function findTool (swarm: Swarm, { tool, agent, peer }: Call): { readonly tool: string, readonly agent?: string, readonly peer?: string, readonly pool?: string } {
  const shown = agent === undefined && peer === undefined ? viewOf(swarm).tools().find(({ name }) => name === tool) : undefined
  // a name of the tool's own stays with whom a gateway gave it to first: a person is asked which one is meant
  if (shown === undefined || shown.tool.name === tool) return { tool, agent, peer }
  return shown.pool === undefined ? { tool: shown.tool.name, agent: shown.agent, peer: shown.peerId } : { tool: shown.tool.name, pool: shown.pool }
}
