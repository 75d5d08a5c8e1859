/** Starts the fixture: on stdio, or with `--http` at an address that it prints. */
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { openFixture } from './fixture.ts'
import { serveDirectly } from './http.ts'

if (process.argv.includes('--http')) console.log(JSON.stringify({ event: 'ready', url: await serveDirectly() }))
else serveStdio(() => openFixture({ changes: { tools: 0, prompts: 0 } }))
