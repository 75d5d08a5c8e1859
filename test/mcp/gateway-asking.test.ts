// bound: 180 s
/** A server of 2026-07-28 alone, which asks by `input_required`: what clients of each revision get of it through the gateway. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JsonObject } from '../../lib/base/json.ts'
import { serverCommand } from '../support/servers.ts'
import { KINDS, openScene, readable, refusal, words, type Answers, type Scene, type Through } from './through.ts'

const test = suite('asking')
const ASKING = serverCommand('asking')

const scenes: Partial<Record<'alice' | 'bob', Scene>> = {}
test.before(async () => {
  for (const at of ['alice', 'bob'] as const) {
    const scene = scenes[at] = await openScene()
    await scene.share(at, ASKING, { name: 'asking' })
  }
})
test.after(async () => { await Promise.all(Object.values(scenes).map(async scene => { await scene.close() })) })

const able = (action = 'accept'): Answers => ({
  elicitation: ({ message }) => action === 'accept' ? { action, content: { name: `Ann of ${words(message)}` } } : { action },
  sampling: () => ({ role: 'assistant', model: 'test', content: { type: 'text', text: 'la la' } }),
  roots: () => ({ roots: [{ uri: 'file:///folder' }] })
})

for (const [at, kind, way] of [
  ...KINDS.map(kind => ['bob', kind, 'a pipe'] as const),
  ...KINDS.map(kind => ['bob', kind, 'HTTP'] as const),
  ['alice', 'SDK v1 of 2025', 'a pipe'], ['alice', 'SDK v2 of 2026', 'a pipe']
] as const) {
  const where = `${kind}, over ${way}, of ${at === 'alice' ? 'the gateway\'s own peer' : 'another peer'}`
  const withClient = (name: string, run: (client: Through) => Promise<void>, answers = able()): void => {
    test(`${where}: ${name}`, async () => {
      const client = await (scenes[at] as Scene).client(kind, { answers, way: way })
      try {
        await run(client)
      } catch (error) {
        throw readable(error)
      } finally {
        await client.close()
      }
    })
  }

  withClient('a form, a model, folders: each alone, and at once', async client => {
    assert.match(await client.text('form'), '"name":"Ann of Who?"')
    assert.match(await client.text('model'), 'la la')
    assert.match(await client.text('folders'), 'file:///folder')
    assert.match(await client.text('all'), /form .*Ann of Who.*; model .*la la.*; folders .*file:.*folder/)
    assert.equal(client.asked.slice(3).map(({ method }) => method).sort(), ['elicitation/create', 'roots/list', 'sampling/createMessage'])
  })

  withClient('several rounds, and a state without a question', async client => {
    const said = await client.text('rounds', { count: 4 })
    for (let round = 0; round < 4; round++) assert.match(said, `Ann of round ${round}`)
    assert.is(client.asked.length, 4)
    assert.is(await client.text('state'), 'asking: once')
  })

  withClient('prompts and resources that ask', async client => {
    const { messages } = await client.request('prompts/get', { name: 'ask' }) as { messages: { content: { text: string } }[] }
    assert.match(messages[0]?.content.text ?? '', 'Ann of About what?')
    const [part] = (await client.request('resources/read', { uri: 'secret://one' }))['contents'] as JsonObject[]
    assert.match(words(part?.['text']), 'Ann of Who reads?')
  })

  withClient('declined and cancelled', async client => { assert.match(await client.text('form'), 'decline') }, able('decline'))

  withClient('who cannot be asked is refused', async client => {
    for (const tool of ['form', 'model', 'folders']) {
      const error = await refusal(client.call(tool))
      assert.ok([-32021, -32601, -32600, -32602].includes(error.code as number), `${tool}: ${String(error.code)} ${error.message}`)
      assert.not.match(error.message, 'bug')
    }
    assert.equal(client.asked, [])
  }, {})

  withClient('a client that answers with an error refuses the call, clearly', async client => {
    const error = await refusal(client.call('form'))
    assert.match(error.message, 'not today')
  }, { elicitation: () => { throw new Error('not today') } })
}

test.run()
