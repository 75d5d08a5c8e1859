/**
 * What libp2p 3 takes for granted and Node 20 lacks; loaded before libp2p. Nothing happens on newer Nodes.
 */
import { WebSocket } from 'ws'

interface Resolvers { promise: Promise<unknown>, resolve: (value: unknown) => void, reject: (reason: unknown) => void }

const promises = Promise as unknown as { withResolvers?: () => Resolvers }
promises.withResolvers ??= function withResolvers (): Resolvers {
  const resolvers: Partial<Resolvers> = {}
  resolvers.promise = new Promise((resolve, reject) => { Object.assign(resolvers, { resolve, reject }) })
  return resolvers as Resolvers
}

/** As a page's: an error that nobody listens for is not thrown. */
class PageWebSocket extends WebSocket {
  constructor (address: string | URL, protocols?: string | string[]) {
    super(address, protocols)
    this.on('error', () => { this.terminate() })
  }
}

const globals = globalThis as unknown as { WebSocket?: unknown }
globals.WebSocket ??= PageWebSocket
