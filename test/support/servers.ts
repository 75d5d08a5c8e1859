/** Servers of MCP that tests share, in processes of their own: those of test/fixtures/servers/, some of which are published ones. */
import { fileURLToPath } from 'node:url'
import { bundleOf } from './source.ts'

const FOLDER = new URL('../fixtures/servers/', import.meta.url)

/** Where Node finds a server: bundled if `npm test` did that, since each start reads the SDK file by file otherwise. */
export function serverPath (name: string): string {
  const path = fileURLToPath(new URL(`${name}.mjs`, FOLDER))
  return bundleOf(path) ?? path
}

/** As what is shared. */
export function serverCommand (name: string, ...args: readonly string[]): { command: string, args: string[] } {
  return { command: process.execPath, args: [serverPath(name), ...args] }
}
