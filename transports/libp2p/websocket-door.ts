/**
 * Bounds what a socket costs on a WebSocket port before it is a WebSocket. libp2p waits for its first byte and Node for the rest of its
 * request, for a minute or for ever and for any number of them, and only then are strangers counted (strangers.ts): whoever opens
 * sockets and says nothing could use up all files that this process may open.
 */
import type { IncomingMessage } from 'node:http'
import type { Server, Socket } from 'node:net'
import type { Listener } from '@libp2p/interface'
import type { Clock } from '../../lib/base/clock.ts'
import { HANDSHAKE_MS_MAX } from '../strangers.ts'
import type { Waiting } from '../strangers.ts'

/**
 * Longest message of a WebSocket, sent or taken, in bytes: some packets of Noise. Without it ws takes 100 MiB of whoever has proven
 * nothing.
 */
export const MESSAGE_BYTES_MAX = 256 * 2 ** 10

/** The parts of libp2p's listener that matter here; the package has them, and does not declare them. */
interface Door {
  readonly server: Server
  readonly wsServer: {
    readonly options: { maxPayload: number }
    /** Emits it when a request has become a WebSocket. */
    on: (name: 'headers', listener: (lines: string[], request: IncomingMessage) => void) => void
  }
}

/** @param waiting those of all doors of this peer */
export function watchDoor (listener: Listener, waiting: Waiting, clock: Clock): Listener {
  const { server, wsServer } = listener as unknown as Door
  wsServer.options.maxPayload = MESSAGE_BYTES_MAX
  const opening = new Map<Socket, () => void>()
  server.on('connection', socket => {
    const stranger = { abort: () => { socket.destroy() } }
    const cancel = clock.after(HANDSHAKE_MS_MAX, stranger.abort)
    const forget = (): void => {
      cancel()
      waiting.delete(stranger)
      opening.delete(socket)
    }
    opening.set(socket, forget)
    socket.once('close', forget)
    waiting.add(stranger)
  })
  wsServer.on('headers', (_lines, { socket }) => { opening.get(socket)?.() })
  const close = listener.close.bind(listener)
  listener.close = async (...args) => {
    for (const socket of [...opening.keys()]) socket.destroy() // libp2p would wait for them
    await close(...args)
  }
  return listener
}
