/** The tools every MCPAgent answers. They are marked, so that aggregated lists leave them out by where they come from. */
import { BUILTIN_META } from './failure.ts'
import { makeTool, type Tool } from './tool.ts'

const MARK = { [BUILTIN_META]: true }

/** @param report what `get_status` tells, as plain JSON */
export function builtinTools (report: () => Record<string, unknown>): Tool[] {
  const annotations = { readOnlyHint: true, idempotentHint: true, openWorldHint: false }
  const text = { type: 'string' } as const
  const count = { type: 'integer', minimum: 0 } as const
  return [
    makeTool('ping', { description: 'Answers pong: this agent runs.', annotations }, () => 'pong', MARK),
    makeTool('echo', {
      description: 'Answers with the message it was given.',
      input: { type: 'object', properties: { message: text }, required: ['message'] },
      annotations
    }, ({ message }) => message as string, MARK),
    makeTool('get_status', {
      description: 'Tells the status of this agent, how long it runs, and how many calls it had.',
      output: {
        type: 'object',
        properties: { name: text, role: text, status: text, uptimeMs: count, calls: count, errors: count, inFlight: count, tools: count },
        required: ['name', 'status', 'uptimeMs', 'calls', 'errors', 'inFlight', 'tools']
      },
      annotations
    }, report, MARK)
  ]
}

/** Whether a definition, of whatever agent, is one of these. */
export function isBuiltin (definition: { readonly [key: string]: unknown }): boolean {
  const meta = definition['_meta']
  return typeof meta === 'object' && meta !== null && (meta as Record<string, unknown>)[BUILTIN_META] === true
}
