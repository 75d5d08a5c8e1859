import { textOf, utf8 } from '../../lib/base/bytes.ts'
import { concatBytes } from '../../lib/base/bytes.ts'
import type { ByteStream } from '../../lib/base/network.ts'

/** What a stream told its reader, as promises. */
export interface Reading {
  /** Everything received, once the other end has ended. */
  readonly whole: Promise<Uint8Array>
  /** The error the stream closed with, or undefined for an orderly close. */
  readonly closed: Promise<Error | undefined>
  /** What happened, in order: `data`, `ended`, `closed`. Consecutive data is one. */
  readonly events: string[]
  text (): string
}

/** Reads a stream from now on. */
export function readAll (stream: ByteStream): Reading {
  const parts: Uint8Array[] = []
  const events: string[] = []
  let whole = (_bytes: Uint8Array): void => {}
  let closed = (_error: Error | undefined): void => {}
  const reading: Reading = {
    whole: new Promise(resolve => { whole = resolve }),
    closed: new Promise(resolve => { closed = resolve }),
    events,
    text: () => textOf(concatBytes(...parts))
  }
  stream.read({
    data (bytes) {
      parts.push(bytes)
      if (events.at(-1) !== 'data') events.push('data')
    },
    ended () {
      events.push('ended')
      whole(concatBytes(...parts))
    },
    closed (error) {
      events.push('closed')
      closed(error)
    }
  })
  return reading
}

/** Sends everything, waiting whenever the stream says so. */
export async function sendAll (stream: ByteStream, bytes: Uint8Array, chunkBytes = 64 * 2 ** 10): Promise<void> {
  for (let start = 0; start < bytes.byteLength; start += chunkBytes) {
    if (!stream.send(bytes.subarray(start, start + chunkBytes))) await stream.drained()
  }
}

export function sendText (stream: ByteStream, text: string): void {
  stream.send(utf8(text))
}
