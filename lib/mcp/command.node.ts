/**
 * A server as a child process: one JSON-RPC message a line on its stdin and stdout, its stderr kept for error messages.
 *
 * It leads a process group of its own (where there are such), since what is started is often `npx` and the server its
 * grandchild: whatever ends one ends all. Closing is asked for in steps, each bounded: end of stdin, SIGTERM, SIGKILL.
 * Source: MCP 2025-11-25, stdio, shutdown.
 */
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { stripVTControlCharacters } from 'node:util'
import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client'
import { getDefaultEnvironment } from '@modelcontextprotocol/client/stdio'
import spawn from 'cross-spawn'
import type { Clock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import { isObject } from '../base/json.ts'
import { LineStream } from '../base/line.ts'
import type { CommandSource, Link, Trouble } from './link.ts'
import { PipeStream } from './pipe.node.ts'

/** Longest message a server may send, in bytes. */
export const SERVER_LINE_BYTES_MAX = 16 * 2 ** 20

/** Lines of a server's stderr that are kept. */
export const STDERR_LINES_MAX = 20

/** Characters kept of each of them. */
export const STDERR_LINE_CHARS_MAX = 300

/** How long a server may take to end by itself, and again after SIGTERM, in milliseconds. */
export const CLOSE_MS_MAX = 2_000

/** How long the last words of a server that has exited are waited for, in milliseconds: a grandchild may hold its pipes. */
const LAST_WORDS_MS_MAX = 200

export function openCommand (source: CommandSource, clock: Clock): Link {
  const transport = new CommandTransport(source, clock)
  return { transport, trouble: () => transport.trouble }
}

export class CommandTransport implements Transport {
  onmessage?: Transport['onmessage']
  onerror?: (error: Error) => void
  onclose?: () => void
  readonly #source: CommandSource
  readonly #clock: Clock
  readonly #said: string[] = []
  #child: ChildProcess | undefined
  #pipe: PipeStream | undefined
  #lines: LineStream | undefined
  #trouble: Trouble | undefined
  #isClosing = false
  #exited: Promise<void> = Promise.resolve()
  #ended = false

  constructor (source: CommandSource, clock: Clock) {
    this.#source = source
    this.#clock = clock
  }

  /** The child's id: also what tells the SDK that this is a pipe, where silence means an old server. */
  get pid (): number | undefined {
    return this.#child?.pid
  }

  /** The last lines of the child's stderr. */
  get stderr (): readonly string[] {
    return this.#said
  }

  get trouble (): Trouble | undefined {
    return this.#trouble
  }

  async start (): Promise<void> {
    if (this.#isClosing) throw new SwarmError('CLOSED', `command ${this.#source.command} was closed before it started`)
    const { command, args = [], env = {}, cwd } = this.#source
    const child = spawn(command, [...args], {
      env: { ...getDefaultEnvironment(), ...env }, cwd, stdio: 'pipe', shell: false, windowsHide: true, detached: process.platform !== 'win32'
    })
    this.#child = child
    const started = new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.on('error', error => {
        this.#trouble ??= this.#whyNotStarted(error)
        reject(error)
      })
    })
    if (child.pid !== undefined) {
      // from the first moment: it may be closed before it has spawned
      this.#exited = new Promise(resolve => {
        child.once('exit', (code, signal) => { resolve(this.#bury(code, signal, this.#isClosing)) })
      })
      keepInMind(child)
      this.#read(child)
    }
    await started
  }

  async send (message: JSONRPCMessage): Promise<void> {
    if (this.#lines === undefined || this.#ended) throw new SwarmError('UNAVAILABLE', `the server ${this.#source.command} does not run`, { details: { sent: false } })
    if (!this.#lines.send(JSON.stringify(message))) await this.#lines.drained()
  }

  async close (): Promise<void> {
    this.#isClosing = true
    const child = this.#child
    if (child?.pid !== undefined && !this.#ended) {
      void this.#lines?.end() // not waited for: a server that does not read would keep us for ever
      if (!await this.#exitsWithin(CLOSE_MS_MAX)) signalGroup(child, 'SIGTERM')
      if (!await this.#exitsWithin(CLOSE_MS_MAX)) signalGroup(child, 'SIGKILL')
      await this.#exited
    }
    this.#end()
  }

  #read (child: ChildProcess): void {
    const pipe = new PipeStream(child)
    const lines = new LineStream(pipe, { lineBytesMax: SERVER_LINE_BYTES_MAX })
    this.#pipe = pipe
    this.#lines = lines
    lines.read({
      line: text => { this.#take(text) },
      closed: error => {
        if (error !== undefined) {
          this.#trouble ??= { reason: error.message, details: { stderr: [...this.#said] } }
          this.onerror?.(error)
        }
        void this.close()
      }
    })
    let partial = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const all = (partial + text).split('\n')
      partial = (all.pop() ?? '').slice(0, STDERR_LINE_CHARS_MAX)
      for (const line of all) this.#keep(line)
    }).on('end', () => { this.#keep(partial) })
  }

  /** Servers do print greetings and logs on stdout: kept with what they say on stderr, and otherwise ignored. */
  #take (text: string): void {
    let message: unknown
    try {
      message = JSON.parse(text)
    } catch {
      return this.#keep(text)
    }
    for (const one of Array.isArray(message) ? message : [message]) {
      if (isObject(one) && one['jsonrpc'] === '2.0') this.onmessage?.(one as unknown as JSONRPCMessage)
      else this.#keep(text)
    }
  }

  #keep (line: string): void {
    const plain = stripVTControlCharacters(line).replace(/\p{Cc}/gu, ' ').trim()
    if (plain === '') return
    this.#said.push(plain.slice(0, STDERR_LINE_CHARS_MAX))
    if (this.#said.length > STDERR_LINES_MAX) this.#said.shift()
  }

  async #bury (code: number | null, signal: string | null, expected: boolean): Promise<void> {
    const child = this.#child as ChildProcess
    signalGroup(child, 'SIGKILL') // what it has left behind
    await this.#lastWords(child)
    if (!expected) this.#trouble ??= this.#whyEnded(code, signal)
    forget(child)
    this.#end()
  }

  async #lastWords (child: ChildProcess): Promise<void> {
    await new Promise<void>(resolve => {
      const cancel = this.#clock.after(LAST_WORDS_MS_MAX, resolve)
      child.once('close', () => {
        cancel()
        resolve()
      })
    })
  }

  #whyEnded (code: number | null, signal: string | null): Trouble {
    const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`
    const last = lastOf(this.#said)
    return { reason: how, said: last, details: { exitCode: code, signal, stderr: [...this.#said] } }
  }

  #whyNotStarted (error: Error): Trouble {
    const { command, cwd } = this.#source
    const { code } = error as { code?: unknown }
    const details = { errorCode: code }
    if (cwd !== undefined && !existsSync(cwd)) return { reason: `its folder ${cwd} does not exist`, check: 'check "cwd"', details }
    if (code === 'ENOENT') {
      return { reason: `command ${JSON.stringify(command)} does not exist`, check: 'check its spelling, that it is installed, and that it is on the PATH', details }
    }
    if (code === 'EACCES') return { reason: `command ${JSON.stringify(command)} may not be run`, check: 'check that the file is executable', details }
    return { reason: `command ${JSON.stringify(command)} cannot be started: ${messageOf(error)}`, details }
  }

  async #exitsWithin (boundMs: number): Promise<boolean> {
    let cancel = (): void => {}
    const late = new Promise<boolean>(resolve => { cancel = this.#clock.after(boundMs, () => { resolve(false) }) })
    return await Promise.race([this.#exited.then(() => true), late]).finally(cancel)
  }

  #end (): void {
    if (this.#ended) return
    this.#ended = true
    this.#pipe?.finish()
    this.onclose?.()
  }
}

function lastOf<Item> (items: readonly Item[]): Item | undefined {
  return items[items.length - 1]
}

/** Children to end with this process, should it exit without closing them. */
const living = new Set<ChildProcess>()

function keepInMind (child: ChildProcess): void {
  if (living.size === 0) process.on('exit', endAll)
  living.add(child)
}

function forget (child: ChildProcess): void {
  if (living.delete(child) && living.size === 0) process.off('exit', endAll)
}

function endAll (): void {
  for (const child of living) signalGroup(child, 'SIGTERM')
}

function signalGroup (child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined) return
  if (process.platform === 'win32') {
    if (child.exitCode === null) spawn('taskkill', ['/pid', String(child.pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true }).on('error', () => child.kill())
    return
  }
  try {
    process.kill(-child.pid, signal)
  } catch (error) {
    const { code } = error as { code?: unknown }
    if (code !== 'ESRCH' && code !== 'EPERM') throw error // nobody left in the group, or (macOS) only what is exiting
  }
}
