import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/server'
import { asError } from './gateway-client.ts'
import { isListen, type Subscriptions } from './gateway-subscriptions.ts'
import type { RpcId } from './wire.ts'

/** A client's transport, without its subscriptions, which are served here; and with its end to wait for. */
export class Wire implements Transport {
  onmessage?: Transport['onmessage']
  onerror?: (error: Error) => void
  onclose?: () => void
  readonly closed: Promise<void>
  readonly #inner: Transport
  readonly #subscriptions: Subscriptions
  readonly #report: (error: Error) => void
  readonly #open = new Map<RpcId, { readonly stop: () => void, readonly finish: () => void }>()
  #end = (): void => {}

  constructor (inner: Transport, subscriptions: Subscriptions, report: (error: Error) => void) {
    this.#inner = inner
    this.#subscriptions = subscriptions
    this.#report = report
    this.closed = new Promise(resolve => { this.#end = resolve })
  }

  async start (): Promise<void> {
    this.#inner.onmessage = (message, extra) => { if (!this.#takes(message)) this.onmessage?.(message, extra) }
    this.#inner.onerror = error => { this.onerror?.(error) }
    this.#inner.onclose = () => {
      this.#over()
      this.onclose?.()
    }
    try {
      await this.#inner.start()
    } catch (error) {
      this.#over()
      throw error
    }
  }

  async send (...message: Parameters<Transport['send']>): Promise<void> {
    await this.#inner.send(...message)
  }

  /** Ends every subscription in order: the client is told. */
  finish (): void {
    for (const { finish } of this.#open.values()) finish()
    this.#open.clear()
  }

  async close (): Promise<void> {
    await this.#inner.close()
    this.#over()
  }

  #takes (message: JSONRPCMessage): boolean {
    if (isListen(message)) {
      const { id } = message
      this.#open.get(id)?.stop()
      const opened = this.#subscriptions.open(message, told => { this.#inner.send(told as unknown as JSONRPCMessage).catch((error: unknown) => { this.#report(asError(error)) }) })
      if (opened === undefined) this.#open.delete(id)
      else this.#open.set(id, opened)
      return true
    }
    if (!('method' in message) || message.method !== 'notifications/cancelled') return false
    const { requestId } = (message.params ?? {}) as { requestId?: RpcId }
    const opened = requestId === undefined ? undefined : this.#open.get(requestId)
    if (opened === undefined || requestId === undefined) return false
    opened.stop()
    return this.#open.delete(requestId)
  }

  #over (): void {
    for (const { stop } of this.#open.values()) stop()
    this.#open.clear()
    this.#subscriptions.close()
    this.#end()
  }
}
