// bound: 90 s
/** The public entry as a page gets it: nothing of Node in it, and it loads where there is neither process nor Buffer. */
import { builtinModules } from 'node:module'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { browserBuild } from '../scripts/build.ts'

/** What every page has, and no more. */
const PAGE = ['AbortController', 'AbortSignal', 'Event', 'EventTarget', 'CustomEvent', 'DOMException', 'Headers', 'MessageChannel', 'ReadableStream',
  'Request', 'Response', 'TextDecoder', 'TextEncoder', 'TransformStream', 'URL', 'URLSearchParams', 'WebSocket', 'WritableStream', 'atob', 'btoa',
  'clearInterval', 'clearTimeout', 'console', 'crypto', 'fetch', 'performance', 'queueMicrotask', 'setInterval', 'setTimeout', 'structuredClone'] as const

const { outputFiles, metafile } = await build({
  ...browserBuild, splitting: false, sourcemap: false, write: false, format: 'iife', globalName: 'entry', entryPoints: ['lib/index.ts'], outdir: 'dist/browser'
})
const text = outputFiles[0]?.text ?? ''
const [plainKiB, gzipKiB] = [text.length, gzipSync(text, { level: 9 }).byteLength].map(bytes => Math.ceil(bytes / 1024))
console.log(`\nnote: the browser bundle has ${plainKiB} KiB, ${gzipKiB} KiB gzipped`)

test('nothing of Node is asked for', () => {
  const asked = Object.values(metafile.inputs).flatMap(({ imports }) => imports).concat(Object.values(metafile.outputs).flatMap(({ imports }) => imports) as never)
    .map(({ path }) => path).filter(path => path.startsWith('node:') || builtinModules.includes(path))
  assert.equal([...new Set(asked)], [])
})

test('no Node twin is in it', () => {
  assert.equal(Object.keys(metafile.inputs).filter(path => path.endsWith('.node.ts')), [])
})

test('it loads where there is no process and no Buffer, and asks for a ticket', async () => {
  const page: Record<string, unknown> = {}
  for (const name of PAGE) page[name] = (globalThis as Record<string, unknown>)[name]
  page['WebSocket'] ??= EventTarget // Node 20 has none; nothing here opens one
  page['location'] = new URL('https://example.org/')
  page['navigator'] = { userAgent: 'a page' }
  page['self'] = page['window'] = page
  const entry = runInContext(`${text};entry`, createContext(page)) as { joinSwarm: (options?: { ticket: string }) => Promise<unknown> }
  const endOf = async (options?: { ticket: string }): Promise<unknown> =>
    await entry.joinSwarm(options).then(() => 'joined', (error: { code?: string, stack?: string }) => error.code ?? error.stack)
  assert.is(await endOf(), 'NEEDS_TICKET')
  assert.is(await endOf({ ticket: 'mcpswarm1-x' }), 'TICKET_INVALID')
})

test.run()
