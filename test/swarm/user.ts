/** A user of its own for a test: data and runtime folders of its own, so that nothing touches the real swarm. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface User {
  readonly home: string
  leave (): Promise<void>
}

/** Must be called before anything asks for the folders. */
export async function becomeUser (): Promise<User> {
  const home = await mkdtemp(join(tmpdir(), 'mcp-swarm-test-'))
  await mkdir(join(home, 'run'), { mode: 0o700 }) // one that is not there does not count
  process.env['XDG_DATA_HOME'] = join(home, 'data')
  process.env['XDG_RUNTIME_DIR'] = join(home, 'run')
  return { home, leave: async () => { await rm(home, { recursive: true, force: true }) } }
}
