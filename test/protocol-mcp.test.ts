/** The bytes of the mcp protocol in docs/PROTOCOL.md, frozen as in protocol.test.ts. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { utf8 } from '../lib/base/bytes.ts'
import type { SwarmError } from '../lib/base/error.ts'
import type { JsonObject } from '../lib/base/json.ts'
import type { HostedAgent } from '../lib/mcp/host.ts'
import { Pipe } from '../lib/mcp/pipe.ts'
import { serveAgent } from '../lib/mcp/serve.ts'
import { openingLine, readOpening, readRefusal, readRpcError } from '../lib/mcp/wire.ts'
import { catalogueOf, ScriptedAgent, text } from './mcp/wire-parts.ts'
import { VirtualClock, settle } from './support/clock.ts'
import { alice, by, check, freeze, frozen, one, parsed, plain, streams, type Sent } from './support/frozen.ts'
import { linkedStreams } from './support/pair.ts'

const CALLER = { peerId: alice.peerId, role: 'member' } as const

function notes (): ScriptedAgent {
  return new ScriptedAgent({
    add: ({ arguments: { a, b } }) => ({ content: [{ type: 'text', text: String(Number(a) + Number(b)) }], structuredContent: { sum: Number(a) + Number(b) } }),
    climb: ({ progress }) => {
      progress?.({ progress: 1, total: 2 })
      progress?.({ progress: 2, total: 2 })
      return text('up')
    },
    fail: () => ({ ...text('it broke'), isError: true }),
    wait: async ({ signal }) => await new Promise((_resolve, reject) => { signal.addEventListener('abort', () => { reject(signal.reason as Error) }) })
  })
}

function serve (agent: HostedAgent | undefined, allow: 'all' | 'nobody' = 'all'): ReturnType<typeof streams> & { clock: VirtualClock } {
  const clock = new VirtualClock()
  const { ends, sent } = streams('caller', 'agent')
  const offer = agent && { agent, rules: allow === 'all' ? [{ kind: 'all' as const }] : [] }
  serveAgent(ends[1], CALLER, name => name === agent?.name ? offer : undefined, { clock, report: error => { throw error } })
  return { ends, sent, clock }
}

freeze('mcp-call', async () => {
  const { ends: [near], sent, clock } = serve(notes())
  const pipe = new Pipe(near, { agent: 'notes', clock })
  await pipe.call('add', '{"a":1,"b":2}')
  await pipe.call('climb', '{}', { progress: () => {}, meta: { traceparent: '00-1' }, timeoutMs: 2_500 })
  await pipe.call('fail', '{}')
  await Promise.allSettled([pipe.call('nothing', '{}')])
  const giveUp = new AbortController()
  const call = pipe.call('wait', '{}', { signal: giveUp.signal })
  await settle()
  giveUp.abort()
  await Promise.allSettled([call])
  await settle()
  return sent.map(([who, line]) => [who, plain(line)])
})

/** Says each line by hand, and waits for what comes back. */
async function say (served: ReturnType<typeof serve>, lines: readonly string[]): Promise<Sent> {
  const [near] = served.ends
  near.read({ data: () => {}, ended: () => {}, closed: () => {} })
  for (const line of lines) {
    near.send(utf8(`${line}\n`))
    await settle()
  }
  return served.sent.map(([who, line]) => [who, plain(line)])
}

freeze('mcp-stateless', async () => {
  const agent = notes()
  agent.offer(catalogueOf(['add']))
  const served = serve(agent)
  await say(served, by('caller', frozen('mcp-stateless')))
  agent.add('later', () => text('here'))
  await settle()
  return served.sent.map(([who, line]) => [who, plain(line)])
})

freeze('mcp-session', async () => {
  const agent = notes()
  agent.offer(catalogueOf(['add', 'climb']))
  const served = serve(agent)
  await say(served, by('caller', frozen('mcp-session')))
  agent.add('later', () => text('here'))
  await settle()
  return served.sent.map(([who, line]) => [who, plain(line)])
})

freeze('mcp-refused', async () => {
  const [unknown = '', forbidden = '', revision = '', session = '', malformed = ''] = by('caller', frozen('mcp-refused'))
  return [
    ...await say(serve(undefined), [unknown]), ...await say(serve(notes(), 'nobody'), [forbidden]), ...await say(serve(notes()), [revision]),
    ...await say(serve(notes()), [session]), ...await say(serve(notes()), [malformed])
  ]
})

check('mcp: reads these bytes', async () => {
  const call = frozen('mcp-call')
  assert.is(openingLine('notes'), one('caller', call))
  assert.equal(readOpening(one('caller', call)), { agent: 'notes', revision: '2026-07-28', session: null })
  const refused = by('agent', frozen('mcp-refused')).map(line => readRefusal(parsed(line))?.code)
  assert.equal(refused, ['UNKNOWN_AGENT', 'FORBIDDEN', 'VERSION_UNSUPPORTED', 'UNAVAILABLE', 'MALFORMED'])
  assert.equal(readRpcError(parsed(by('agent', call).find(line => line.includes('"error"')) ?? '')['error']).details['executed'], false)
  const [near, far] = linkedStreams('/test')
  const pipe = new Pipe(near, { agent: 'notes', clock: new VirtualClock() })
  const steps: number[] = []
  const results = [pipe.call('add', '{}'), pipe.call('climb', '{}', { progress: ({ progress }) => { steps.push(progress) } }), pipe.call('fail', '{}'), pipe.call('nothing', '{}')]
  far.read({ data: () => {}, ended: () => {}, closed: () => {} })
  far.send(utf8(`${by('agent', call).join('\n')}\n`))
  const [sum, up, broken, unknown] = await Promise.allSettled(results)
  assert.equal(sum, { status: 'fulfilled', value: { content: [{ type: 'text', text: '3' }], structuredContent: { sum: 3 } } })
  assert.equal([up?.status, steps, (broken as PromiseFulfilledResult<JsonObject>).value['isError']], ['fulfilled', [1, 2], true])
  assert.is(((unknown as PromiseRejectedResult).reason as SwarmError).code, 'UNKNOWN_TOOL')
})

test.run()
