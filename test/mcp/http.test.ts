/** The gateway over HTTP as clients meet it: the SDK's, v1 and v2, in both revisions. */
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as HttpV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import type { MCPAgent } from '../../lib/mcp/agent.ts'
import type { HttpGateway, HttpGatewayOptions } from '../../lib/mcp/http.node.ts'
import type { CallToolResult } from '../../lib/mcp/host.ts'
import { modern, post, stage, TOKEN, type Stage } from './http-parts.ts'
import { textOf, within } from './parts.ts'

interface AnyClient {
  list (): Promise<string[]>
  call (name: string, args?: Record<string, unknown>, options?: { signal?: AbortSignal, onprogress?: (told: { progress: number }) => void }): Promise<CallToolResult>
  onChange (listener: () => void): Promise<void>
  instructions (): string | undefined
  close (): Promise<void>
}

const open: (() => Promise<unknown>)[] = []
test.after.each(async () => {
  for (const close of open.splice(0).reverse()) await within(close(), 'close')
})

const KINDS = ['SDK v1', 'SDK v2 of 2025', 'SDK v2 of 2026', 'SDK v2 that negotiates'] as const

async function connect (kind: typeof KINDS[number], { url }: HttpGateway, token = TOKEN): Promise<AnyClient> {
  const requestInit = { headers: { authorization: `Bearer ${token}` } }
  if (kind === 'SDK v1') {
    const client = new ClientV1({ name: 'test', version: '1' })
    const transport = new HttpV1(new URL(url), { requestInit })
    await within(client.connect(transport as never), 'connect')
    open.push(() => client.close())
    return {
      list: async () => (await client.listTools()).tools.map(({ name }) => name).filter(name => !name.startsWith('swarm_')),
      call: async (name, args, options) => await client.callTool({ name, arguments: args }, undefined, options) as CallToolResult,
      onChange: async listener => { client.setNotificationHandler(ToolListChangedNotificationSchema, listener) },
      instructions: () => client.getInstructions(),
      close: async () => {
        await transport.terminateSession()
        await client.close()
      }
    }
  }
  const isModern = kind !== 'SDK v2 of 2025'
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: kind === 'SDK v2 of 2026' ? { pin: '2026-07-28' } : isModern ? 'auto' : 'legacy' } })
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit })
  await within(client.connect(transport), 'connect')
  assert.is(client.getProtocolEra(), isModern ? 'modern' : 'legacy')
  open.push(() => client.close())
  return {
    list: async () => (await client.listTools(undefined, { cacheMode: 'bypass' })).tools.map(({ name }) => name).filter(name => !name.startsWith('swarm_')),
    call: async (name, args, options) => await client.callTool({ name, arguments: args }, options),
    onChange: async listener => {
      client.setNotificationHandler('notifications/tools/list_changed', listener)
      if (isModern) await client.listen({ toolsListChanged: true })
    },
    instructions: () => client.getInstructions(),
    close: async () => {
      if (!isModern) await transport.terminateSession()
      await client.close()
    }
  }
}

async function serve (build: (agent: MCPAgent) => void, options?: Partial<HttpGatewayOptions>): Promise<Stage> {
  const served = await stage(build, options)
  open.push(() => served.close())
  return served
}

