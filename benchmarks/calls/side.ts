/** Starts the answering half of a measurement as a process of its own, and ends it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Side {
  /** What it said when it was ready, one JSON line. */
  readonly ready: unknown
  stop (): Promise<void>
}

/** What every call sends, and gets back. */
export const PAYLOAD = { text: 'x'.repeat(100) }

export async function startSide (script: URL, ...args: readonly string[]): Promise<Side> {
  const child = spawn(process.execPath, ['--import', 'tsx', fileURLToPath(script), ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  const gone = once(child, 'exit')
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text)),
    gone.then(() => { throw new Error(`${script.pathname} ended before it was ready`) })
  ])
  return {
    ready: JSON.parse(line),
    stop: async () => {
      child.stdin.end()
      await gone
    }
  }
}

/** In the answering process: says that it is ready, then waits until its starter is done with it. */
export async function serveUntilDone (ready: unknown): Promise<void> {
  console.log(JSON.stringify(ready))
  process.stdin.resume()
  await once(process.stdin, 'end')
}
