/**
 * Yamux with four differences.
 *
 * Its windows never outgrow what one paused stream may buffer. It answers a new stream on behalf of the guard, which
 * decides per connection what protocols exist. It does not throw at a stream that still grants window on a connection which
 * is gone, as one does whose last bytes are read late: that may come from a microtask, where nobody catches. And a goodbye is answered: who closes
 * says goodbye and lets the other end close the socket. Closing it oneself while bytes are still coming makes TCP reset the
 * connection, and then the other end loses the last words, unread in its kernel.
 */
import type { Connection, MessageStream, Stream, StreamMuxer, StreamMuxerEvents, StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { CLOSE_MS_MAX, UNSENT_BYTES_MAX } from '../bounds.ts'
import type { Guard } from './guard.ts'

/** Streams one connection may hold open in each direction, all protocols together. */
export const STREAMS_MAX = 4_096

/** Streams that may arrive between a connection's handshake and our first look at it. */
const EARLY_STREAMS_MAX = 1_024

/** Largest receive window, so also what a paused stream may hold: 4 MiB in flight is 40 MB/s at 100 ms round trip. */
const WINDOW_BYTES_MAX = 4 * 2 ** 20

/** A quarter of yamux's first window: granting later costs half the frames and never keeps a sender waiting. */
const GRANT_BYTES = 64 * 2 ** 10

type YamuxStream = ReturnType<ReturnType<ReturnType<ReturnType<typeof yamux>>['createStreamMuxer']>['onCreateStream']>

const muxers = new WeakMap<readonly Stream[], StreamMuxer>()

export function guardedYamux (guard: Guard, clock: Clock): () => StreamMuxerFactory {
  const inner = yamux({
    maxInboundStreams: STREAMS_MAX,
    maxOutboundStreams: STREAMS_MAX,
    maxEarlyStreams: EARLY_STREAMS_MAX,
    streamOptions: {
      maxStreamWindowSize: WINDOW_BYTES_MAX,
      maxReadBufferLength: WINDOW_BYTES_MAX,
      maxWriteBufferLength: UNSENT_BYTES_MAX
    }
  })()
  return () => ({
    protocol: inner.protocol,
    createStreamMuxer (connection: MessageStream): StreamMuxer {
      const muxer = inner.createStreamMuxer(connection)
      const send = muxer.send.bind(muxer)
      const dispatch = muxer.safeDispatchEvent.bind(muxer)
      const create = muxer.onCreateStream.bind(muxer)
      const receive = muxer.onRemoteStream.bind(muxer)
      const endAll = muxer.onTransportClosed.bind(muxer)
      muxer.send = data => connection.status === 'open' && send(data)
      muxer.safeDispatchEvent = (type: keyof StreamMuxerEvents, init?: CustomEventInit) =>
        type === 'stream' ? guard.during(muxer.streams, () => dispatch(type, init)) : dispatch(type, init)
      muxer.onCreateStream = () => thrifty(create())
      muxer.onRemoteStream = stream => { receive(thrifty(stream)) }
      muxer.onTransportClosed = () => {
        endAll()
        if (connection.status === 'open') void closeOrAbort(connection, clock)
      }
      const plain = muxer as unknown as StreamMuxer
      muxers.set(muxer.streams, plain)
      return plain
    }
  })
}

/** Grants the other end new window only once this much was received: yamux itself answers every single frame with a grant. */
function thrifty (stream: YamuxStream): YamuxStream {
  const take = stream.handleData.bind(stream)
  const grant = stream.sendWindowUpdate.bind(stream)
  let ungranted = 0
  let isReceiving = false
  stream.handleData = frame => {
    ungranted += frame.header.length
    isReceiving = true
    try {
      take(frame)
    } finally {
      isReceiving = false
    }
  }
  stream.sendWindowUpdate = () => {
    if (isReceiving && ungranted < GRANT_BYTES) return
    if (stream.readStatus !== 'paused') ungranted = 0 // a paused stream grants nothing, and makes up for it on resume
    grant()
  }
  return stream
}

/**
 * Ends every stream of a connection after what it has queued, and asks the other end to close the connection.
 *
 * @param signal rejects when it fires: the other end takes no bytes
 */
export async function sayGoodbye (connection: Connection, signal: AbortSignal): Promise<void> {
  await muxers.get(connection.streams)?.close({ signal })
}

async function closeOrAbort (connection: MessageStream, clock: Clock): Promise<void> {
  const bound = deadline(clock, CLOSE_MS_MAX)
  try {
    await connection.close({ signal: bound.signal })
  } catch (cause) {
    connection.abort(new SwarmError('CLOSED', 'the connection did not close', { cause }))
  } finally {
    bound.done()
  }
}
