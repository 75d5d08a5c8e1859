// bound: 240 s
/** The published server that has everything, of SDK v1, in mode `caller` at another peer: what each kind of client gets of it. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { serverCommand } from '../support/servers.ts'
import { within } from './parts.ts'
import { KINDS, openScene, readable, refusal, words, type Answers, type Scene, type Through } from './through.ts'

const test = suite('everything')
const EVERYTHING = serverCommand('everything')

let scene: Scene
test.before(async () => {
  scene = await openScene()
  await scene.share('bob', EVERYTHING, { name: 'everything', session: 'caller' })
})
test.after(async () => { await scene.close() })

/** A client that can be asked for everything. */
const able = (action = 'accept'): Answers => ({
  elicitation: ({ mode }) => action === 'accept' && mode !== 'url' ? { action, content: { name: 'Ann', integer: 7 } } : { action },
  sampling: ({ messages }) => ({ role: 'assistant', model: 'test', stopReason: 'endTurn', content: { type: 'text', text: `heard ${JSON.stringify(messages)}` } }),
  roots: () => ({ roots: [{ uri: 'file:///folder', name: 'work' }] })
})

for (const kind of KINDS) {
  const with_ = (name: string, run: (client: Through) => Promise<void>, answers = able()): void => {
    test(`${kind}: ${name}`, async () => {
      const client = await scene.client(kind, { answers })
      try {
        await run(client)
      } catch (error) {
        throw readable(error)
      } finally {
        await client.close()
      }
    })
  }

  with_('every tool is listed and answers, structured too', async client => {
    const names = (await client.list('tools/list', 'tools')).map(({ name }) => name)
    for (const name of ['echo', 'get-structured-content', 'trigger-elicitation-request', 'trigger-sampling-request', 'get-roots-list', 'trigger-url-elicitation']) assert.ok(names.includes(name), `${name} of ${words(names)}`)
    assert.is(await client.text('echo', { message: 'good day' }), 'Echo: good day')
    assert.equal((await client.call('get-structured-content', { location: 'Chicago' })).structuredContent, { temperature: 36, conditions: 'Light rain / drizzle', humidity: 82 })
    assert.equal((await client.call('get-tiny-image')).content.map(({ type }) => type), ['text', 'image', 'text'])
    assert.equal((await client.call('get-resource-links', { count: 2 })).content.map(({ type }) => type), ['text', 'resource_link', 'resource_link'])
    const wrong = await client.call('get-sum', { a: 'x', b: 1 })
    assert.is(wrong.isError, true, 'arguments that do not fit are the server\'s to refuse')
    assert.match((await refusal(client.call('no-such-tool'))).message, 'Unknown tool')
  })

  with_('progress comes, to the last; a call that is given up ends', async client => {
    const told: unknown[] = []
    assert.match(await client.text('trigger-long-running-operation', { duration: 0.2, steps: 4 }, { onprogress: ({ progress, total }) => { told.push([progress, total]) } }), 'completed')
    assert.equal(told, [[1, 4], [2, 4], [3, 4], [4, 4]])
    const giveUp = new AbortController()
    const error = await refusal(client.call('trigger-long-running-operation', { duration: 3_000, steps: 30_000 }, { signal: giveUp.signal, onprogress: () => { giveUp.abort() } }))
    assert.match(error.message, /abort/i)
    assert.is(await client.text('echo', { message: 'still here' }), 'Echo: still here')
  })

  for (const [action, said] of [['accept', 'Name: Ann'], ['decline', 'declined'], ['cancel', 'cancelled']] as const) {
    with_(`a form: ${action}`, async client => {
      assert.match(await client.text('trigger-elicitation-request'), said)
      const [asked] = client.asked.filter(({ method }) => method === 'elicitation/create')
      assert.match(words(asked?.params['message']), 'Please provide inputs')
      assert.ok((asked?.params['requestedSchema'] as JsonObject | undefined)?.['properties'] !== undefined, 'the form came whole')
    }, able(action))
  }

  with_('a page to open, as a request and as an error', async client => {
    assert.match(await client.text('trigger-url-elicitation', { url: 'https://example.com/a', message: 'open it' }), /accept/)
    const [asked] = client.asked.filter(({ params }) => params['mode'] === 'url')
    assert.is(asked?.params['url'], 'https://example.com/a')
    const error = await refusal(client.call('trigger-url-elicitation', { url: 'https://example.com/b', errorPath: true }))
    assert.is(error.code, -32042)
  })

  with_('a model\'s answer', async client => {
    assert.match(await client.text('trigger-sampling-request', { prompt: 'sing', maxTokens: 5 }), 'Resource trigger-sampling-request context: sing')
  })

  with_('folders', async client => {
    assert.match(await client.text('get-roots-list'), 'file:///folder')
  })

  with_('who cannot be asked is refused as by the server itself', async client => {
    for (const name of ['trigger-elicitation-request', 'trigger-sampling-request', 'get-roots-list']) {
      // the server has such tools only for clients that can be asked
      const outcome = await client.text(name, { prompt: 'x' }).catch((error: Error & { code?: unknown }) => `${String(error.code)} ${error.message}`)
      assert.match(outcome, new RegExp(`Tool ${name} not found`))
    }
    assert.equal(client.asked, [])
  }, {})

  with_('resources: listed, read, made of templates; what is not there is said', async client => {
    const resources = await client.list('resources/list', 'resources')
    const document = resources.find(({ uri }) => words(uri).endsWith('architecture.md'))
    assert.ok(document !== undefined, JSON.stringify(resources.map(({ uri }) => uri)))
    const [part] = (await client.request('resources/read', { uri: document['uri'] }))['contents'] as JsonObject[]
    assert.is(part?.['uri'], document['uri'])
    assert.match(words(part?.['text']), 'Architecture')
    assert.ok((await client.list('resources/templates/list', 'resourceTemplates')).some(({ uriTemplate }) => uriTemplate === 'demo://resource/dynamic/text/{resourceId}'))
    const [made] = (await client.request('resources/read', { uri: 'demo://resource/dynamic/text/3' }))['contents'] as JsonObject[]
    assert.match(words(made?.['text']), 'Resource 3')
    const error = await refusal(client.request('resources/read', { uri: 'demo://resource/nowhere' }))
    assert.ok([-32602, -32002].includes(error.code as number), `${String(error.code)} ${error.message}`)
  })

  with_('prompts and completions', async client => {
    assert.ok((await client.list('prompts/list', 'prompts')).some(({ name }) => name === 'args-prompt'))
    const { messages } = await client.request('prompts/get', { name: 'args-prompt', arguments: { city: 'Paris' } }) as { messages: { content: { text: string } }[] }
    assert.match(messages[0]?.content.text ?? '', 'Paris')
    const prompt = await client.request('completion/complete', { ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'department', value: 'E' } })
    assert.equal((prompt['completion'] as JsonObject)['values'], ['Engineering'])
    const inContext = await client.request('completion/complete', { ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument: { name: 'name', value: 'A' }, context: { arguments: { department: 'Engineering' } } })
    assert.equal((inContext['completion'] as JsonObject)['values'], ['Alice'])
    const template = await client.request('completion/complete', { ref: { type: 'ref/resource', uri: 'demo://resource/dynamic/text/{resourceId}' }, argument: { name: 'resourceId', value: '7' } })
    assert.equal((template['completion'] as JsonObject)['values'], ['7'])
    const error = await refusal(client.request('prompts/get', { name: 'args-prompt' }))
    assert.is(error.code, -32602, 'what it needs is not given')
  })

  with_('logs from the level that was asked for', async client => {
    if (client.isModern) {
      assert.match((await refusal(client.logFrom('debug'))).message, 'logging/setLevel')
      await client.call('get-roots-list', {}, { logLevel: 'info' })
    } else {
      await client.logFrom('info')
      await client.call('get-roots-list')
    }
    await client.until(() => client.logs.length > 0, 'a log')
    assert.equal(client.logs[0], { level: 'info', logger: 'everything-server', data: 'Roots updated: 1 root(s) received from client' })
  })

  with_('updates of a resource', async client => {
    const uri = 'demo://resource/dynamic/text/1'
    let told: (uri: string) => void = () => {}
    const heard = new Promise<string>(resolve => { told = resolve })
    const stop = await client.hear(uri, told)
    await client.call('toggle-subscriber-updates')
    assert.is(await within(heard, 'an update'), uri)
    await stop()
  })
}

test.run()
