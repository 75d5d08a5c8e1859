import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { systemClock, type Clock } from '../../lib/base/clock.ts'
import { seededRandom } from '../../lib/base/random.ts'
import { LISTEN_AGAIN_MS, LISTEN_MS_MAX } from '../../lib/mcp/session.ts'
import { RESTART_MS, shareServer, type SharedServer, type ShareOptions } from '../../lib/mcp/share.ts'
import { rejection, rejectsWith, textOf, toolCall, until, within } from './parts.ts'

/** An MCP server on HTTP: what it was asked, and the way to stop it. */
class Web {
  readonly keys: unknown[] = []
  readonly tools = ['add']
  /** Holds the answer of every stream back until it ends, as some proxies do. */
  buffers = false
  port = 0
  #http: Server | undefined
  readonly #handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'web', version: '1' })
    for (const name of this.tools) server.registerTool(name, { inputSchema: z.object({ a: z.number() }) }, ({ a }) => ({ content: [{ type: 'text', text: String(a + 1) }] }))
    return server
  })

  async listen (): Promise<void> {
    this.#http = createServer((request, response) => {
      this.keys.push(request.headers['x-key'])
      const headers = new Headers(Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)]))
      const body = request.method === 'POST' ? { body: Readable.toWeb(request) as BodyInit, duplex: 'half' } : {}
      void this.#handler.fetch(new Request(`http://127.0.0.1${request.url}`, { method: request.method ?? 'GET', headers, ...body })).then(async answer => {
        const whole = this.buffers ? Buffer.from(await answer.arrayBuffer()) : undefined
        response.writeHead(answer.status, Object.fromEntries(answer.headers))
        if (whole !== undefined || answer.body === null) response.end(whole)
        else Readable.fromWeb(answer.body as never).pipe(response)
      })
    })
    await new Promise<void>(resolve => this.#http?.listen(this.port, '127.0.0.1', resolve))
    this.port = (this.#http.address() as AddressInfo).port
  }

  cut (): void {
    this.#http?.closeAllConnections()
  }

  async stop (): Promise<void> {
    const stopped = new Promise(resolve => this.#http?.close(resolve))
    this.cut()
    await stopped
  }
}

const ending: (() => Promise<void>)[] = []
test.after.each(async () => {
  for (const end of ending.splice(0).reverse()) await within(end(), 'the end')
})

async function openWeb (): Promise<Web> {
  const web = new Web()
  await web.listen()
  ending.push(() => web.stop())
  return web
}

function share (port: number, options: Partial<ShareOptions> = {}): SharedServer {
  const server = shareServer('notes', { url: `http://127.0.0.1:${port}/mcp`, headers: { 'x-key': 'k1' } }, { clock: systemClock, random: seededRandom(1), ...options })
  ending.push(() => server.close())
  return server
}

/** Time in which one delay is none. */
function without (shortMs: number): Clock {
  return { ...systemClock, after: (delayMs, callback) => systemClock.after(delayMs === shortMs ? 0 : delayMs, callback) }
}

test('calls, sends the headers, and dials again when the server comes back', async () => {
  const web = await openWeb()
  const server = share(web.port)
  await within(server.ready(), 'ready')
  assert.is(textOf(await server.callTool(toolCall('add', { a: 1 }))), '2')
  assert.ok(web.keys.length > 0 && web.keys.every(key => key === 'k1'))
  await web.stop()
  let error = await within(rejection(server.callTool(toolCall('add', { a: 1 }))), 'the call')
  if (error.code === 'INDETERMINATE') error = await within(rejection(server.callTool(toolCall('add', { a: 1 }))), 'the call') // the first may have gone into a connection that was just cut
  assert.is(error.code, 'UNAVAILABLE')
  assert.is(error.details['sent'], false)
  await until(server, () => !server.availability.available, 'its end')
  await web.listen()
  await until(server, () => server.availability.available, 'its return')
  assert.is(textOf(await server.callTool(toolCall('add', { a: 2 }))), '3')
})

test('a subscription that was cut is asked for again, and what changed meanwhile is read', async () => {
  const web = await openWeb()
  const server = share(web.port, { clock: without(LISTEN_AGAIN_MS) })
  await within(server.ready(), 'ready')
  web.tools.push('later')
  web.cut()
  await until(server, () => server.catalogue.tools.some(({ name }) => name === 'later'), 'the new tool')
})

test('a server that never agrees to a subscription is served without one', async () => {
  const web = await openWeb()
  web.buffers = true
  const server = share(web.port, { clock: without(LISTEN_MS_MAX) })
  await within(server.ready(), 'ready')
  assert.is(textOf(await server.callTool(toolCall('add', { a: 1 }))), '2')
})

test('waits longer with every failure, up to a bound, and stops waiting when it is closed', async () => {
  const { port } = await closedPort()
  const waits: number[] = []
  let enough = (): void => {}
  const twelve = new Promise<void>(resolve => { enough = resolve })
  const startMsMax = 12_345
  const clock: Clock = {
    ...systemClock,
    after (delayMs, callback) {
      if (delayMs === startMsMax) return systemClock.after(delayMs, callback)
      waits.push(delayMs)
      if (waits.length === 12) {
        enough()
        return () => {} // never ends by itself: only closing does
      }
      return systemClock.after(0, callback)
    }
  }
  const server = share(port, { clock, startMsMax, random: { next: () => 0.5, bytes: () => new Uint8Array() } })
  const error = await rejectsWith(within(server.ready(), 'ready'), 'SERVER_FAILED')
  assert.match(error.message, 'ECONNREFUSED')
  await within(twelve, 'twelve failures')
  assert.equal(waits, Array.from({ length: 12 }, (_, index) => Math.min(RESTART_MS.max, RESTART_MS.first * 2 ** index) / 2))
  await within(server.close(), 'close')
})

async function closedPort (): Promise<{ port: number }> {
  const web = new Web()
  await web.listen()
  await web.stop()
  return web
}

test.run()
