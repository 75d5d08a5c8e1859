/** A user of their own for a test: homes and folders that no real swarm shares, and the command line run in them. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { buildCli } from '../../scripts/bundle.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Where `npm test` has built the command line, for every file at once. */
const { MCP_SWARM_TEST_CLI: ready } = process.env
const folder = join('.tmp', `cli-${process.pid}`)
if (ready === undefined) process.on('exit', () => { rmSync(join(root, folder), { recursive: true, force: true }) })

/**
 * Arguments with which Node runs the command line: a bundle made of the present source, as it is published. A test starts it dozens
 * of times, and from source each start takes seconds. Below the project, where the packages that stay outside are found.
 */
export const CLI: readonly string[] = ['--enable-source-maps', ready ?? join(root, await buildCli(folder))]

/** One wait in a test, in milliseconds: many times what it takes on an idle machine. */
export const WAIT_MS_MAX = 30_000

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export type Facts = Readonly<Record<string, unknown>>

export class Home {
  readonly folder = mkdtempSync(join(tmpdir(), 'mcs-'))
  readonly env: Record<string, string>
  readonly #running = new Set<Running>()

  constructor () {
    for (const name of ['home', 'data', 'run', 'work']) mkdirSync(this.path(name), { mode: 0o700 })
    this.env = { PATH: process.env['PATH'] ?? '', HOME: this.path('home'), XDG_DATA_HOME: this.path('data'), XDG_RUNTIME_DIR: this.path('run'), MCP_SWARM_DISCOVERY: 'folder' } // nothing goes to the LAN
    const coverage = process.env['NODE_V8_COVERAGE']
    if (coverage !== undefined) this.env['NODE_V8_COVERAGE'] = resolve(coverage)
  }

  path (...names: readonly string[]): string {
    return join(this.folder, ...names)
  }

  /** Writes a file below the folder; objects as JSON. */
  write (name: string, content: object | string): string {
    writeFileSync(this.path(name), typeof content === 'string' ? content : JSON.stringify(content))
    return this.path(name)
  }

  /** Starts a command in the folder `work`. */
  start (args: readonly string[], { env = {} }: { env?: Record<string, string> } = {}): Running {
    return this.startNode([...CLI, ...args], { env })
  }

  /** Starts any other program of Node, likewise. */
  startNode (args: readonly string[], { env = {} }: { env?: Record<string, string> } = {}): Running {
    const running = new Running(spawn(process.execPath, args, { cwd: this.path('work'), env: { ...this.env, ...env } }))
    this.#running.add(running)
    return running
  }

  /** Runs a command to its end. */
  async run (args: readonly string[], options: { stdin?: string, env?: Record<string, string>, boundMs?: number } = {}): Promise<Outcome> {
    const running = this.start(args, options)
    running.child.stdin.end(options.stdin ?? '')
    return await running.outcome(options.boundMs)
  }

  /** Ends whatever still runs. */
  async end (): Promise<void> {
    for (const running of this.#running) running.child.kill('SIGKILL')
    await Promise.all([...this.#running].map(async running => { await running.outcome() }))
    this.#running.clear()
  }

  /** Ends whatever still runs, and removes the folder. */
  async close (): Promise<void> {
    await this.end()
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

export class Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly lines: string[] = []
  stderr = ''
  readonly #waiting = new Set<() => void>()
  readonly #outcome: Promise<Outcome>

  constructor (child: ChildProcessWithoutNullStreams) {
    this.child = child
    child.stdin.on('error', () => { child.stdin.destroy() }) // it has ended: its outcome tells
    createInterface({ input: child.stdout }).on('line', line => {
      this.lines.push(line)
      this.#wake()
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
      this.#wake()
    })
    this.#outcome = new Promise(resolve => {
      child.on('close', code => {
        resolve({ code, stdout: this.lines.map(line => `${line}\n`).join(''), stderr: this.stderr })
        this.#wake()
      })
    })
  }

  async outcome (boundMs = WAIT_MS_MAX): Promise<Outcome> {
    return await bounded(this.#outcome, 'a command to end', () => this.#said(), boundMs)
  }

  /** The first line, past or to come, that is JSON and fits. */
  async event (matches: (facts: Facts) => boolean, what: string): Promise<Facts> {
    return await this.until(() => this.lines.map(parse).find(facts => facts !== undefined && matches(facts)), what)
  }

  /** Waits for `up --json` to say that a server runs, be it with its first line, among the lines from `after` on. */
  async serves (name: string, after = 0): Promise<void> {
    const told = (): Facts[] => this.lines.slice(after).map(parse).flatMap(facts => facts === undefined ? [] : facts['event'] === 'ready' ? facts['agents'] as Facts[] : [facts])
    await this.until(() => told().find(facts => facts['name'] === name && facts['available'] === true && facts['event'] !== 'agent:removed'), `${name} to run`)
  }

  /** What `look` finds as soon as it finds something; it looks again whenever something was said. */
  async until<Found> (look: () => Found | undefined, what: string): Promise<Found> {
    const search = async (): Promise<Found> => {
      for (;;) {
        const found = look()
        if (found !== undefined) return found
        if (this.child.exitCode !== null || this.child.signalCode !== null) throw new Error(`ended before ${what}: ${this.#said()}`)
        await new Promise<void>(resolve => { this.#waiting.add(resolve) })
      }
    }
    return await bounded(search(), what, () => this.#said())
  }

  #said (): string {
    return `\nstdout: ${this.lines.join('\n')}\nstderr: ${this.stderr}`
  }

  #wake (): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** @throws when it takes longer than `boundMs` */
export async function bounded<Result> (promise: Promise<Result>, what: string, said = (): string => '', boundMs = WAIT_MS_MAX): Promise<Result> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => { reject(new Error(`waited ${boundMs} ms for ${what}${said()}`)) }, boundMs)
  })
  return await Promise.race([promise, late]).finally(() => { clearTimeout(timer) })
}

function parse (line: string): Facts | undefined {
  try {
    return JSON.parse(line) as Facts
  } catch {
    return undefined // a line for people
  }
}
