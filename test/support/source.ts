import { existsSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Node arguments with which a child process runs TypeScript and finds 'mcp-swarm' in its source, from any folder. */
export const SOURCE_ARGS: readonly string[] = ['--import', import.meta.resolve('tsx'), '--conditions=mcp-swarm-source']

/** Where `npm test` has bundled a program of the tests, for every file at once; undefined where it has not. */
export function bundleOf (path: string): string | undefined {
  const folder = process.env['MCP_SWARM_TEST_PROGRAMS']
  if (folder === undefined) return undefined
  return ['.cjs', '.js'].map(ending => join(folder, relative(root, path).replace(/\.\w+$/, ending))).find(bundle => existsSync(bundle))
}

/** Node arguments that run a program of the tests, the program last: bundled if that was done, since from source each start takes seconds. */
export function programArgs (script: URL): string[] {
  const path = fileURLToPath(script)
  const bundle = bundleOf(path)
  return bundle === undefined ? [...SOURCE_ARGS, path] : ['--enable-source-maps', bundle]
}
