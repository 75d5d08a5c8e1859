/** A web page is let into a swarm, calls a tool of this process, offers one, and is the same peer when it is loaded anew. */
import './apart.ts'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { joinSwarm, makeSwarm } from 'mcp-swarm'
import { chromium } from 'playwright-core'

const folder = String(process.env['MCP_SWARM_EXAMPLE'])

// The page: one script, made as any bundler makes it. Here it comes from the source; in a project of yours, leave the conditions out.
const { outputFiles: [script] } = await build({
  entryPoints: [fileURLToPath(new URL('./page.ts', import.meta.url))], bundle: true, format: 'esm', platform: 'browser', target: 'es2022', write: false,
  conditions: ['mcp-swarm-source', 'browser']
})
const site = createServer(({ url }, response) => {
  response.setHeader('content-type', url === '/page.js' ? 'text/javascript' : 'text/html')
  response.end(url === '/page.js' ? script?.text : '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script type="module" src="/page.js"></script>')
})
await new Promise<void>(resolve => { site.listen(0, '127.0.0.1', resolve) })

// A swarm of your own, and its first peer, on a WebSocket: that is what a page can dial.
await makeSwarm(join(folder, 'admin'))
await using swarm = await joinSwarm({ name: 'admin', dir: join(folder, 'admin'), listen: ['/ip4/127.0.0.1/tcp/0/ws'], discovery: false })
const agent = swarm.agent('counter')
agent.tool('count_words', { description: 'Counts words', input: { type: 'object', properties: { text: { type: 'string' } } }, output: { type: 'object', properties: { words: { type: 'number' } } } },
  ({ text }) => ({ words: (text as string).split(/\s+/).length }))
await agent.start()
const notes = await swarm.document('notes')

// Yours would be opened by its user: a ticket behind the # of the address stays in the browser.
const browser = await chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] })
const page = await browser.newPage()
try {
  const address = `http://127.0.0.1:${(site.address() as AddressInfo).port}/`
  await page.goto(`${address}#ticket=${swarm.invite().ticket}`)
  const said = page.locator('body', { hasText: 'has called' })
  await said.waitFor({ timeout: 20_000 })
  console.log(await said.textContent())

  const first = await swarm.call('ask_user', { question: 'more tea?' })
  console.log('ask_user:', first.content)

  // Without the ticket, which is used up: it belongs by now.
  await page.goto('about:blank')
  await page.goto(address)
  await said.waitFor({ timeout: 20_000 })
  assert.deepEqual((await swarm.call('ask_user', { question: 'more tea?' })).content, first.content, 'the same peer')
  console.log('notes:', notes.get('all'))
  assert.deepEqual(notes.get('all'), { visits: 2 })
} finally {
  await browser.close()
  site.close()
}
