// bound: 120 s
/** Servers that answer, and ask, what none should: their callers hear so at once, and the next call is answered. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { QUESTIONS_MAX as PARKED_MAX } from '../../lib/mcp/conversation.ts'
import { QUESTIONS_MAX, ROUNDS_MAX } from '../../lib/mcp/gateway-client.ts'
import { serverCommand } from '../support/servers.ts'
import { KINDS, openScene, readable, refusal, type Scene, type Through } from './through.ts'

const test = suite('garbage')
const scenes = new Map<string, Scene>()
const REVISIONS = ['2025-11-25', '2026-07-28'] as const

test.before(async () => {
  for (const revision of REVISIONS) {
    const scene = await openScene()
    scenes.set(revision, scene)
    await scene.share('bob', serverCommand('garbage', revision), { name: 'garbage', session: 'caller' })
  }
})
test.after(async () => { await Promise.all([...scenes.values()].map(async scene => { await scene.close() })) })

for (const kind of KINDS) {
  const of = (revision: typeof REVISIONS[number], name: string, run: (client: Through) => Promise<void>): void => {
    test(`${kind}, server of ${revision}: ${name}`, async () => {
      const scene = scenes.get(revision) as Scene
      const client = await scene.client(kind, { answers: { elicitation: () => ({ action: 'accept', content: {} }) } })
      try {
        await run(client)
        assert.is(await client.text('who'), 'it is I')
        assert.equal(scene.reported, [])
      } catch (error) {
        throw readable(error)
      } finally {
        await client.close()
      }
    })
  }

  for (const revision of REVISIONS) {
    of(revision, 'what is no resource, prompt or completion is an error that says so', async client => {
      const said = /no result of|cannot be used|neither a result nor an error/
      for (const uri of ['garbage://text', 'garbage://none', 'garbage://text-contents', 'garbage://odd']) assert.match((await refusal(client.request('resources/read', { uri }))).message, said, uri)
      for (const name of ['text', 'none', 'text-messages', 'odd']) assert.match((await refusal(client.request('prompts/get', { name }))).message, said, name)
      assert.match((await refusal(client.request('completion/complete', { ref: { type: 'ref/prompt', name: 'odd' }, argument: { name: 'a', value: '' } }))).message, said)
    })
  }

  of('2025-11-25', 'a thousand questions at once: as many as may be are asked, the others refused', async client => {
    const { answered, refused, first } = JSON.parse(await client.text('flood')) as { answered: number, refused: number, first: { code: number, message: string } }
    assert.is(answered + refused, 1_000)
    const max = client.isModern ? PARKED_MAX : QUESTIONS_MAX
    assert.is(first.code, -32603)
    assert.match(first.message, String(max))
    assert.ok(answered >= max && answered < 1_000, `${answered} answered`)
    assert.is(client.asked.length, answered)
  })

  of('2025-11-25', 'a question that is none is refused to the server', async client => {
    assert.match(await client.text('no-params'), /"refused":1.*no object/)
    assert.match(await client.text('strange'), /"refused":1.*-32601/)
    const outcome = await client.text('no-form').catch((error: Error) => error.message)
    assert.match(outcome, /expected/)
  })

  of('2026-07-28', 'questions that are none, too many, or about nothing end the call', async client => {
    for (const [tool, said] of [
      ['neither', 'neither inputRequests nor requestState'], ['no-text', 'neither inputRequests nor requestState'], ['no-list', 'neither inputRequests nor requestState'],
      ['flood', `asked 1000 things at once; limit ${QUESTIONS_MAX}`], ['no-request', /no request|must be an embedded request/], ['no-form', /expected/], ['no-params', /expected/],
      ['strange', /not found|not an embedded request/i], ['kind', 'Unsupported result type']
    ] as const) assert.match((await refusal(client.call(tool))).message, said, tool)
    assert.equal(client.asked, [])
  })

  of('2026-07-28', 'a server that asks for ever is stopped', async client => {
    assert.match((await refusal(client.call('for-ever'))).message, client.isModern ? 'rounds' : `${ROUNDS_MAX} times`)
    assert.ok(client.asked.length <= ROUNDS_MAX)
  })
}

test.run()
