/**
 * libp2p's WebSocket transport, made fit for strangers.
 *
 * It leaves a socket without anyone listening for errors, so that in Node one malformed frame from anybody would end the
 * process. It aborts a connection by closing the socket with code 1006, which no WebSocket lets itself be asked for: the
 * error is swallowed, the socket stays open, and the other end notices seconds later. Whoever fails to shake hands is asked to go, and
 * stays for half a minute if it does not. And all that is to be sent goes in one message, however much has gathered.
 */
import type { MultiaddrConnection, Transport, Upgrader } from '@libp2p/interface'
import { webSockets } from '@libp2p/websockets'
import type { Clock } from '../../lib/base/clock.ts'
import { isPage } from '#platform'
import { HANDSHAKES_MAX, Waiting } from '../strangers.ts'
import type { Components } from './guard.ts'
import { MESSAGE_BYTES_MAX, watchDoor } from './websocket-door.ts'

/** The parts of a WebSocket, a page's or Node's, that matter here. */
interface Socket {
  close: () => void
  /** Only in Node: cuts the socket. In a page it says goodbye in the background. */
  terminate?: () => void
  addEventListener: (name: 'error', listener: () => void) => void
}

export function calmWebSockets (clock: Clock): (components: Components) => Transport {
  return components => calmed(webSockets()(components), clock)
}

function calmed (transport: Transport, clock: Clock): Transport {
  const waiting = new Waiting(HANDSHAKES_MAX, 'open a WebSocket')
  const dial = transport.dial.bind(transport)
  const createListener = transport.createListener.bind(transport)
  transport.dial = async (address, options) => await dial(address, { ...options, upgrader: calming(options.upgrader) }).catch((thrown: unknown) => {
    throw thrown instanceof Error ? thrown : new Error(wordsOf(thrown))
  })
  transport.createListener = options => watchDoor(createListener({ ...options, upgrader: calming(options.upgrader) }), waiting, clock)
  return transport
}

function calming (upgrader: Upgrader): Upgrader {
  return new Proxy(upgrader, {
    get (target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return (connection: MultiaddrConnection, ...rest: unknown[]): unknown => {
        if (name === 'upgradeInbound' || name === 'upgradeOutbound') calm(connection)
        const result: unknown = Reflect.apply(member, target, [connection, ...rest])
        return name === 'upgradeInbound' ? cutting(connection, result as Promise<unknown>) : result
      }
    }
  })
}

/** Whoever fails to shake hands is not asked to go. */
async function cutting (connection: MultiaddrConnection, upgraded: Promise<unknown>): Promise<unknown> {
  try {
    return await upgraded
  } catch (error) {
    connection.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}

/** A WebSocket that does not open rejects with an event, in a page without a word, and in newer releases of Node without one that says why. */
function wordsOf (event: unknown): string {
  const { message } = event as { message?: unknown }
  const isTold = typeof message === 'string' && message !== '' && !message.includes('network error or non-101')
  return isTold ? message : `the WebSocket does not open: nothing listens there, or ${isPage ? 'this page may not reach it' : 'no peer of this kind'}`
}

function calm (connection: MultiaddrConnection): void {
  const { websocket } = connection as unknown as { websocket: Socket }
  websocket.addEventListener('error', () => { connection.abort(new Error('the WebSocket failed')) })
  Object.assign(connection, {
    maxMessageSize: MESSAGE_BYTES_MAX,
    sendReset: () => {
      if (websocket.terminate === undefined) websocket.close()
      else websocket.terminate()
    }
  })
}
