/**
 * Yamux with three differences.
 *
 * Its windows never outgrow what one paused stream may buffer. It answers a new stream on behalf of the guard, which
 * decides per connection what protocols exist. And it never throws from a detached microtask: yamux announces a new stream
 * in one, so that a connection which breaks in between would take the process down.
 */
import type { MessageStream, Stream, StreamMuxer, StreamMuxerEvents, StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import { UNSENT_BYTES_MAX } from '../bounds.ts'
import type { Guard } from './guard.ts'

/** Streams one connection may hold open in each direction, all protocols together. */
export const STREAMS_MAX = 4_096

/** Streams that may arrive between a connection's handshake and our first look at it. */
const EARLY_STREAMS_MAX = 1_024

/** Largest receive window, so also what a paused stream may hold: 4 MiB in flight is 40 MB/s at 100 ms round trip. */
const WINDOW_BYTES_MAX = 4 * 2 ** 20

export function guardedYamux (guard: Guard): () => StreamMuxerFactory {
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
      muxer.send = data => connection.status === 'open' && send(data)
      const dispatch = muxer.safeDispatchEvent.bind(muxer)
      muxer.safeDispatchEvent = (type: keyof StreamMuxerEvents, init?: CustomEventInit) =>
        type === 'stream' ? guard.during(muxer.streams as Stream[], () => dispatch(type, init)) : dispatch(type, init)
      return muxer as unknown as StreamMuxer
    }
  })
}
