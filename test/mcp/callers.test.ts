/** Servers of 2025 that have a client each, and what they ask it. */
import { Server as ServerV1 } from '@modelcontextprotocol/sdk/server/index.js'
import { CallToolRequestSchema, ListToolsRequestSchema, ReadResourceRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SwarmError } from '../../lib/base/error.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { ANSWER_MS_MAX, CALLER_IDLE_MS_MAX, CALLER_SERVERS_MAX } from '../../lib/mcp/callers.ts'
import { isPending, type ClientSide, type Outcome, type Pending, type ToolCall } from '../../lib/mcp/host.ts'
import { SESSIONS_MAX, shareServer, type SharedServer } from '../../lib/mcp/share.ts'
import { SUBSCRIBED_MAX } from '../../lib/mcp/updates.ts'
import { VirtualClock } from '../support/clock.ts'
import { until } from '../support/within.ts'
import { CALLER, rejectsWith, textOf, within } from './parts.ts'

const FORM = { elicitation: { form: {} } }

/** Counts of what one test's servers have lived through. */
interface Lives { made: number, closed: number, cancelled: number, servers: ServerV1[] }

/** A server of 2025 whose tools ask, wait and count. */
function asking (lives: Lives): () => ServerV1 {
  return () => {
    const id = ++lives.made
    const server = new ServerV1({ name: 'asking', version: '1.0.0' }, { capabilities: { tools: {}, logging: {}, resources: { subscribe: true } } })
    lives.servers.push(server)
    server.onclose = () => { lives.closed++ }
    const tools = ['ask', 'askTwice', 'which', 'hang', 'log'].map(name => ({ name, inputSchema: { type: 'object' as const } }))
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }))
    server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => ({ contents: [{ uri, text: `of ${id}` }] }))
    server.setRequestHandler(SubscribeRequestSchema, () => ({}))
    server.setRequestHandler(UnsubscribeRequestSchema, () => ({}))
    const ask = async (message: string): Promise<string> => {
      const { action, content } = await server.elicitInput({ message, requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } })
      return `${action} ${String(content?.['name'])}`
    }
    server.setRequestHandler(CallToolRequestSchema, async ({ params: { name, arguments: args } }, { signal }) => {
      const text = async (): Promise<string> => {
        if (name === 'ask') return await ask(typeof args?.['message'] === 'string' ? args['message'] : 'who?')
        if (name === 'askTwice') return `${await ask('first')}, ${await ask('second')}`
        if (name === 'log') await server.sendLoggingMessage({ level: 'info', data: `from ${id}` })
        if (name === 'hang') {
          await new Promise<void>(resolve => {
            signal.addEventListener('abort', () => {
              lives.cancelled++
              resolve()
            })
          })
        }
        return `server ${id}`
      }
      return { content: [{ type: 'text', text: await text() }] }
    })
    return server
  }
}

interface Scene { readonly clock: VirtualClock, readonly lives: Lives, readonly server: SharedServer }

async function scene (run: (scene: Scene) => Promise<void>, mode: 'caller' | 'shared' = 'caller'): Promise<void> {
  const clock = new VirtualClock()
  const lives: Lives = { made: 0, closed: 0, cancelled: 0, servers: [] }
  const server = shareServer('asking', asking(lives), { clock, random: seededRandom(7), session: mode })
  try {
    await within(server.ready(), 'ready')
    await run({ clock, lives, server })
  } catch (error) {
    throw error instanceof SwarmError ? new Error(`${error.code}: ${error.message}`, { cause: error.cause }) : error // uvu cannot show ours
  } finally {
    await within(server.close(), 'close')
  }
}

function call (name: string, client?: ClientSide, more: Partial<ToolCall> = {}): ToolCall {
  return { name, arguments: {}, caller: CALLER, signal: new AbortController().signal, ...client !== undefined && { client }, ...more }
}

async function pendingOf (outcome: Promise<Outcome>): Promise<Pending & { requestState: string, inputRequests: Record<string, { method: string, params: { message?: string } }> }> {
  const got = await within(outcome, 'a question')
  assert.ok(isPending(got), JSON.stringify(got))
  return got as never
}

