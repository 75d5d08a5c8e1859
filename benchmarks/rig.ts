/**
 * What the benchmarks share: a user of their own, so that nothing touches the real swarm; peers in child processes; medians.
 * Every load is bounded in count and time, and talks to loopback only.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const isSmoke = process.argv.includes('--smoke')

const atExit: (() => void)[] = []
process.once('exit', () => { for (const clean of atExit.reverse()) clean() })

/** A temporary home with data and runtime folders; removed when the process ends. */
export function temporaryUser (): { readonly home: string, readonly env: NodeJS.ProcessEnv } {
  const home = mkdtempSync(join(tmpdir(), 'mcp-swarm-bench-'))
  mkdirSync(join(home, 'run'), { mode: 0o700 }) // one that is not there does not count
  atExit.push(() => { rmSync(home, { recursive: true, force: true, maxRetries: 5 }) })
  // Where a machine has certificates of its own, Node reads them at each start: 45 ms that no peer needs.
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env
  return { home, env: { ...env, HOME: home, XDG_CACHE_HOME: join(home, 'cache'), XDG_DATA_HOME: join(home, 'data'), XDG_RUNTIME_DIR: join(home, 'run') } }
}

/** A peer in a process of its own, spoken to by messages: see peer.ts. */
export class PeerProcess {
  readonly #child: ChildProcess
  readonly #asked = new Map<number, { resolve: (answer: unknown) => void, reject: (error: Error) => void }>()
  #count = 0

  /** @param script what it runs, beside this file */
  constructor (env: NodeJS.ProcessEnv, script = './peer.ts') {
    this.#child = fork(fileURLToPath(new URL(script, import.meta.url)), {
      env, execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
    this.#child.on('message', message => {
      const { id, answer, error } = message as { id: number, answer?: unknown, error?: string }
      const asked = this.#asked.get(id)
      this.#asked.delete(id)
      if (error === undefined) asked?.resolve(answer)
      else asked?.reject(new Error(error))
    })
    this.#child.on('exit', () => {
      for (const { reject } of this.#asked.values()) reject(new Error('the peer process has ended'))
    })
    atExit.push(() => { this.#child.kill('SIGKILL') })
  }

  async ask<Answer> (verb: string, what: Record<string, unknown> = {}): Promise<Answer> {
    const id = ++this.#count
    return await new Promise<Answer>((resolve, reject) => {
      this.#asked.set(id, { resolve: resolve as (answer: unknown) => void, reject })
      this.#child.send({ id, verb, ...what })
    })
  }

  kill (signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Leaves the swarm and ends. */
  async end (): Promise<void> {
    const ended = once(this.#child, 'exit')
    await this.ask('end')
    await ended
  }
}

/** The value below which that part (0 to 1) of the values lies. */
export function quantile (values: readonly number[], part: number): number {
  const sorted = [...values].sort((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN
}

/** Prints a row: what was measured, the figure, the bar it is held against. */
export function report (what: string, figure: string, bar: string): void {
  console.log(`${what.padEnd(58)} ${figure.padStart(24)}   ${bar}`)
}

/** Time that this thread has run, where the system tells: the rest of a long turn is others' doing. */
export function threadCpuMs (): number | undefined {
  return process.platform === 'linux' ? Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6 : undefined
}

export function ms (value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(0)} ms`
}
