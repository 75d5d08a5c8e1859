/** Who and what the gateway over HTTP turns away, and the bounds on what a client can make grow. */
import { createServer, type AddressInfo } from 'node:net'
import { request as httpRequest } from 'node:http'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { systemClock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { JSON_DEPTH_MAX } from '../../lib/base/json.ts'
import type { MCPAgent } from '../../lib/mcp/agent.ts'
import { BODY_BYTES_MAX, CALLS_MAX, CONNECTIONS_MAX, REQUESTS_MAX, REQUEST_MS_MAX, serveGatewayHttp, type HttpGateway, type HttpGatewayOptions } from '../../lib/mcp/http.node.ts'
import { SUBSCRIPTIONS_MAX } from '../../lib/mcp/gateway-subscriptions.ts'
import { SESSION_IDLE_MS_MAX, SESSIONS_MAX } from '../../lib/mcp/http-sessions.ts'
import { RESPONSE_BYTES_HELD_MAX } from '../../lib/mcp/web.node.ts'
import { VirtualClock } from '../support/clock.ts'
import { until } from '../support/within.ts'
import { begin, HEADERS, INITIALIZE, modern, post, raw, requestText, stage, type Stage } from './http-parts.ts'
import { within } from './parts.ts'
import { viewOf } from './view.ts'

/** One wait, in milliseconds: many times what it takes on an idle machine. */
const WAIT_MS = 20_000

const open: (() => Promise<unknown>)[] = []
test.after.each(async () => {
  for (const close of open.splice(0).reverse()) await within(close(), 'close')
})

async function serve (build: (agent: MCPAgent) => void = agent => { agent.tool('one', {}, () => '1') }, options?: Partial<HttpGatewayOptions>): Promise<Stage> {
  const served = await stage(build, options)
  open.push(() => served.close())
  return served
}

/** Fetch sets Host itself: this says what it is told. */
async function ask ({ url }: HttpGateway, { method = 'POST', path = '/mcp', headers = {}, body = JSON.stringify(INITIALIZE) }: { method?: string, path?: string, headers?: Record<string, string>, body?: string }): Promise<{ status: number, headers: NodeJS.Dict<string | string[]>, text: string }> {
  return await within(new Promise((resolve, reject) => {
    const sent = httpRequest(new URL(path, url), { method, headers: { ...HEADERS, ...headers } }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (more: string) => { text += more })
      response.on('end', () => { resolve({ status: response.statusCode ?? 0, headers: response.headers, text }) })
    })
    sent.on('error', reject)
    sent.end(method === 'POST' ? body : undefined)
  }), 'an answer')
}

