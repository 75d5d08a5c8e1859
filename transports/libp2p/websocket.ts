/**
 * libp2p's WebSocket transport, made fit for strangers.
 *
 * It leaves a socket without anyone listening for errors, so that in Node one malformed frame from anybody would end the
 * process. And it aborts a connection by closing the socket with code 1006, which no WebSocket lets itself be asked for: the
 * error is swallowed, the socket stays open, and the other end notices seconds later.
 */
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { webSockets } from '@libp2p/websockets'
import type { Components } from './guard.ts'

/** The parts of a WebSocket, a page's or Node's, that matter here. */
interface Socket {
  close: () => void
  /** Only in Node: cuts the socket. In a page it says goodbye in the background. */
  terminate?: () => void
  addEventListener: (name: 'error', listener: () => void) => void
}

export function calmWebSockets (components: Components): Transport {
  const transport = webSockets()(components)
  const dial = transport.dial.bind(transport)
  const createListener = transport.createListener.bind(transport)
  transport.dial = async (address, options) => await dial(address, { ...options, upgrader: calmed(options.upgrader) }).catch((thrown: unknown) => {
    throw thrown instanceof Error ? thrown : new Error(wordsOf(thrown))
  })
  transport.createListener = options => createListener({ ...options, upgrader: calmed(options.upgrader) })
  return transport
}

function calmed (upgrader: Upgrader): Upgrader {
  return new Proxy(upgrader, {
    get (target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (connection: MultiaddrConnection, ...rest: unknown[]): unknown => {
        if (name === 'upgradeInbound' || name === 'upgradeOutbound') calm(connection)
        return Reflect.apply(member, target, [connection, ...rest])
      }
    }
  })
}

/** A WebSocket that does not open rejects with an event, in a page without a word. */
function wordsOf (event: unknown): string {
  const { message } = event as { message?: unknown }
  return typeof message === 'string' && message !== '' ? message : 'the WebSocket does not open: nothing listens there, or this page may not reach it'
}

function calm (connection: MultiaddrConnection): void {
  const { websocket } = connection as unknown as { websocket: Socket }
  websocket.addEventListener('error', () => { connection.abort(new Error('the WebSocket failed')) })
  Object.assign(connection, {
    sendReset: () => {
      if (websocket.terminate === undefined) websocket.close()
      else websocket.terminate()
    }
  })
}
