/** A byte stream whose other end is the test: it sees what was sent, and says what arrives, when, and in which pieces. */
import type { ByteStream, StreamReader } from '../../lib/base/network.ts'

export class ScriptedStream implements ByteStream {
  readonly protocol = '/test/1.0.0'
  readonly sent: Uint8Array[] = []
  /** What happened, in order: pause, resume, end, abort. */
  readonly events: string[] = []
  /** While true, `send` says false and `drained` waits for `drain`. */
  full = false
  endsWith: Error | undefined
  reader: StreamReader | undefined
  #waiting: { resolve: () => void, reject: (error: Error) => void }[] = []

  send (bytes: Uint8Array): boolean {
    this.sent.push(bytes)
    return !this.full
  }

  async drained (): Promise<void> {
    if (this.full) await new Promise<void>((resolve, reject) => { this.#waiting.push({ resolve, reject }) })
  }

  /** The other end has read. */
  drain (): void {
    this.full = false
    for (const { resolve } of this.#waiting.splice(0)) resolve()
  }

  read (reader: StreamReader): void {
    this.reader = reader
  }

  pause (): void { this.events.push('pause') }
  resume (): void { this.events.push('resume') }

  async end (): Promise<void> {
    this.events.push('end')
    if (this.endsWith !== undefined) throw this.endsWith
  }

  abort (error: Error): void {
    this.events.push('abort')
    for (const { reject } of this.#waiting.splice(0)) reject(error)
    this.reader?.closed(error)
  }

  /** Everything sent so far, as text. */
  get text (): string {
    return new TextDecoder().decode(Buffer.concat(this.sent))
  }
}
