/** An MCP client that speaks plain lines to a gateway on stdio: to what users run, over pipes, with no SDK's time in what it measures. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

/** The command line as it is published. */
export const CLI = fileURLToPath(new URL('../../dist/node/cli.cjs', import.meta.url))

export type Revision = '2025-11-25' | '2026-07-28'

const TICK_MS = 10

/** What every request of 2026-07-28 says of its client. */
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' }
}

export interface ToolFacts {
  readonly name: string
  readonly description?: string
  readonly _meta?: Readonly<Record<string, { readonly available?: boolean, readonly peer?: string, readonly agent?: string }>>
}

export interface CallAnswer {
  readonly content: readonly { readonly text?: string }[]
  readonly structuredContent?: Readonly<Record<string, unknown>>
  readonly isError?: boolean
}

interface Answer {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly code: number, readonly message: string }
}

export class StdioClient {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #revision: Revision
  readonly #waiting = new Map<number, { resolve: (answer: { line: string, atMs: number }) => void, reject: (error: Error) => void }>()
  readonly #parts: Buffer[] = []
  /** When the process was started, by `performance.now()`. */
  readonly startedMs = performance.now()
  #id = 0

  constructor (args: readonly string[], env: NodeJS.ProcessEnv, revision: Revision = '2025-11-25') {
    this.#revision = revision
    this.#child = spawn(process.execPath, [CLI, ...args], { env, stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.stdout.on('data', (bytes: Buffer) => { this.#take(bytes) })
    this.#child.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the gateway has ended'))
    })
    process.once('exit', () => { this.#child.kill('SIGKILL') })
  }

  /** Opens as a client of its revision does: `initialize`, or `server/discover`. */
  async open (): Promise<void> {
    if (this.#revision === '2026-07-28') return void await this.request('server/discover')
    await this.request('initialize', { protocolVersion: this.#revision, capabilities: {}, clientInfo: { name: 'bench', version: '1' } })
    this.#send({ method: 'notifications/initialized' })
  }

  /** @returns the result, and when its last byte was here, by `performance.now()`: before it was parsed */
  async timed (method: string, params: object = {}): Promise<{ result: unknown, atMs: number }> {
    const id = ++this.#id
    const answered = new Promise<{ line: string, atMs: number }>((resolve, reject) => { this.#waiting.set(id, { resolve, reject }) })
    this.#send({ id, method, params: this.#revision === '2026-07-28' ? { ...params, _meta: META } : params })
    const { line, atMs } = await answered
    const { result, error } = JSON.parse(line) as Answer
    if (error !== undefined) throw new Error(`${method}: ${error.code} ${error.message}`)
    return { result, atMs }
  }

  async request (method: string, params: object = {}): Promise<unknown> {
    return (await this.timed(method, params)).result
  }

  async tools (): Promise<readonly ToolFacts[]> {
    return (await this.request('tools/list') as { tools: readonly ToolFacts[] }).tools
  }

  async call (name: string, args: object = {}): Promise<CallAnswer> {
    return await this.request('tools/call', { name, arguments: args }) as CallAnswer
  }

  /** Memory of the process. Linux alone tells. */
  rssBytes (): number {
    try {
      return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#child.pid ?? 0}/status`, 'utf8'))?.[1]) * 1_024
    } catch {
      return Number.NaN
    }
  }

  /** What the process has had of the processors, in milliseconds: of use where others want them too. Linux alone tells. */
  cpuMs (): number {
    try {
      const [, user, system] = /\) (?:\S+ ){11}(\d+) (\d+)/.exec(readFileSync(`/proc/${this.#child.pid ?? 0}/stat`, 'utf8')) ?? []
      return (Number(user) + Number(system)) * TICK_MS
    } catch {
      return Number.NaN
    }
  }

  async end (): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.stdin.end()
    await ended
  }

  #send (message: object): void {
    this.#child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }

  #take (bytes: Buffer): void {
    const atMs = performance.now()
    let from = 0
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, from)) {
      this.#answered(Buffer.concat([...this.#parts.splice(0), bytes.subarray(from, end)]).toString(), atMs)
      from = end + 1
    }
    if (from < bytes.length) this.#parts.push(bytes.subarray(from))
  }

  #answered (line: string, atMs: number): void {
    const id = /"id":(\d+)[,}]/.exec(line.slice(0, 200)) ?? /"id":(\d+)\}$/.exec(line.slice(-40))
    const waiting = id === null ? undefined : this.#waiting.get(Number(id[1]))
    if (waiting === undefined) return // a notification
    this.#waiting.delete(Number(id?.[1]))
    waiting.resolve({ line, atMs })
  }
}
