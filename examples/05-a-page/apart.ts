/**
 * Gives the example a swarm of its own, gone when it ends, so that trying it out touches nothing of yours. A program of yours
 * leaves this out: without it, these peers would join your own local swarm.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// A second process of the example finds itself in the swarm of the first.
if (process.env['MCP_SWARM_EXAMPLE'] === undefined) {
  const folder = mkdtempSync(join(tmpdir(), 'mcp-swarm-example-'))
  mkdirSync(join(folder, 'run'), { mode: 0o700 })
  Object.assign(process.env, { MCP_SWARM_EXAMPLE: folder, XDG_DATA_HOME: join(folder, 'data'), XDG_RUNTIME_DIR: join(folder, 'run') })
  process.on('exit', () => { rmSync(folder, { recursive: true, force: true }) })
}

// An example that hangs has failed.
setTimeout(() => { throw new Error('not done after 40 s') }, 40_000).unref()
