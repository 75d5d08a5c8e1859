/** What one peer sends: messages from its stream, in order, held back while one is being unpacked; bounded in bytes and in time. */
import type { Clock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { ByteStream } from '../base/network.ts'
import { FrameReader, type Large } from './frame.ts'
import { unpack } from './pack.ts'

/** How long a message that has begun may take: this many milliseconds, and as long as its bytes take at RATE_BYTES a second. */
export const MESSAGE_MS_MAX = 15_000
export const RATE_BYTES = 64 * 1024

export interface InletOptions {
  readonly clock: Clock
  /** A SwarmError that it throws resets the stream. */
  readonly message: (bytes: Uint8Array) => void
  /** The stream has ended; `error` unless it did in order. */
  readonly closed: (error?: Error) => void
}

/** Reads a stream of documents to its end. */
export function readInlet (stream: ByteStream, { clock, message, closed }: InletOptions): void {
  const reader = new FrameReader()
  let waiting: (Uint8Array | Large)[] = []
  let isBusy = false
  let isClosed = false
  let cancel: (() => void) | undefined
  let sinceMs = 0

  const fail = (error: unknown): void => {
    waiting = []
    stream.abort(error instanceof Error ? error : new Error(messageOf(error)))
    if (!(error instanceof SwarmError)) throw error
  }
  /** Hands on what is complete; while a large message is unpacked, its sender waits. */
  const hand = (): void => {
    for (let next = waiting.shift(); next !== undefined && !isClosed; next = waiting.shift()) {
      if (next instanceof Uint8Array) message(next)
      else if (!next.isPacked) message(next.bytes)
      else return handPacked(next)
    }
  }
  const handPacked = (packed: Large): void => {
    isBusy = true
    stream.pause()
    unpack(packed).then(bytes => {
      isBusy = false
      if (isClosed) return
      message(bytes)
      hand()
      if (!isBusy) stream.resume()
    }).catch(fail)
  }
  /** A message that has begun must end in time. */
  const watch = (isNew: boolean): void => {
    if (isNew || !reader.isAmid) {
      cancel?.()
      cancel = undefined
    }
    if (!reader.isAmid || isClosed) return
    if (cancel === undefined) sinceMs = clock.nowMs()
    else cancel()
    const boundMs = MESSAGE_MS_MAX + reader.awaited / RATE_BYTES * 1_000
    cancel = clock.after(sinceMs + boundMs - clock.nowMs(), () => {
      fail(new SwarmError('TIMEOUT', `a message about documents took over ${Math.round(boundMs)} ms`))
    })
  }

  stream.read({
    data: bytes => {
      if (isClosed) return
      try {
        const messages = reader.take(bytes)
        watch(messages.length > 0)
        waiting.push(...messages)
        if (!isBusy) hand()
      } catch (error) {
        fail(error)
      }
    },
    ended: () => {
      if (reader.isAmid) return fail(new SwarmError('MALFORMED', 'a stream about documents ended inside a message'))
      stream.end().catch(fail)
    },
    closed: error => {
      isClosed = true
      cancel?.()
      closed(error)
    }
  })
}