for (const [name, request, status, words] of [
  ['no token', { headers: { authorization: '' } }, 401, 'show the token'],
  ['a wrong token', { headers: { authorization: 'Bearer wrong' } }, 401, 'show the token'],
  ['a token that is only begun', { headers: { authorization: HEADERS.authorization.slice(0, -1) } }, 401, 'show the token'],
  ['the token under another scheme', { headers: { authorization: HEADERS.authorization.replace('Bearer', 'Basic') } }, 401, 'show the token'],
  ['a name of elsewhere as Host', { headers: { host: 'evil.example' } }, 403, 'Host'],
  ['a Host that only begins like ours', { headers: { host: '127.0.0.1.evil.example' } }, 403, 'Host'],
  ['a page of elsewhere', { headers: { origin: 'https://evil.example' } }, 403, 'Origin'],
  ['a page without an origin of its own', { headers: { origin: 'null' } }, 403, 'Origin'],
  ['another path', { path: '/' }, 404, 'only /mcp'],
  ['a path below', { path: '/mcp/x' }, 404, 'only /mcp'],
  ['what browsers ask first', { method: 'OPTIONS' }, 405, 'OPTIONS'],
  ['another method', { method: 'PUT' }, 405, 'PUT'],
  ['what a form can send', { headers: { 'content-type': 'text/plain' } }, 415, 'application/json'],
  ['what is not JSON', { body: '{"jsonrpc"' }, 400, 'not JSON'],
  ['an empty body', { body: '' }, 400, 'not JSON'],
  ['what nests too deep', { body: `${'['.repeat(JSON_DEPTH_MAX + 2)}${']'.repeat(JSON_DEPTH_MAX + 2)}` }, 400, 'nested'],
  ['what nests without end', { body: '['.repeat(100_000) + ']'.repeat(100_000) }, 400, 'nested'],
  ['a body over the limit', { body: JSON.stringify({ ...INITIALIZE, filling: 'x'.repeat(BODY_BYTES_MAX) }) }, 413, String(BODY_BYTES_MAX)],
  ['a request without a session', { body: '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' }, 400, 'initialize'],
  ['a stream without a session', { method: 'GET' }, 400, 'initialize'],
  ['a session that nobody began', { headers: { 'mcp-session-id': 'x' } }, 404, 'no such session']
] as const) {
  test(`turns away ${name}`, async () => {
    const { gateway } = await serve()
    const answer = await ask(gateway, request)
    assert.is(answer.status, status, answer.text)
    assert.match((JSON.parse(answer.text) as { error: { message: string } }).error.message, words)
    if (status === 401) assert.is(answer.headers['www-authenticate'], 'Bearer realm="mcp-swarm"')
    assert.is(answer.headers['access-control-allow-origin'], undefined)
    assert.is((await ask(gateway, {})).status, 200, 'others are served')
  })
}

for (const [name, headers] of [['localhost', { host: 'localhost:1' }], ['IPv6', { host: '[::1]:1' }], ['a page of this machine', { origin: 'http://localhost:6274' }]] as const) {
  test(`serves ${name}`, async () => {
    const { gateway } = await serve()
    assert.is((await ask(gateway, { headers })).status, 200)
  })
}

test('serves without a token where none is asked for, and still no other Host', async () => {
  const { gateway } = await serve(undefined, { token: undefined })
  assert.is((await ask(gateway, { headers: { authorization: '' } })).status, 200)
  assert.is((await ask(gateway, { headers: { authorization: '', host: 'evil.example' } })).status, 403)
})

for (const [name, host] of [['every address', '0.0.0.0'], ['another machine', '192.0.2.1']] as const) {
  test(`does not listen on ${name}`, async () => {
    const error = await serveGatewayHttp(viewOf([]), { host, port: 0, clock: systemClock }).then(() => undefined, (thrown: unknown) => thrown)
    assert.ok(error instanceof SwarmError && error.code === 'INVALID_OPTION', String(error))
  })
}

test('a port in use is told', async () => {
  const other = createServer()
  await new Promise<void>(resolve => { other.listen(0, '127.0.0.1', resolve) })
  open.push(() => new Promise<void>(resolve => { other.close(() => { resolve() }) }))
  const { port } = other.address() as AddressInfo
  const error = await serveGatewayHttp(viewOf([]), { port, clock: systemClock }).then(() => undefined, (thrown: unknown) => thrown)
  assert.ok(error instanceof SwarmError && error.code === 'PORT_IN_USE', String(error))
  assert.match(error.message, String(port))
})

test('a session ends by DELETE, and not before', async () => {
  const { gateway } = await serve()
  const [first, second] = [await begin(gateway), await begin(gateway)]
  const list = { jsonrpc: '2.0', id: 2, method: 'tools/list' }
  assert.is((await post(gateway, list, first)).status, 200)
  assert.is((await fetch(gateway.url, { method: 'DELETE', headers: { ...HEADERS, ...first } })).status, 200)
  assert.is((await post(gateway, list, first)).status, 404)
  assert.is((await post(gateway, list, second)).status, 200, 'the other session stays')
})

