/** Prompts: plain, with arguments and their completion, with a resource, with an image, one that asks, and one that changes. */
import { acceptedContent, completable, inputRequired, type GetPromptResult, type McpServer, type PromptMessage } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { image, say, text } from './content.ts'
import type { Shared } from './context.ts'

const CONTEXT = z.object({ context: z.string() })
const TOWNS = ['paris', 'parma', 'porto', 'prague']

export function addPrompts (mcp: McpServer, { changes, tell }: Shared): void {
  mcp.registerPrompt('test_simple_prompt', { description: 'Says one thing' }, () => prompt(text('one thing')))
  mcp.registerPrompt('test_prompt_with_arguments', {
    description: 'Says two things that it is given',
    argsSchema: z.object({ arg1: completable(z.string(), typed => TOWNS.filter(town => town.startsWith(typed))), arg2: z.string() })
  }, ({ arg1, arg2 }) => prompt(text(`${arg1}, then ${arg2}`)))
  mcp.registerPrompt('test_prompt_with_embedded_resource', { description: 'Holds a resource', argsSchema: z.object({ resourceUri: z.string() }) }, ({ resourceUri }) =>
    prompt({ type: 'resource', resource: { uri: resourceUri, mimeType: 'text/plain', text: 'inside' } }, text('Read that.')))
  mcp.registerPrompt('test_prompt_with_image', { description: 'Holds an image' }, () => prompt(image, text('Look at that.')))
  mcp.registerPrompt('test_input_required_result_prompt', { description: 'Asks what it should be about' }, ({ mcpReq }) => {
    const about = acceptedContent(mcpReq.inputResponses, 'user_context', CONTEXT)
    if (about !== undefined) return prompt(text(`About ${about.context}`))
    return inputRequired({ inputRequests: { user_context: inputRequired.elicit({ message: 'About what?', requestedSchema: CONTEXT }) } })
  })
  const describe = (): string => `Was changed ${changes.prompts} times`
  const changing = mcp.registerPrompt('test_changing', { description: describe() }, () => prompt(text(describe())))
  mcp.registerTool('test_trigger_prompt_change', { description: 'Changes the list of prompts' }, () => {
    changes.prompts++
    if (tell === undefined) changing.update({ description: describe() })
    else tell('prompts')
    return say('changed')
  })
}

function prompt (...contents: readonly PromptMessage['content'][]): GetPromptResult {
  return { messages: contents.map(content => ({ role: 'user', content })) }
}
