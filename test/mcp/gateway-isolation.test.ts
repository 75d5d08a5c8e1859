// bound: 180 s
/** What one client of a gateway asks, is asked and hears of, no other does: of any SDK and revision, over a pipe or HTTP. */
import { Server as ServerV1 } from '@modelcontextprotocol/sdk/server/index.js'
import { CallToolRequestSchema, ListResourcesRequestSchema, ListToolsRequestSchema, SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { within } from './parts.ts'
import { inScene, refusal, words, type Answers, type Kind, type Scene, type Through, type Way } from './through.ts'

const test = suite('isolation')
const URI = 'a://one'

/** Servers of 2025, each of which knows its own number, and what has become of all of them. */
class Lives {
  made = 0
  closed = 0
  #wake = (): void => {}

  make (): ServerV1 {
    const id = ++this.made
    const server = new ServerV1({ name: 'asking', version: '1.0.0' }, { capabilities: { tools: {}, logging: {}, resources: { subscribe: true } } })
    server.onclose = () => {
      this.closed++
      this.#wake()
    }
    let calls = 0
    const subscribed = new Set<string>()
    server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: ['ask', 'log', 'steps', 'touch', 'count'].map(name => ({ name, inputSchema: { type: 'object' as const } })) }))
    server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources: [{ uri: URI, name: 'one' }] }))
    server.setRequestHandler(SubscribeRequestSchema, ({ params: { uri } }) => {
      subscribed.add(uri)
      return {}
    })
    server.setRequestHandler(UnsubscribeRequestSchema, ({ params: { uri } }) => {
      subscribed.delete(uri)
      return {}
    })
    server.setRequestHandler(CallToolRequestSchema, async ({ params: { name, arguments: args = {}, _meta } }, { sendNotification }) => {
      calls++
      const text = async (): Promise<string> => {
        switch (name) {
          case 'ask': {
            const { action, content } = await server.elicitInput({ message: words(args['message']), requestedSchema: { type: 'object', properties: { name: { type: 'string' } } } })
            return `${action} ${words(content?.['name'])}`
          }
          case 'log':
            await server.sendLoggingMessage({ level: 'info', data: args['mark'] })
            return ''
          case 'steps':
            for (let step = 1; step <= 3; step++) await sendNotification({ method: 'notifications/progress', params: { progressToken: _meta?.progressToken ?? 0, progress: step, message: words(args['mark']) } })
            return ''
          case 'touch':
            if (subscribed.has(URI)) await server.sendResourceUpdated({ uri: URI })
            return ''
          default:
            return `${id} ${calls}`
        }
      }
      return { content: [{ type: 'text', text: await text() }] }
    })
    return server
  }

  async until (claim: () => boolean, what: string): Promise<void> {
    while (!claim()) await within(new Promise<void>(resolve => { this.#wake = resolve }), what)
  }
}

/** Two that are asked by nobody before both are. */
function together (count: number): () => Promise<void> {
  let wait = count
  let open = (): void => {}
  const all = new Promise<void>(resolve => { open = resolve })
  return async () => {
    if (--wait === 0) open()
    await within(all, 'all to be asked')
  }
}

const named = (name: string, meet = async (): Promise<void> => {}): Answers => ({
  elicitation: async () => {
    await meet()
    return { action: 'accept', content: { name } }
  }
})

interface Two { readonly scene: Scene, readonly lives: Lives, readonly ann: Through, readonly bea: Through }

async function two (scene: Scene, at: 'alice' | 'bob', [one, other]: readonly [Kind, Kind], way: Way): Promise<Two> {
  const lives = new Lives()
  await scene.share(at, () => lives.make(), { name: 'asking', session: 'caller' })
  const meet = together(2)
  return { scene, lives, ann: await scene.client(one, { answers: named('Ann', meet), way, name: 'ann' }), bea: await scene.client(other, { answers: named('Bea', meet), way, name: 'bea' }) }
}

for (const [kinds, way, at] of [
  [['SDK v1 of 2025', 'SDK v1 of 2025'], 'a pipe', 'bob'],
  [['SDK v2 of 2026', 'SDK v2 of 2026'], 'a pipe', 'bob'],
  [['SDK v2 of 2025', 'SDK v2 of 2026'], 'a pipe', 'bob'],
  [['SDK v1 of 2025', 'SDK v2 of 2025'], 'HTTP', 'bob'],
  [['SDK v2 of 2026', 'SDK v2 of 2026'], 'HTTP', 'bob'],
  [['SDK v2 of 2025', 'SDK v2 of 2026'], 'HTTP', 'bob'],
  [['SDK v1 of 2025', 'SDK v1 of 2025'], 'a pipe', 'alice'],
  [['SDK v2 of 2026', 'SDK v2 of 2026'], 'a pipe', 'alice'],
  [['SDK v2 of 2025', 'SDK v2 of 2026'], 'HTTP', 'alice']
] as const) {
  const where = `${kinds.join(' and ')} over ${way}, server at ${at === 'alice' ? 'the gateway\'s own peer' : 'another peer'}`
  const isLasting = (client: Through): boolean => way === 'a pipe' || !client.isModern // of 2026-07-28 over HTTP each request stands alone

  test(`${where}: questions, logs, progress and updates reach whom they are for`, inScene(async scene => {
    const { ann, bea } = await two(scene, at, kinds, way)
    const pairs = [[ann, 'Ann'], [bea, 'Bea']] as const
    assert.equal(await Promise.all(pairs.map(([client, name]) => client.text('ask', { message: `for ${name}` }))), ['accept Ann', 'accept Bea'])
    for (const [client, name] of pairs) assert.equal(client.asked.map(({ params }) => params['message']), [`for ${name}`])

    await Promise.all(pairs.map(async ([client]) => { if (!client.isModern) await client.logFrom('debug') }))
    const told: Record<string, unknown[]> = { Ann: [], Bea: [] }
    for (let turn = 0; turn < 5; turn++) {
      await Promise.all(pairs.flatMap(([client, name]) => [
        client.call('log', { mark: name }, client.isModern ? { logLevel: 'debug' } : {}),
        client.call('steps', { mark: name }, { onprogress: ({ message }) => { told[name]?.push(message) } })
      ]))
    }
    for (const [client, name] of pairs) {
      await client.until(() => client.logs.length >= 5, 'its logs')
      assert.equal(client.logs.map(({ data }) => data), Array.from({ length: 5 }, () => name))
      assert.equal(told[name], Array.from({ length: 15 }, () => name))
    }

    const heard: string[] = []
    let wake = (): void => {}
    for (const [client, name] of pairs) {
      if (!isLasting(client)) continue
      await client.hear(URI, () => {
        heard.push(name)
        wake()
      })
    }
    for (const [client, name] of pairs.filter(([client]) => isLasting(client))) {
      const before = heard.length
      while (heard.length === before) { // a subscription takes a moment to reach its server
        await client.call('touch')
        if (heard.length === before) await within(Promise.race([new Promise<void>(resolve => { wake = resolve }), new Promise(resolve => setImmediate(resolve))]), 'an update')
      }
      assert.equal([...new Set(heard.slice(before))], [name])
    }
  }))

  test(`${where}: each has a server to itself, for as long as it is there`, inScene(async scene => {
    const { ann, bea, lives } = await two(scene, at, kinds, way)
    const [first, second] = [await ann.text('count'), await bea.text('count')]
    assert.is.not(first.split(' ')[0], second.split(' ')[0])
    for (const [client, said] of [[ann, first], [bea, second]] as const) {
      const [id, calls] = (await client.text('count')).split(' ')
      if (isLasting(client)) assert.equal([id, calls], [said.split(' ')[0], '2'])
      else assert.is(calls, '1')
    }
    if (way === 'HTTP') return // a client of 2025 may come again, until its session is ended or has idled
    await ann.close()
    await lives.until(() => lives.closed === 1, 'the end of its server')
    assert.match(await bea.text('count'), / 3$/)
  }))

  if (way === 'HTTP') continue
  test(`${where}: one that leaves in the middle of a question ends its server, and nobody else's`, inScene(async scene => {
    const lives = new Lives()
    await scene.share(at, () => lives.make(), { name: 'asking', session: 'caller' })
    let answer = (_result: JsonObject): void => {}
    const ann = await scene.client(kinds[0], { answers: { elicitation: async () => await new Promise<JsonObject>(resolve => { answer = resolve }) } })
    const bea = await scene.client(kinds[1], { answers: named('Bea') })
    await bea.call('count')
    const asking = refusal(ann.call('ask', { message: 'Ann?' }))
    await ann.until(() => ann.asked.length === 1, 'the question')
    await ann.close()
    answer({ action: 'decline' }) // too late
    await asking
    await lives.until(() => lives.closed === 1, 'the end of its server')
    assert.is(await bea.text('ask', { message: 'Bea?' }), 'accept Bea')
    assert.is(lives.closed, 1)
  }))
}

test.run()
