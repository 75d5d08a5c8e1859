import { spawnSync } from 'node:child_process'

/**
 * Runs the present program once more in namespaces of its own, and ends as that does.
 *
 * @param mark the variable that is set there, so that it does not run a third time
 * @param enter arguments of `unshare`
 */
export function runAgain (mark: string, enter: readonly string[]): never {
  const { status } = spawnSync('unshare', [...enter, process.execPath, ...process.execArgv, ...process.argv.slice(1)], { stdio: 'inherit', env: { ...process.env, [mark]: '1' } })
  process.exit(status ?? 1)
}
