/** Who hears of updates of which resource of a server: one subscription at the server for all of them, renewed when it restarts. */
import { SwarmError, messageOf } from '../base/error.ts'
import type { ServerSession } from './session.ts'

/** Resources of one server that are subscribed to. */
export const SUBSCRIBED_MAX = 1_000

interface Watch {
  readonly listeners: Set<(uri: string) => void>
  readonly started: Promise<void>
}

export class Updates {
  readonly #watches = new Map<string, Watch>()
  readonly #report: (message: string) => void
  #session: ServerSession | undefined

  /** @param report hears of a subscription that could not be renewed or ended */
  constructor (report: (message: string) => void) {
    this.#report = report
  }

  /** How many resources are heard of. */
  get size (): number {
    return this.#watches.size
  }

  /** The server serves, again perhaps. */
  attach (session: ServerSession): void {
    this.#session = session
    for (const uri of this.#watches.keys()) {
      session.subscribe(uri).catch((error: unknown) => { this.#report(`cannot hear of ${uri} again: ${messageOf(error)}`) })
    }
  }

  detach (): void {
    this.#session = undefined
  }

  /** @throws SwarmError UNAVAILABLE, OVERLOADED; the server's own refusal */
  async add (uri: string, listener: (uri: string) => void): Promise<() => void> {
    let watch = this.#watches.get(uri)
    if (watch === undefined) {
      const session = this.#session
      if (session === undefined) throw new SwarmError('UNAVAILABLE', 'the server is down', { details: { sent: false } })
      if (this.#watches.size >= SUBSCRIBED_MAX) throw new SwarmError('OVERLOADED', `${SUBSCRIBED_MAX} resources are subscribed to; that is the limit`, { details: { sent: false } })
      watch = { listeners: new Set(), started: session.subscribe(uri) }
      this.#watches.set(uri, watch)
    }
    const { listeners, started } = watch
    const heard = (changed: string): void => { listener(changed) } // one that listens twice is two
    listeners.add(heard)
    const stop = (): void => {
      if (!listeners.delete(heard) || listeners.size > 0 || this.#watches.get(uri)?.listeners !== listeners) return
      this.#watches.delete(uri)
      this.#session?.unsubscribe(uri).catch((error: unknown) => { this.#report(`cannot stop hearing of ${uri}: ${messageOf(error)}`) })
    }
    try {
      await started
      return stop
    } catch (error) {
      listeners.delete(heard)
      if (this.#watches.get(uri)?.listeners === listeners) this.#watches.delete(uri)
      throw error
    }
  }

  /** @param uri of the resource that changed: one subscribed to, or one below it. Source: MCP 2025-11-25, resources, subscriptions */
  told (uri: string): void {
    for (const [watched, { listeners }] of this.#watches) {
      if (uri === watched || uri.startsWith(watched.endsWith('/') ? watched : `${watched}/`)) for (const listener of listeners) listener(uri)
    }
  }
}