async function textIn (outcome: Promise<Outcome>): Promise<string> {
  return textOf(await within(outcome, 'a result') as never)
}

const accept = (name: string): { action: string, content: { name: string } } => ({ action: 'accept', content: { name } })

test('what a server asks becomes input_required, and the retry goes on where it stopped', () => scene(async ({ lives, server }) => {
  const client = { capabilities: FORM, session: 'one' }
  const first = await pendingOf(server.callTool(call('askTwice', client)))
  assert.equal(Object.values(first.inputRequests).map(({ method, params }) => [method, params.message]), [['elicitation/create', 'first']])
  const [key = ''] = Object.keys(first.inputRequests)
  const second = await pendingOf(server.callTool(call('askTwice', { ...client, requestState: first.requestState, inputResponses: { [key]: accept('ann') } })))
  const [next = ''] = Object.keys(second.inputRequests)
  assert.is.not(next, key)
  assert.is(await textIn(server.callTool(call('askTwice', { ...client, requestState: second.requestState, inputResponses: { [next]: accept('bea') } }))), 'accept ann, accept bea')
  assert.is(lives.made, 2, 'one for the lists, one for the client')
}))

test('a retry without the answer is asked again; one with no object is refused to the server', () => scene(async ({ server }) => {
  const client = { capabilities: FORM, session: 'one' }
  const first = await pendingOf(server.callTool(call('ask', client)))
  const again = await pendingOf(server.callTool(call('ask', { ...client, requestState: first.requestState })))
  assert.equal(again.inputRequests, first.inputRequests)
  const result = await within(server.callTool(call('ask', { ...client, requestState: again.requestState, inputResponses: { 1: 'yes' } })).catch((error: unknown) => error), 'an end')
  assert.match(JSON.stringify(result instanceof Error ? result.message : result), 'no object')
}))

test('two clients of one peer ask at once: each hears its own question, and has its own server', () => scene(async ({ server }) => {
  const [ann, bea] = ['ann', 'bea'].map((session): ClientSide => ({ capabilities: FORM, session })) as [ClientSide, ClientSide]
  const [forAnn, forBea] = await Promise.all([
    pendingOf(server.callTool(call('ask', ann, { arguments: { message: 'ann?' } }))), pendingOf(server.callTool(call('ask', bea, { arguments: { message: 'bea?' } })))
  ])
  assert.equal([forAnn, forBea].map(({ inputRequests }) => inputRequests['1']?.params.message), ['ann?', 'bea?'])
  assert.is(await textIn(server.callTool(call('ask', { ...bea, requestState: forBea.requestState, inputResponses: { 1: accept('b') } }))), 'accept b')
  assert.is(await textIn(server.callTool(call('ask', { ...ann, requestState: forAnn.requestState, inputResponses: { 1: accept('a') } }))), 'accept a')
  const which = await Promise.all([ann, bea].map(client => textIn(server.callTool(call('which', client)))))
  assert.is(new Set(which).size, 2)
}))

test('a client that cannot be asked is not: the server hears the protocol\'s own error', () => scene(async ({ server }) => {
  const outcome = await server.callTool(call('ask', { capabilities: {}, session: 'mute' })).catch((error: unknown) => error)
  assert.match(outcome instanceof Error ? outcome.message : JSON.stringify(outcome), /does not support|cannot be asked/)
}))

test('a token is of use to its peer alone, and once', () => scene(async ({ server }) => {
  const client = { capabilities: FORM, session: 'one' }
  const { requestState } = await pendingOf(server.callTool(call('ask', client)))
  const answers = { ...client, requestState, inputResponses: { 1: accept('x') } }
  await rejectsWith(server.callTool(call('ask', answers, { caller: { peerId: '12D3KooWOther', role: 'member' } })), 'INVALID_ARGUMENTS')
  await rejectsWith(server.callTool(call('ask', { ...answers, requestState: 'made-up' })), 'INVALID_ARGUMENTS')
  assert.is(await textIn(server.callTool(call('ask', answers))), 'accept x')
  await rejectsWith(server.callTool(call('ask', answers)), 'INVALID_ARGUMENTS')
}))

