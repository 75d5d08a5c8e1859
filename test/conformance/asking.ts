/** Tools that ask their client: for a form, for a model's answer, for roots; once, several at once, and in rounds. */
import { acceptedContent, inputRequired, inputResponse, type InputRequest, type InputRequiredResult, type McpServer, type ServerContext } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { say } from './content.ts'
import { capabilitiesOf, type Seal } from './context.ts'

const PERSON = z.object({ name: z.string() })
const ASSENT = z.object({ ok: z.boolean() })
const COLOUR = z.object({ color: z.string() })
const CHOICES = ['option1', 'option2', 'option3']
const TITLED = [{ const: 'value1', title: 'First' }, { const: 'value2', title: 'Second' }, { const: 'value3', title: 'Third' }]

const whoAreYou = inputRequired.elicit({ message: 'Who are you?', requestedSchema: PERSON })
const isItFine = inputRequired.elicit({ message: 'Is that fine?', requestedSchema: ASSENT })

export function addAsking (mcp: McpServer, seal: Seal): void {
  addOldNames(mcp)
  mcp.registerTool('test_missing_capability', { description: 'Needs a model' }, context => answerOf(context, 'answer', sample('Anything?')))
  mcp.registerTool('test_streaming_elicitation', { description: 'Needs a form' }, context => answerOf(context, 'user_name', whoAreYou))
  mcp.registerTool('test_input_required_result_elicitation', { description: 'Asks for a name' }, ({ mcpReq }) => {
    const person = acceptedContent(mcpReq.inputResponses, 'user_name', PERSON)
    return person === undefined ? inputRequired({ inputRequests: { user_name: whoAreYou } }) : say(`Good day, ${person.name}`)
  })
  mcp.registerTool('test_input_required_result_sampling', { description: 'Asks a model' }, context => answerOf(context, 'capital_question', sample('Which town is the capital of France?')))
  mcp.registerTool('test_input_required_result_list_roots', { description: 'Asks for roots' }, context => answerOf(context, 'client_roots', inputRequired.listRoots()))
  mcp.registerTool('test_input_required_result_capabilities', { description: 'Asks only for what the client can answer' }, context => {
    const { inputResponses } = context.mcpReq
    if (inputResponses !== undefined) return say(`answered: ${Object.keys(inputResponses).join(', ')}`)
    const { elicitation, sampling } = capabilitiesOf(context)
    return inputRequired({ inputRequests: { ...elicitation !== undefined && { form: whoAreYou }, ...sampling !== undefined && { model: sample('Anything?') } } })
  })
  addRounds(mcp, seal)
}

function addRounds (mcp: McpServer, seal: Seal): void {
  for (const name of ['test_input_required_result_request_state', 'test_input_required_result_tampered_state']) {
    mcp.registerTool(name, { description: 'Gives its client something to carry' }, async ({ mcpReq }) => {
      const [carried, assent] = [mcpReq.requestState<{ step: number }>(), acceptedContent(mcpReq.inputResponses, 'confirm', ASSENT)]
      if (carried?.step === 1 && assent?.ok === true) return say('state-ok')
      return inputRequired({ inputRequests: { confirm: isItFine }, requestState: await seal({ step: 1 }) })
    })
  }
  mcp.registerTool('test_input_required_result_multiple_inputs', { description: 'Asks three things at once' }, async ({ mcpReq }) => {
    const kinds = ['user_name', 'greeting', 'client_roots'].map(key => inputResponse(mcpReq.inputResponses, key).kind)
    if (mcpReq.requestState() !== undefined && kinds.join() === 'elicit,sampling,roots') return say('all three are there')
    return inputRequired({
      inputRequests: { user_name: whoAreYou, greeting: sample('Greet somebody'), client_roots: inputRequired.listRoots() }, requestState: await seal({ step: 1 })
    })
  })
  mcp.registerTool('test_input_required_result_multi_round', { description: 'Asks twice' }, async ({ mcpReq }) => {
    const carried = mcpReq.requestState<{ step: number, name?: string }>()
    const colour = acceptedContent(mcpReq.inputResponses, 'step2', COLOUR)
    if (carried?.step === 2 && colour !== undefined) return say(`${carried.name ?? 'somebody'} likes ${colour.color}`)
    const person = carried?.step === 1 ? acceptedContent(mcpReq.inputResponses, 'step1', PERSON) : undefined
    if (person === undefined) return inputRequired({ inputRequests: { step1: whoAreYou }, requestState: await seal({ step: 1 }) })
    const which = inputRequired.elicit({ message: 'Which colour do you like?', requestedSchema: COLOUR })
    return inputRequired({ inputRequests: { step2: which }, requestState: await seal({ step: 2, name: person.name }) })
  })
}

/** What scenarios of 2025-11-25 call: they look at what their client is asked. */
function addOldNames (mcp: McpServer): void {
  mcp.registerTool('test_sampling', { description: 'Asks a model', inputSchema: z.object({ prompt: z.string() }) }, ({ prompt }, context) => answerOf(context, 'answer', sample(prompt)))
  mcp.registerTool('test_elicitation', { description: 'Asks for a form', inputSchema: z.object({ message: z.string() }) }, ({ message }, context) =>
    answerOf(context, 'form', inputRequired.elicit({ message, requestedSchema: z.object({ username: z.string(), email: z.string() }) })))
  mcp.registerTool('test_elicitation_sep1034_defaults', { description: 'Asks for a form that is filled in already' }, context => answerOf(context, 'form', inputRequired.elicit({
    message: 'Is this right?',
    requestedSchema: {
      type: 'object',
      properties: {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true }
      }
    }
  })))
  mcp.registerTool('test_elicitation_sep1330_enums', { description: 'Asks for a form with every kind of choice' }, context => answerOf(context, 'form', inputRequired.elicit({
    message: 'Which?',
    requestedSchema: {
      type: 'object',
      properties: {
        untitledSingle: { type: 'string', enum: CHOICES },
        titledSingle: { type: 'string', oneOf: TITLED },
        legacyEnum: { type: 'string', enum: ['opt1', 'opt2'], enumNames: ['One', 'Two'] },
        untitledMulti: { type: 'array', items: { type: 'string', enum: CHOICES } },
        titledMulti: { type: 'array', items: { anyOf: TITLED } }
      }
    }
  })))
}

/** Asks, and says what was answered: also that somebody declined. */
function answerOf ({ mcpReq }: ServerContext, key: string, request: InputRequest): InputRequiredResult | ReturnType<typeof say> {
  const answer = inputResponse(mcpReq.inputResponses, key)
  return answer.kind === 'missing' ? inputRequired({ inputRequests: { [key]: request } }) : say(`answered: ${JSON.stringify(answer)}`)
}

function sample (words: string): InputRequest {
  return inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: words } }], maxTokens: 100 })
}