test('what changes before a session has its stream is told on it, and nothing where nothing did', async () => {
  const { agent, gateway } = await serve()
  const [early, late] = [await begin(gateway), await begin(gateway)]
  const hear = async (session: Record<string, string>): Promise<() => Promise<string>> => {
    const { body } = await fetch(gateway.url, { headers: { ...HEADERS, ...session } })
    const reader = (body as ReadableStream<Uint8Array>).getReader()
    open.push(() => reader.cancel())
    return async () => new TextDecoder().decode((await within(reader.read(), 'an event')).value)
  }
  const next = await hear(early)
  agent.tool('two', {}, () => '')
  assert.match(await next(), 'notifications/tools/list_changed')
  assert.match(await (await hear(late))(), 'notifications/tools/list_changed')
  const fresh = await hear(await begin(gateway))
  agent.tool('three', {}, () => '')
  assert.is((await fresh()).split('list_changed').length, 2, 'told once, of the third')
})

test('a session that idles ends; one with a stream or a request open does not idle', async () => {
  const clock = new VirtualClock()
  const { gateway } = await serve(undefined, { clock })
  const [idle, streaming, busy] = [await begin(gateway), await begin(gateway), await begin(gateway)]
  const stream = await fetch(gateway.url, { headers: { ...HEADERS, ...streaming } })
  assert.is(stream.status, 200)
  const list = async (session: Record<string, string>): Promise<number> => {
    const response = await post(gateway, { jsonrpc: '2.0', id: 2, method: 'tools/list' }, session)
    await response.text()
    return response.status
  }
  await clock.advance(SESSION_IDLE_MS_MAX - 1)
  assert.is(await list(busy), 200)
  await clock.advance(SESSION_IDLE_MS_MAX - 1)
  assert.equal([await list(idle), await list(streaming), await list(busy)], [404, 200, 200])
  await stream.body?.cancel()
})

test('of too many sessions the one that idled longest makes room, and none in use does', async () => {
  const { gateway } = await serve()
  const sessions: Record<string, string>[] = []
  for (let index = 0; index < SESSIONS_MAX; index++) sessions.push(await begin(gateway))
  const status = async (session: Record<string, string> = {}): Promise<number> => {
    const response = await post(gateway, { jsonrpc: '2.0', id: 2, method: 'tools/list' }, session)
    await response.text()
    return response.status
  }
  assert.is(await status(sessions[0]), 200, 'used again, the first is not the oldest')
  sessions.push(await begin(gateway))
  assert.equal([await status(sessions[0]), await status(sessions[1]), await status(sessions[2])], [200, 404, 200])
  sessions.splice(1, 1)
  const streams = await Promise.all(sessions.map(session => fetch(gateway.url, { headers: { ...HEADERS, ...session } })))
  assert.ok(streams.every(({ ok }) => ok))
  assert.is((await post(gateway, INITIALIZE)).status, 503)
  await Promise.all(streams.map(async stream => { await stream.body?.cancel() }))
})

test('of too many requests on one connection the last are refused', async () => {
  let running = 0
  let wake = (): void => {}
  const { gateway } = await serve(agent => {
    agent.tool('wait', {}, async () => {
      running++
      await released
      return ''
    })
  })
  const released = new Promise<void>(resolve => { wake = resolve })
  const { body, headers } = modern(1, 'wait')
  const { socket, heard } = await raw(gateway, requestText(body, headers).repeat(REQUESTS_MAX + 3))
  const answers = (status: number): number => heard().split(`HTTP/1.1 ${status}`).length - 1
  // pipelined requests are answered in order: the refusals come to light once the first ones are
  await until('the calls to run', () => running === REQUESTS_MAX, WAIT_MS)
  wake()
  await until('the answers', () => answers(200) + answers(503) === REQUESTS_MAX + 3, WAIT_MS)
  assert.equal([answers(200), answers(503)], [REQUESTS_MAX, 3])
  socket.destroy()
})

