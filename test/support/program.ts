/** A script in a process of its own, spoken to in lines of JSON: `hosted.ts` is its side. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { within } from './within.ts'

/** Time for a script to do something, unless the test says otherwise. */
const ASK_MS = 20_000

/** Text of a script's complaints kept, for the message of a failure. */
const COMPLAINT_CHARS_MAX = 8_000

/** Something a script has told, with the moment it came in. */
export interface Told { readonly event: string, readonly atMs: number, readonly [name: string]: unknown }

export class Program {
  /** All that it has told, oldest first. */
  readonly told: Told[] = []
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #asked = new Map<number, { resolve: (answer: unknown) => void, reject: (error: Error) => void }>()
  readonly #waiting = new Set<() => void>()
  readonly #kill: () => void
  #complaints = ''
  /** By itself or by a signal: of the latter `exitCode` knows nothing. */
  #hasEnded = false
  #count = 0

  /** @param kill ends the process at once, by whatever way reaches it */
  constructor (command: string, args: readonly string[], env: NodeJS.ProcessEnv, kill: (child: { kill: (signal: NodeJS.Signals) => void }) => void) {
    const child = this.#child = spawn(command, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#kill = () => { kill(child) }
    child.stdin.on('error', () => { this.#wake() }) // it has ended: `ended` says so
    child.stderr.setEncoding('utf8').on('data', (text: string) => { this.#complaints = (this.#complaints + text).slice(-COMPLAINT_CHARS_MAX) })
    createInterface({ input: child.stdout }).on('line', line => { this.#hear(line) })
    this.ended = new Promise(resolve => {
      child.once('error', error => { this.#complaints += error.message })
      child.once('close', () => {
        this.#hasEnded = true
        for (const { reject } of this.#asked.values()) reject(this.#failure('it has ended'))
        this.#asked.clear()
        this.#wake()
        resolve()
      })
    })
  }

  /** What it has written on stderr, the last of it. */
  get complaints (): string {
    return this.#complaints
  }

  /** Asks for something by name; fails as the script does, or when that takes too long. */
  ask<Answer> (wish: string, what: Record<string, unknown> = {}, delayMs = ASK_MS): Promise<Answer> {
    const id = ++this.#count
    const answered = new Promise<unknown>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject })
      if (this.#hasEnded) reject(this.#failure('it has ended'))
    })
    this.#child.stdin.write(`${JSON.stringify({ id, wish, ...what })}\n`)
    const answer = this.#bounded(delayMs, wish, answered) as Promise<Answer>
    // What a test asked for and does not wait for any more, because it has failed already, must not hide why.
    answer.catch(() => undefined)
    return answer
  }

  /** Waits until something told is as claimed; what was told before counts. */
  async hear (event: string, claim: (told: Told) => boolean = () => true, delayMs = ASK_MS): Promise<Told> {
    const find = (): Told | undefined => this.told.find(told => told.event === event && claim(told))
    return await this.#bounded(delayMs, `hearing ${event}`, new Promise<Told>((resolve, reject) => {
      const look = (): void => {
        const found = find()
        if (found === undefined && !this.#hasEnded) return
        this.#waiting.delete(look)
        if (found === undefined) reject(this.#failure('it has ended'))
        else resolve(found)
      }
      this.#waiting.add(look)
      look()
    }))
  }

  /** Lets it end in order. */
  async end (delayMs = ASK_MS): Promise<void> {
    this.#child.stdin.end()
    await this.#bounded(delayMs, 'its end', this.ended)
  }

  /** Ends it at once, as a crash does. */
  async kill (): Promise<void> {
    this.#kill()
    await this.#bounded(ASK_MS, 'its death', this.ended)
  }

  #hear (line: string): void {
    const said = parse(line)
    if (said === undefined) {
      this.#complaints = `${this.#complaints}${line}\n`.slice(-COMPLAINT_CHARS_MAX)
      return
    }
    const { id, answer, error, event } = said as { id?: number, answer?: unknown, error?: string, code?: string, event?: string }
    if (event !== undefined) this.told.push({ ...said as object, event, atMs: performance.now() })
    if (id !== undefined) {
      const asked = this.#asked.get(id)
      this.#asked.delete(id)
      if (error === undefined) asked?.resolve(answer)
      else asked?.reject(Object.assign(new Error(error), { code: (said as { code?: string }).code }))
    }
    this.#wake()
  }

  #wake (): void {
    for (const look of [...this.#waiting]) look()
  }

  async #bounded<Value> (delayMs: number, what: string, work: Promise<Value>): Promise<Value> {
    try {
      return await within(delayMs, what, work)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes('not within')) throw error
      throw this.#failure(error.message)
    }
  }

  #failure (why: string): Error {
    return new Error(`a hosted script: ${why}${this.#complaints === '' ? '' : `\n${this.#complaints}`}`)
  }
}

function parse (line: string): unknown {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined // a print, for a person
  }
}
