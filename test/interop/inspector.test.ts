// bound: 300 s
/** The Inspector's command line, of the protocol's own makers, on stdio and HTTP, in both revisions: three published servers behind the gateway. */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CLI, Home } from '../cli/home.ts'

const test = suite('inspector')
const node22 = fileURLToPath(new URL('node_modules/node-22/bin/node', import.meta.url))
const inspector = fileURLToPath(new URL('node_modules/.bin/mcp-inspector', import.meta.url))
const isThere = existsSync(node22) && existsSync(inspector)
if (!isThere) console.log('\nneeds the Inspector (npm ci in test/interop): tests skipped')

/** How often it is asked anew, while the peers have not met. */
const TRIES = 20

const home = new Home()
const published = (name: string): string => createRequire(import.meta.url).resolve(`@modelcontextprotocol/server-${name}/dist/index.js`)
const ways = new Map<string, readonly string[]>()

test.before(async () => {
  if (!isThere) return
  const servers = {
    everything: { command: process.execPath, args: [published('everything')] },
    files: { command: process.execPath, args: [published('filesystem'), home.path('work')] },
    memory: { command: process.execPath, args: [published('memory')], env: { MEMORY_FILE_PATH: home.path('memory.json') } }
  }
  home.write('work/hello.txt', 'good day')
  const desk = home.start(['up', '--json', '--dir', home.path('desk'), '--config', home.write('desk.json', { mcpServers: servers, swarm: { name: 'desk', share: Object.keys(servers) } })])
  for (const name of Object.keys(servers)) await desk.serves(name)
  const front = home.start(['up', '--json', '--dir', home.path('front'), '--port', '0', '--tools', 'all', '--config', home.write('front.json', { mcpServers: {}, swarm: { name: 'front' } })])
  const { gateway } = await front.event(({ event }) => event === 'ready', 'the gateway')
  const catalog = home.write('catalog.json', { mcpServers: { swarm: { command: process.execPath, args: [...CLI, 'connect', '--tools', 'all', '--dir', home.path('connect')], env: home.env, cwd: home.path('work') } } })
  ways.set('stdio', ['--config', catalog, '--server', 'swarm'])
  ways.set('HTTP', ['--transport', 'http', '--server-url', String(gateway), '--header', `Authorization: Bearer ${readFileSync(home.path('front', 'gateway.token'), 'utf8').trim()}`])
})
test.after(async () => { await home.close() })

interface Ran { readonly status: number | null, readonly stdout: string, readonly stderr: string }

/** Runs it until what it prints fits: a peer that has just started knows the others a moment later. */
function run (way: string, era: string, args: readonly string[], fits: RegExp): Ran {
  for (let tries = 1; ; tries++) {
    const { status, stdout, stderr } = spawnSync(node22, [inspector, '--cli', ...ways.get(way) ?? [], '--protocol-era', era, ...args], { encoding: 'utf8', timeout: 60_000, env: home.env })
    if (fits.test(stdout) || tries === TRIES) return { status, stdout, stderr }
  }
}

for (const way of ['stdio', 'HTTP']) {
  for (const era of ['legacy', 'modern']) {
    const withInspector = (name: string, args: readonly string[], ...fits: readonly [RegExp, ...RegExp[]]): void => {
      const check = (): void => {
        const { status, stderr, stdout } = run(way, era, args, fits[0])
        assert.is(status, 0, `${stderr}${stdout}`.slice(0, 4_000))
        for (const expected of fits) assert.match(stdout, expected)
      }
      const whole = `on ${way}, ${era}: ${name}`
      if (isThere) test(whole, check)
      else test.skip(whole, check)
    }

    withInspector('every tool, with schemas that are portable', ['--method', 'tools/list', '--strict'],
      /(?=[^]*"name": "trigger-long-running-operation")(?=[^]*"name": "directory_tree")(?=[^]*"name": "create_entities")/, /"name": "swarm_find"/, /"name": "swarm_status"/)
    withInspector('a call', ['--method', 'tools/call', '--tool-name', 'echo', '--tool-arg', 'message=good day'], /Echo: good day/)
    withInspector('a call of the gateway\'s own', ['--method', 'tools/call', '--tool-name', 'swarm_find', '--tool-arg', 'query=list a directory'], /list_directory/)
    withInspector('resources', ['--method', 'resources/list'], /demo:\/\/resource\/static\/document\/architecture\.md/)
    withInspector('a resource', ['--method', 'resources/read', '--uri', 'demo://resource/static/document/architecture.md'], /Architecture/)
    withInspector('templates', ['--method', 'resources/templates/list'], /demo:\/\/resource\/dynamic\/text\/\{resourceId\}/)
    withInspector('prompts', ['--method', 'prompts/list'], /args-prompt/)
    withInspector('a prompt', ['--method', 'prompts/get', '--prompt-name', 'args-prompt', '--prompt-args', 'city=Paris'], /Paris/)
  }
}

test.run()