test('a client that never answers is waited for no longer than is said', () => scene(async ({ clock, server }) => {
  const client = { capabilities: FORM, session: 'one' }
  const { requestState } = await pendingOf(server.callTool(call('ask', client)))
  await clock.advance(ANSWER_MS_MAX)
  await rejectsWith(server.callTool(call('ask', { ...client, requestState, inputResponses: { 1: accept('late') } })), 'INVALID_ARGUMENTS')
}))

test('a call that is given up is given up at the server', () => scene(async ({ lives, server }) => {
  const controller = new AbortController()
  const hanging = server.callTool(call('hang', { capabilities: {}, session: 'one' }, { signal: controller.signal }))
  await until('the second server', () => lives.made >= 2)
  await textIn(server.callTool(call('which', { capabilities: {}, session: 'one' })))
  controller.abort()
  await rejectsWith(within(hanging, 'the end'), 'ABORTED')
  await textIn(server.callTool(call('which', { capabilities: {}, session: 'one' })))
  assert.is(lives.cancelled, 1)
}))

test('a server ends when its client has left, or has idled; one with a question open lives on', () => scene(async ({ clock, lives, server }) => {
  const leave = server.enter?.(CALLER, 'one')
  await textIn(server.callTool(call('which', { capabilities: {}, session: 'one' })))
  assert.is(lives.closed, 0)
  leave?.()
  await closedOf(lives, 1)
  await textIn(server.callTool(call('which', undefined))) // the peer for itself
  await clock.advance(CALLER_IDLE_MS_MAX - 1)
  assert.is(lives.closed, 1)
  await clock.advance(1)
  await closedOf(lives, 2)
  const stay = server.enter?.(CALLER, 'two')
  const client = { capabilities: FORM, session: 'two' }
  const { requestState } = await pendingOf(server.callTool(call('ask', client)))
  stay?.()
  assert.is(await textIn(server.callTool(call('ask', { ...client, session: 'other', requestState, inputResponses: { 1: accept('x') } }))), 'accept x')
  await closedOf(lives, 3)
}))

test('there is room for so many clients: the idlest goes, and where all are busy the next is refused', () => scene(async ({ lives, server }) => {
  for (let index = 0; index < CALLER_SERVERS_MAX; index++) {
    server.enter?.(CALLER, `busy ${index}`)
    await pendingOf(server.callTool(call('ask', { capabilities: FORM, session: `busy ${index}` })))
  }
  await rejectsWith(server.callTool(call('which', { capabilities: {}, session: 'one more' })), 'OVERLOADED')
  await rejectsWith(Promise.resolve(server.openSession?.(CALLER)), 'OVERLOADED')
  assert.is(lives.closed, 0)
}))

test('the idlest server makes room', () => scene(async ({ clock, lives, server }) => {
  for (let index = 0; index < CALLER_SERVERS_MAX; index++) {
    server.enter?.(CALLER, `idle ${index}`)
    await textIn(server.callTool(call('which', { capabilities: {}, session: `idle ${index}` })))
    await clock.advance(1)
  }
  await textIn(server.callTool(call('which', { capabilities: {}, session: 'one more' })))
  await closedOf(lives, 1)
  assert.is(await textIn(server.callTool(call('which', { capabilities: {}, session: 'idle 1' }))), 'server 3', 'the second is still there')
}))

test('a session of 2025 has a server to itself, so many at most; a shared server has none', async () => {
  await scene(async ({ lives, server }) => {
    const links = []
    for (let index = 0; index < SESSIONS_MAX; index++) links.push(await server.openSession?.(CALLER))
    assert.is(lives.made, 1 + SESSIONS_MAX)
    await rejectsWith(Promise.resolve(server.openSession?.(CALLER)), 'OVERLOADED')
    const [first] = links
    assert.ok(first?.close)
    first.transport.close = first.close // as who takes the transport does
    await first.transport.close()
    assert.is(lives.closed, 1)
    await server.openSession?.(CALLER)
  })
  await scene(async ({ server }) => { await rejectsWith(Promise.resolve(server.openSession?.(CALLER)), 'UNAVAILABLE') }, 'shared')
})

