/** A few lines said to a stranger, and heard of one: what hello and redemption have in common. Bounded by whoever makes the signal. */
import { SwarmError } from '../base/error.ts'
import { LineStream } from '../base/line.ts'
import type { ByteStream } from '../base/network.ts'

export interface TalkOptions {
  /** Longest line heard, in bytes. */
  readonly lineBytesMax: number
  /** Words kept of the other end, its end among them. What it says beyond them is not held. */
  readonly wordsMax: number
  /** Ends every wait. */
  readonly signal: AbortSignal
  /** What it means that the other end is gone. */
  readonly gone: (cause?: unknown) => SwarmError
}

/**
 * What the other end says on a stream, word for word: each call gives its next line, or undefined once it has ended its
 * side. Never hangs: the signal fires at the latest at the deadline.
 */
export function listen (stream: ByteStream, { lineBytesMax, wordsMax, signal, gone }: TalkOptions): () => Promise<string | undefined> {
  const heard: (string | undefined | Error)[] = []
  let wake = (): void => undefined
  const take = (word: string | undefined | Error): void => {
    if (heard.length < wordsMax) heard.push(word)
    wake()
  }
  new LineStream(stream, { lineBytesMax }).read({
    line: take,
    ended: () => { take(undefined) },
    closed: error => { take(error instanceof SwarmError && (error.code === 'MALFORMED' || error.code === 'TOO_LARGE') ? error : gone(error)) }
  })
  return async () => {
    if (heard.length === 0 && !signal.aborted) {
      await new Promise<void>(resolve => {
        wake = resolve
        signal.addEventListener('abort', () => { resolve() }, { once: true })
      })
    }
    if (heard.length === 0) throw new SwarmError('ABORTED', `a wait on ${stream.protocol} ended`, { cause: signal.reason })
    const word = heard.shift()
    if (word instanceof Error) throw word
    return word
  }
}

/** Sends a whole line at once; one line always fits into what a fresh stream takes. */
export function send (stream: ByteStream, line: Uint8Array, gone: (cause?: unknown) => SwarmError): void {
  try {
    stream.send(line)
  } catch (cause) {
    throw gone(cause)
  }
}

/** Ends our side, after what was sent. */
export function end (stream: ByteStream, gone: (cause?: unknown) => SwarmError): void {
  stream.end().catch((cause: unknown) => { stream.abort(gone(cause)) })
}
