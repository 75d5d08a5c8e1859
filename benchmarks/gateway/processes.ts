import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Starts providers.ts; resolves when its peers offer what they have. It ends with this process. */
export async function startProviders (env: NodeJS.ProcessEnv, peers: number, tools: number): Promise<ChildProcess> {
  const child = fork(fileURLToPath(new URL('providers.ts', import.meta.url)), [String(peers), String(tools)], { env, execArgv: ['--import', 'tsx'] })
  process.once('exit', () => { child.kill('SIGKILL') })
  await once(child, 'message')
  return child
}
