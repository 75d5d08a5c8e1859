/** A child process's stdin and stdout as one byte stream. */
import type { ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { SwarmError } from '../base/error.ts'
import type { ByteStream, StreamReader } from '../base/network.ts'

export class PipeStream implements ByteStream {
  readonly protocol = 'stdio'
  readonly #input: Writable
  readonly #output: Readable
  #reader: StreamReader | undefined
  #error: Error | undefined
  #finished = false

  constructor (child: ChildProcess) {
    if (child.stdin === null || child.stdout === null) throw new SwarmError('SERVER_FAILED', 'a child process without pipes')
    this.#input = child.stdin
    this.#output = child.stdout
    // a child that has gone: `closed` tells of that, after its exit
    this.#input.on('error', error => { this.#error ??= error })
    this.#output.on('error', error => { this.#error ??= error })
  }

  send (bytes: Uint8Array): boolean {
    if (!this.#input.writable) throw new SwarmError('CLOSED', 'the server has closed its stdin')
    return this.#input.write(bytes)
  }

  async drained (): Promise<void> {
    if (!this.#input.writableNeedDrain) return
    await new Promise<void>((resolve, reject) => {
      const stop = (settle: () => void) => () => {
        this.#input.off('drain', drained).off('close', closed)
        settle()
      }
      const drained = stop(resolve)
      const closed = stop(() => { reject(new SwarmError('CLOSED', 'the server has closed its stdin', { cause: this.#error })) })
      this.#input.on('drain', drained).on('close', closed)
    })
  }

  read (reader: StreamReader): void {
    this.#reader = reader
    this.#output.on('data', (bytes: Uint8Array) => { reader.data(bytes) })
    this.#output.on('end', () => { reader.ended() })
  }

  pause (): void {
    this.#output.pause()
  }

  resume (): void {
    this.#output.resume()
  }

  async end (): Promise<void> {
    this.#input.end()
  }

  abort (_error: Error): void {
    this.#finished = true
    this.#input.destroy()
    this.#output.destroy()
  }

  /** The child has gone: nothing more comes. */
  finish (): void {
    if (this.#finished) return
    this.#finished = true
    this.#input.destroy()
    this.#output.destroy()
    this.#reader?.closed()
  }
}
