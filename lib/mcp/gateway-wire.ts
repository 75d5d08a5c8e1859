import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server'

/** A transport with its end to wait for, and a look at what comes in: `serveStdio` keeps both to itself. */
export class Wire implements Transport {
  onmessage?: Transport['onmessage']
  onerror?: (error: Error) => void
  onclose?: () => void
  readonly closed: Promise<void>
  readonly #inner: Transport
  readonly #look: (message: JSONRPCMessage) => void
  #end = (): void => {}

  constructor (inner: Transport, look: (message: JSONRPCMessage) => void) {
    this.#inner = inner
    this.#look = look
    this.closed = new Promise(resolve => { this.#end = resolve })
  }

  async start (): Promise<void> {
    this.#inner.onmessage = (message, extra) => {
      this.#look(message)
      this.onmessage?.(message, extra)
    }
    this.#inner.onerror = error => { this.onerror?.(error) }
    this.#inner.onclose = () => {
      this.#end()
      this.onclose?.()
    }
    try {
      await this.#inner.start()
    } catch (error) {
      this.#end()
      throw error
    }
  }

  async send (...message: Parameters<Transport['send']>): Promise<void> {
    await this.#inner.send(...message)
  }

  async close (): Promise<void> {
    await this.#inner.close()
    this.#end()
  }
}