for (const kind of KINDS) {
  test(`${kind}: lists the tools of the swarm, and calls them`, async () => {
    const { gateway, reported } = await serve(agent => {
      agent.tool('add', { input: z.object({ a: z.number(), b: z.number() }), output: z.object({ sum: z.number() }) }, ({ a, b }) => ({ sum: a + b }))
      agent.tool('fail', {}, () => { throw new Error('it broke') })
    }, { instructions: 'Mind the gap.' })
    const client = await connect(kind, gateway)
    assert.is(client.instructions(), 'Mind the gap.')
    assert.equal(await client.list(), ['add', 'fail'])
    assert.equal((await client.call('add', { a: 2, b: 3 })).structuredContent, { sum: 5 })
    const failed = await client.call('fail')
    assert.is(failed.isError, true)
    assert.match(textOf(failed), 'it broke')
    const thrown = await client.call('ad').then(() => undefined, (error: unknown) => error as Error & { code?: number })
    assert.is(thrown?.code, -32602, String(thrown))
    await within(client.close(), 'the client to close')
    assert.equal(reported.map(({ message }) => message), [])
  })

  test(`${kind}: progress comes, to the last`, async () => {
    const { gateway } = await serve(agent => {
      agent.tool('steps', {}, (_args, { progress }) => {
        for (let step = 1; step <= 5; step++) progress(step, 5)
        return 'done'
      })
    })
    const client = await connect(kind, gateway)
    const told: number[] = []
    assert.is(textOf(await client.call('steps', {}, { onprogress: ({ progress }) => { told.push(progress) } })), 'done')
    assert.equal(told, [1, 2, 3, 4, 5])
  })

  test(`${kind}: giving a call up reaches the tool`, async () => {
    let aborted = (): void => {}
    const stopped = new Promise<void>(resolve => { aborted = resolve })
    const { gateway } = await serve(agent => {
      agent.tool('wait', {}, async (_args, { signal, progress }) => {
        progress(1)
        await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }) })
        aborted()
        return ''
      })
    })
    const client = await connect(kind, gateway)
    const controller = new AbortController()
    const call = client.call('wait', {}, { signal: controller.signal, onprogress: () => { controller.abort() } }).then(() => 'answered', () => 'refused')
    assert.is(await within(call, 'the call'), 'refused')
    await within(stopped, 'the tool')
  })

  test(`${kind}: hears that the tools have changed`, async () => {
    const { gateway, agent } = await serve(worker => { worker.tool('one', {}, () => '') })
    const client = await connect(kind, gateway)
    let heard = (): void => {}
    const changed = new Promise<void>(resolve => { heard = resolve })
    await client.onChange(() => { heard() })
    assert.equal(await client.list(), ['one'])
    agent.tool('two', {}, () => '2')
    await within(changed, 'the change')
    assert.equal(await client.list(), ['one', 'two'])
    assert.is(textOf(await client.call('two')), '2')
  })

  test(`${kind}: is refused without the token`, async () => {
    const { gateway } = await serve(agent => { agent.tool('one', {}, () => '') })
    const refused = await connect(kind, gateway, 'another').then(() => undefined, (error: unknown) => error as Error)
    assert.instance(refused, Error)
  })

  test(`${kind}: several clients call at once, each in its own`, async () => {
    const { gateway } = await serve(agent => { agent.tool('tell', { input: z.object({ who: z.string() }) }, ({ who }) => who) })
    const clients = await Promise.all(Array.from({ length: 5 }, async () => await connect(kind, gateway)))
    const answers = await within(Promise.all(clients.flatMap((client, number) => Array.from({ length: 10 }, async (_, time) =>
      textOf(await client.call('tell', { who: `${number}.${time}` }))))), 'the answers')
    assert.equal(answers, clients.flatMap((_, number) => Array.from({ length: 10 }, (_none, time) => `${number}.${time}`)))
  })

  test(`${kind}: requests wait until the peer has met the others`, async () => {
    let met = (): void => {}
    const ready = new Promise<void>(resolve => { met = resolve })
    const { gateway } = await serve(agent => { agent.tool('one', {}, () => '') }, { ready })
    let isConnected = false
    const connecting = connect(kind, gateway).then(client => {
      isConnected = true
      return client
    })
    await new Promise<void>(resolve => { setImmediate(resolve) })
    assert.is(isConnected, false)
    met()
    assert.equal(await (await connecting).list(), ['one'])
  })
}

test('a call in flight ends when the gateway closes', async () => {
  let aborted = (): void => {}
  const stopped = new Promise<void>(resolve => { aborted = resolve })
  const { gateway } = await serve(agent => {
    agent.tool('wait', {}, async (_args, { signal, progress }) => {
      progress(1)
      await new Promise<void>(resolve => { signal.addEventListener('abort', () => { resolve() }) })
      aborted()
      return ''
    })
  })
  const clients = [await connect('SDK v1', gateway), await connect('SDK v2 of 2026', gateway)]
  let begun = 0
  let all = (): void => {}
  const running = new Promise<void>(resolve => { all = resolve })
  for (const client of clients) {
    void client.call('wait', {}, { onprogress: () => { if (++begun === clients.length) all() } }).catch((error: unknown) => { assert.instance(error, Error) })
  }
  await within(running, 'both calls')
  await within(gateway.close(), 'the gateway to close')
  await within(stopped, 'the tool')
})

test('refuses a call whose headers do not say what its arguments say, and takes one of a client that reads the marks', async () => {
  const { gateway } = await serve(agent => {
    agent.tool('where', { input: z.object({ region: z.string().meta({ 'x-mcp-header': 'Region' }) }) }, ({ region }) => region)
  })
  const { body, headers } = modern(7, 'where', { region: 'north' })
  for (const shown of [{}, { 'mcp-param-region': 'south' }] as Record<string, string>[]) {
    const refused = await within(post(gateway, body, { ...headers, ...shown }), 'an answer')
    const { error, id } = await refused.json() as { error: { code: number }, id: number }
    assert.equal([refused.status, error.code, id], [400, -32020, 7])
  }
  const client = await connect('SDK v2 of 2026', gateway)
  assert.ok((await client.list()).includes('where'))
  assert.is(textOf(await within(client.call('where', { region: 'north' }), 'a call')), 'north')
})

test.run()
