// bound: 240 s
/** `connect` as MCP clients meet it: both majors of the SDK, both revisions. The Inspector is in inspector.test.ts. */
import { createRequire } from 'node:module'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as StdioV1 } from '@modelcontextprotocol/sdk/client/stdio.js'
import { Client as ClientV2 } from '@modelcontextprotocol/client'
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { bounded, CLI, Home } from '../cli/home.ts'
import { serverPath } from '../support/servers.ts'

const test = suite('interop')
const home = new Home()
const EVERYTHING = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js')
const FIXTURE = serverPath('v2')
const CONNECT = { command: process.execPath, args: [...CLI, 'connect', '--dir', home.path('connect')], env: home.env, cwd: home.path('work') }

test.before(async () => {
  const config = home.write('desk.json', {
    mcpServers: { everything: { command: process.execPath, args: [EVERYTHING] }, sums: { command: process.execPath, args: [FIXTURE] } },
    swarm: { name: 'desk', share: ['everything', 'sums'] }
  })
  const desk = home.start(['up', '--json', '--dir', home.path('desk'), '--config', config])
  for (const server of ['everything', 'sums']) {
    await desk.event(({ event, name, available }) => event === 'agent:changed' && name === server && available === true, `${server} to run`)
  }
})

test.after(async () => { await home.close() })

interface Session {
  readonly revision: string | undefined
  names (): Promise<string[]>
  /** The texts of a resource, and of a prompt. */
  read (uri: string): Promise<string>
  prompt (name: string, values: Record<string, string>): Promise<string>
  uris (): Promise<string[]>
  templates (): Promise<string[]>
  prompts (): Promise<string[]>
  text (name: string, values: Record<string, unknown>, options?: { signal?: AbortSignal, onprogress?: (progress: { progress: number }) => void }): Promise<string>
  close (): Promise<void>
}

async function openV1 (): Promise<Session> {
  const client = new ClientV1({ name: 'interop', version: '1' })
  const transport = new StdioV1(CONNECT)
  let revision: string | undefined
  Object.assign(transport, { setProtocolVersion: (version: string) => { revision = version } })
  await client.connect(transport)
  return {
    revision,
    uris: async () => (await client.listResources()).resources.map(({ uri }) => uri),
    templates: async () => (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
    prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
    read: async uri => JSON.stringify((await client.readResource({ uri })).contents),
    prompt: async (name, values) => JSON.stringify((await client.getPrompt({ name, arguments: values })).messages),
    names: async () => (await client.listTools()).tools.map(({ name }) => name),
    text: async (name, values, options) => textIn(await client.callTool({ name, arguments: values }, undefined, options)),
    close: async () => { await client.close() }
  }
}

function openV2 (mode: 'legacy' | 'auto' | { pin: string }) {
  return async (): Promise<Session> => {
    const client = new ClientV2({ name: 'interop', version: '1' }, { versionNegotiation: { mode } })
    await client.connect(new StdioV2(CONNECT))
    return {
      revision: client.getNegotiatedProtocolVersion(),
      uris: async () => (await client.listResources()).resources.map(({ uri }) => uri),
      templates: async () => (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate),
      prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
      read: async uri => JSON.stringify((await client.readResource({ uri })).contents),
      prompt: async (name, values) => JSON.stringify((await client.getPrompt({ name, arguments: values })).messages),
      names: async () => (await client.listTools(undefined, { cacheMode: 'refresh' })).tools.map(({ name }) => name),
      text: async (name, values, options) => textIn(await client.callTool({ name, arguments: values }, options)),
      close: async () => { await client.close() }
    }
  }
}

for (const [name, open, revision] of [
  ['SDK v1', openV1, '2025-11-25'],
  ['SDK v2 in the session revision', openV2('legacy'), '2025-11-25'],
  ['SDK v2 in the stateless revision', openV2({ pin: '2026-07-28' }), '2026-07-28'],
  ['SDK v2, left to choose', openV2('auto'), '2026-07-28']
] as const) {
  test(`${name}: lists, calls, hears progress, cancels`, async () => {
    const session = await bounded(open(), 'the client to connect')
    try {
      assert.is(session.revision, revision)
      for (let tries = 0; ; tries++) {
        const names = await bounded(session.names(), 'the list')
        if (['echo', 'trigger-long-running-operation', 'wait'].every(wanted => names.includes(wanted))) break
        assert.ok(tries < 100, `all tools are listed; the last list was ${names.join(', ')}`)
        await new Promise(resolve => { setTimeout(resolve, 50) })
      }
      assert.match(await bounded(session.text('echo', { message: 'good day' }), 'an answer'), 'good day')

      const uris = await bounded(session.uris(), 'the resources')
      const document = uris.find(uri => uri.endsWith('architecture.md'))
      assert.ok(document !== undefined, uris.join())
      assert.match(await bounded(session.read(document), 'a resource'), 'Architecture')
      assert.ok((await bounded(session.templates(), 'the templates')).includes('demo://resource/dynamic/text/{resourceId}'))
      assert.match(await bounded(session.read('demo://resource/dynamic/text/3'), 'a resource of a template'), 'Resource 3')
      assert.ok((await bounded(session.prompts(), 'the prompts')).includes('args-prompt'))
      assert.match(await bounded(session.prompt('args-prompt', { city: 'Paris' }), 'a prompt'), 'Paris')

      const heard: number[] = []
      await bounded(session.text('trigger-long-running-operation', { duration: 0.5, steps: 5 }, { onprogress: ({ progress }) => { heard.push(progress) } }), 'the long call')
      assert.equal(heard.at(-1), 5)
      assert.ok(heard.length >= 4, `progress came as it went: ${heard.join(', ')}`)

      const before = Number(await session.text('cancelled', {}))
      const giveUp = new AbortController()
      const waiting = session.text('wait', {}, { signal: giveUp.signal, onprogress: () => { giveUp.abort() } })
      let thrown: unknown
      await bounded(waiting.catch((error: unknown) => { thrown = error }), 'the call to be given up')
      assert.ok(thrown instanceof Error)
      for (let tries = 0; Number(await session.text('cancelled', {})) === before; tries++) assert.ok(tries < 1_000, 'the server hears of it')
    } finally {
      await session.close()
    }
  })
}

function textIn (result: unknown): string {
  const { content } = result as { content: { type: string, text?: string }[] }
  return content.map(({ text = '' }) => text).join('\n')
}

test.run()
