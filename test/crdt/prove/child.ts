/** Writers in processes of their own, ended by force. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SOURCE_ARGS } from '../../support/source.ts'
import { within } from '../../support/within.ts'
import { readAcknowledged, type Acknowledged, type Verdict } from './folder.ts'

const PROGRAM = fileURLToPath(new URL('./writer.ts', import.meta.url))
const BOUND_MS = 60_000

export interface Writer {
  readonly process: ChildProcess
  /** Resolves once something was acknowledged. */
  readonly begun: Promise<void>
  /** Resolves with all that was acknowledged, once the process has ended and its output is read. @throws if it ended by itself otherwise than by force */
  readonly ended: Promise<Acknowledged>
}

export function startWriter (...args: readonly string[]): Writer {
  const child = spawn(process.execPath, [...SOURCE_ARGS, PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [output, errors] = ['', '']
  child.stderr.on('data', (chunk: Buffer) => { errors += chunk.toString() })
  const begun = within(BOUND_MS, 'the first acknowledgement', new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      resolve()
    })
    child.once('close', () => { reject(new Error(`the writer ended before it acknowledged anything: ${errors}`)) })
  }))
  begun.catch(() => undefined) // whoever waits is told
  const ended = once(child, 'close').then(([, signal]) => {
    if (signal !== 'SIGKILL') throw new Error(`the writer failed: ${errors}`)
    return readAcknowledged(output)
  })
  ended.catch(() => undefined) // whoever waits is told
  return { process: child, begun, ended }
}

const JUDGE = fileURLToPath(new URL('./judge.ts', import.meta.url))

/** Judges folders in a process of its own, and in another one after that has come to an end. */
export class Judge {
  #child: ChildProcess | undefined
  #lines: Interface | undefined

  /** A process that came to an end over it has failed: it told nobody, and took everything else with it. */
  async ask (folder: string, acknowledged: Acknowledged): Promise<Verdict> {
    const child = this.#child ??= spawn(process.execPath, [...SOURCE_ARGS, JUDGE], { stdio: ['pipe', 'pipe', 'pipe'] })
    const lines = this.#lines ??= createInterface({ input: child.stdout as NodeJS.ReadableStream })
    let errors = ''
    const hear = (chunk: Buffer): void => { errors += chunk.toString() }
    child.stderr?.on('data', hear)
    child.stdin?.write(`${JSON.stringify({ folder, acknowledged: [...acknowledged] })}\n`)
    return await within(BOUND_MS, 'a verdict', new Promise<Verdict>(resolve => {
      const onLine = (line: string): void => {
        child.off('close', onClose)
        child.stderr?.off('data', hear)
        resolve(JSON.parse(line) as Verdict)
      }
      const onClose = (code: number | null, signal: string | null): void => {
        lines.off('line', onLine)
        this.#child = this.#lines = undefined
        resolve({ kind: 'failed', how: `the process ended with ${signal ?? code}: ${errors.trim().split('\n').at(0) ?? ''}` })
      }
      lines.once('line', onLine)
      child.once('close', onClose)
    }))
  }

  end (): void {
    this.#child?.stdin?.end()
    this.#child = undefined
  }
}
