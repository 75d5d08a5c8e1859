/** Where the demo plays: a temporary folder of its own, which no real swarm shares, and the child processes in it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deadline, SwarmError, systemClock } from 'mcp-swarm'
import { readLines } from './lines.ts'

/** How long a process may take to end by itself, in milliseconds. */
const END_MS_MAX = 2_000

/** Lines of a process's standard error kept to explain its end. */
const SAID_MAX = 20

export interface Event {
  /** Absent in a line that tells why a command failed. */
  readonly event?: string
  readonly [fact: string]: unknown
}

/** What starts this program again. */
export const SELF: readonly string[] = [process.execPath, ...process.execArgv, process.argv[1] ?? '']

export class Stage {
  readonly folder: string
  /** The environment of every process: homes and folders below `folder`, and no settings of the user's. */
  readonly env: Readonly<Record<string, string>>
  readonly #actors: Actor[] = []
  readonly #onExit = (): void => { this.#endNow() }

  private constructor (folder: string) {
    this.folder = folder
    const inherited = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith('MCP_SWARM_'))
    this.env = {
      ...Object.fromEntries(inherited),
      HOME: join(folder, 'home'), XDG_DATA_HOME: join(folder, 'data'), XDG_RUNTIME_DIR: join(folder, 'run'), LOCALAPPDATA: join(folder, 'data'), NO_COLOR: '1'
    }
    process.on('exit', this.#onExit)
  }

  static async open (): Promise<Stage> {
    const stage = new Stage(await mkdtemp(join(tmpdir(), 'mcp-swarm-')))
    for (const name of ['home', 'data', 'run', 'files']) await mkdir(join(stage.folder, name), { mode: 0o700 })
    return stage
  }

  path (...names: readonly string[]): string {
    return join(this.folder, ...names)
  }

  async write (name: string, value: object): Promise<string> {
    await writeFile(this.path(name), JSON.stringify(value, null, 2))
    return this.path(name)
  }

  /** Starts a command of this program that prints a line per event. */
  play (name: string, args: readonly string[]): Actor {
    const [command = process.execPath, ...before] = SELF
    const actor = new Actor(name, spawn(command, [...before, ...args], { env: this.env, stdio: ['pipe', 'pipe', 'pipe'] }))
    this.#actors.push(actor)
    return actor
  }

  /** Ends every process and removes the folder. */
  async close (): Promise<void> {
    await Promise.all(this.#actors.map(async actor => { await actor.end() }))
    this.#endNow()
    process.off('exit', this.#onExit)
  }

  #endNow (): void {
    for (const actor of this.#actors) actor.kill()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 })
  }
}

export class Actor {
  readonly name: string
  readonly #child: ChildProcess
  readonly #events: Event[] = []
  readonly #waiting = new Set<() => void>()
  readonly #said: string[] = []
  #exited = false

  constructor (name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
    const gone = (): void => {
      this.#exited = true
      this.#wake()
    }
    child.on('exit', gone)
    child.on('error', gone)
    child.stdin?.on('error', gone)
    void this.#listen()
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said.push(...text.split('\n').filter(line => line !== ''))
      this.#said.splice(0, this.#said.length - SAID_MAX)
    })
  }

  get pid (): number | undefined {
    return this.#child.pid
  }

  send (line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** The first event of that name, past or to come. @throws SwarmError TIMEOUT, or UNAVAILABLE when the process has ended */
  async event (name: string, boundMs: number, matches: (event: Event) => boolean = () => true): Promise<Event> {
    const { signal, done } = deadline(systemClock, boundMs)
    try {
      for (;;) {
        const found = this.#events.find(event => event.event === name && matches(event))
        if (found !== undefined) return found
        if (this.#exited) throw new SwarmError('UNAVAILABLE', `${this.name} ended before it told of ${name}: ${this.#said.join(' | ') || 'it said nothing'}`)
        if (signal.aborted) throw new SwarmError('TIMEOUT', `${this.name} did not tell of ${name} in ${boundMs} ms`)
        await new Promise<void>(resolve => {
          const wake = (): void => {
            this.#waiting.delete(wake)
            signal.removeEventListener('abort', wake)
            resolve()
          }
          this.#waiting.add(wake)
          signal.addEventListener('abort', wake)
        })
      }
    } finally {
      done()
    }
  }

  /** Ends it as a crash would: it can say nothing. */
  kill (): void {
    if (!this.#exited) this.#child.kill('SIGKILL')
  }

  async end (): Promise<void> {
    if (this.#exited) return
    const { signal, done } = deadline(systemClock, END_MS_MAX)
    const exit = new Promise<void>(resolve => { this.#child.once('exit', () => { resolve() }) })
    signal.addEventListener('abort', () => { this.kill() })
    this.#child.kill('SIGTERM')
    await exit
    done()
  }

  async #listen (): Promise<void> {
    if (this.#child.stdout === null) return
    for await (const line of readLines(this.#child.stdout)) {
      const event = JSON.parse(line) as Event
      if (event.event === undefined) this.#said.push(line)
      else this.#events.push(event)
      this.#wake()
    }
  }

  #wake (): void {
    for (const wake of [...this.#waiting]) wake()
  }
}