test('calls whose client hung up still count, until they end', async () => {
  let running = 0
  let wake = (): void => {}
  const released = new Promise<void>(resolve => { wake = resolve })
  const { gateway } = await serve(agent => {
    agent.tool('wait', { input: z.object({ for: z.number() }) }, async () => {
      running++
      await released
      return ''
    })
  })
  const session = await begin(gateway)
  const batch = (size: number, first: number): object[] => Array.from({ length: size }, (_, index) => ({ jsonrpc: '2.0', id: first + index, method: 'tools/call', params: { name: 'wait', arguments: { for: index } } }))
  for (let sent = 0; sent < CALLS_MAX; sent += 64) {
    const { socket } = await raw(gateway, requestText(batch(64, sent + 2), session))
    await until(`${sent + 64} calls`, () => running === sent + 64, WAIT_MS)
    socket.destroy()
  }
  const { body, headers } = modern(1, 'wait', { for: 0 })
  const refused = await (await post(gateway, body, headers)).text()
  assert.match(refused, 'OVERLOADED')
  wake()
  await until('room again', async () => !(await (await post(gateway, body, headers)).text()).includes('OVERLOADED'), WAIT_MS)
})

test('of too many connections the last are closed', async () => {
  const { gateway } = await serve()
  const opened = await Promise.all(Array.from({ length: CONNECTIONS_MAX }, () => raw(gateway, '')))
  const further = await raw(gateway, requestText(INITIALIZE))
  await within(further.closed, 'the further one to be closed')
  assert.is(further.heard(), '')
  opened[0]?.socket.write(requestText(INITIALIZE))
  await until('an answer to the first', () => opened[0]?.heard().includes('200 OK') === true, WAIT_MS)
  for (const { socket } of opened) socket.destroy()
})

test('of too many subscriptions the last is refused', async () => {
  const { gateway } = await serve()
  const subscribe = async (id: number): Promise<Response> => {
    const { body } = modern(id, '')
    const { params } = body as { params: { _meta: object } }
    return await post(gateway, { jsonrpc: '2.0', id, method: 'subscriptions/listen', params: { notifications: { toolsListChanged: true }, _meta: params._meta } }, { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'subscriptions/listen' })
  }
  const streams = []
  for (let id = 1; id <= SUBSCRIPTIONS_MAX; id++) streams.push(await subscribe(id))
  assert.ok(streams.every(({ headers }) => headers.get('content-type') === 'text/event-stream'))
  assert.match(await (await subscribe(0)).text(), /limit/i)
  await Promise.all(streams.map(async stream => { await stream.body?.cancel() }))
})

test('a client that does not read is cut off before it fills the memory, and its call is aborted', async () => {
  let ended = (): void => {}
  const aborted = new Promise<void>(resolve => { ended = resolve })
  let toldBytes = 0
  const { gateway } = await serve(agent => {
    agent.tool('flood', {}, async (_args, { signal, progress }) => {
      signal.addEventListener('abort', () => { ended() })
      for (let step = 1; !signal.aborted && toldBytes < 8 * RESPONSE_BYTES_HELD_MAX; step++) {
        progress(step, undefined, 'x'.repeat(2 ** 18))
        toldBytes += 2 ** 18
        await new Promise<void>(resolve => { setImmediate(resolve) })
      }
      return ''
    })
  })
  const { body, headers } = modern(1, 'flood')
  const { params } = body as { params: { _meta: object } }
  const { socket } = await raw(gateway, '')
  socket.pause()
  socket.write(requestText({ ...body, params: { ...params, _meta: { ...params._meta, progressToken: 1 } } }, headers))
  await within(aborted, 'the call to be aborted')
  assert.ok(toldBytes < 8 * RESPONSE_BYTES_HELD_MAX, `${toldBytes} bytes were taken`)
  socket.destroy()
})

test('a connection that says nothing, half a head or half a body ends', async () => {
  const { gateway } = await serve()
  const whole = requestText(INITIALIZE)
  const slow = await Promise.all(['', 'POST /mcp HTTP/1.1\r\nHost: localhost\r\n', whole.slice(0, -5)].map(text => raw(gateway, text)))
  await within(Promise.all(slow.map(({ closed }) => closed)), 'the ends', REQUEST_MS_MAX + 5_000)
  assert.is((await ask(gateway, {})).status, 200)
})

test.run()