test('an instance cannot be made for each caller', () => {
  const instance = asking({ made: 0, closed: 0, cancelled: 0, servers: [] })()
  assert.throws(() => shareServer('one', instance, { clock: new VirtualClock(), random: seededRandom(1), session: 'caller' }), /cannot be started for each caller/)
})

test('logs of a server reach the client it serves, at the level that was asked for', () => scene(async ({ server }) => {
  const heard: unknown[] = []
  const client = { capabilities: {}, session: 'one', logLevel: 'info', log: (params: object) => { heard.push(params) } }
  await textIn(server.callTool(call('log', client)))
  await textIn(server.callTool(call('log', { capabilities: {}, session: 'two' })))
  assert.equal(heard, [{ level: 'info', data: 'from 2' }])
}))

test('calls of one client hear each from its own level on, also at once', () => scene(async ({ lives, server }) => {
  const heard: string[] = []
  const hearing = (name: string, logLevel: string): ClientSide => ({ capabilities: FORM, session: 'one', logLevel, log: ({ level }) => { heard.push(`${name} ${level as string}`) } })
  const stop = new AbortController()
  const all = server.callTool(call('hang', hearing('all', 'debug'), { signal: stop.signal })).catch(() => undefined)
  await textIn(server.callTool(call('which', hearing('ready', 'debug'))))
  const severe = server.callTool(call('hang', hearing('severe', 'error'), { signal: stop.signal })).catch(() => undefined)
  await textIn(server.callTool(call('log', hearing('none', 'error'))))
  await lives.servers[1]?.sendLoggingMessage({ level: 'critical', data: 'x' })
  await settled()
  stop.abort()
  await within(Promise.all([all, severe]), 'the end')
  assert.equal(heard, ['all info', 'all critical', 'severe critical'])
}))

test('resources are read from the client\'s own server; updates are heard of by all who asked, until they stop', () => scene(async ({ lives, server }) => {
  const read = async (session: string): Promise<unknown> => (await server.request?.({
    method: 'resources/read', params: { uri: 'a://b' }, caller: CALLER, client: { capabilities: {}, session }, signal: new AbortController().signal
  }))?.['contents']
  assert.equal(await read('one'), [{ uri: 'a://b', text: 'of 2' }])
  assert.equal(await read('two'), [{ uri: 'a://b', text: 'of 3' }])
  const heard: string[] = []
  const [stopOne] = await Promise.all(['one', 'two'].map(async who => await server.subscribe?.('a://b', uri => { heard.push(`${who} ${uri}`) })))
  await server.subscribe?.('a://b/c', uri => { heard.push(`below ${uri}`) })
  const [listing] = lives.servers
  await listing?.sendResourceUpdated({ uri: 'a://b' })
  await listing?.sendResourceUpdated({ uri: 'a://bb' })
  await settled()
  stopOne?.()
  await listing?.sendResourceUpdated({ uri: 'a://b/c' })
  await settled()
  assert.equal(heard, ['one a://b', 'two a://b', 'two a://b/c', 'below a://b/c'])
}))

test('a server is subscribed to at so many resources, and again after it has restarted', () => scene(async ({ clock, lives, server }) => {
  const heard: string[] = []
  for (let index = 0; index < SUBSCRIBED_MAX; index++) await server.subscribe?.(`a://${index}`, uri => { heard.push(uri) })
  await rejectsWith(Promise.resolve(server.subscribe?.('a://more', () => {})), 'OVERLOADED')
  await lives.servers[0]?.close()
  await rejectsWith(Promise.resolve(server.subscribe?.('b://', () => {})).then(async () => await server.subscribe?.('c://', () => {})), 'UNAVAILABLE')
  while (lives.made < 2) await clock.advance(100)
  for (let turns = 0; !server.availability.available; turns++) {
    assert.ok(turns < 1_000, 'the server is back')
    await settled()
  }
  await lives.servers.at(-1)?.sendResourceUpdated({ uri: 'a://5' })
  await settled()
  assert.equal(heard, ['a://5'])
}))

async function settled (): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise(resolve => setImmediate(resolve))
}

async function closedOf (lives: Lives, count: number): Promise<void> {
  await until(`${count} servers end`, () => lives.closed >= count)
}

test.run()
