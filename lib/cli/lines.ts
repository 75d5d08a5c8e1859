/** Newline-delimited text over Node's streams, bounded: the framing of stdio and of the control socket. */
import type { Duplex, Readable, Writable } from 'node:stream'
import { SwarmError } from 'mcp-swarm'

/** Longest line read, in bytes: that of every other stream of ours. */
export const LINE_BYTES_MAX = 4 * 2 ** 20

const NEWLINE = 10

/**
 * The lines of a stream until it ends; what follows the last newline is no line. Reads no faster than it is asked.
 *
 * @throws SwarmError TOO_LARGE over LINE_BYTES_MAX; whatever the stream fails with
 */
export async function * readLines (source: Readable): AsyncGenerator<string, void, void> {
  let parts: Buffer[] = []
  let held = 0
  for await (const chunk of source as AsyncIterable<Buffer>) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      if (held + end - start > LINE_BYTES_MAX) throw tooLarge()
      const line = parts.length === 0 ? chunk.toString('utf8', start, end) : Buffer.concat([...parts, chunk.subarray(start, end)]).toString('utf8')
      parts = []
      held = 0
      start = end + 1
      yield line
    }
    if (start === chunk.byteLength) continue
    parts.push(chunk.subarray(start))
    held += chunk.byteLength - start
    if (held > LINE_BYTES_MAX) throw tooLarge()
  }
}

/** Reads the first line and leaves the rest to whoever reads next. Undefined when the stream ends first. @throws SwarmError TOO_LARGE */
export async function readFirstLine (source: Duplex): Promise<string | undefined> {
  return await new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let held = 0
    const stop = (): void => { source.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError) }
    const onEnd = (): void => {
      stop()
      resolve(undefined)
    }
    const onError = (error: Error): void => {
      stop()
      reject(error)
    }
    // Not by 'data': a stream that has flowed and is paused does not flow again for a later reader.
    const onReadable = (): void => {
      for (let chunk = source.read() as Buffer | null; chunk !== null; chunk = source.read() as Buffer | null) {
        const end = chunk.indexOf(NEWLINE)
        parts.push(end === -1 ? chunk : chunk.subarray(0, end))
        held += end === -1 ? chunk.byteLength : end
        if (held > LINE_BYTES_MAX) return onError(tooLarge())
        if (end === -1) continue
        stop()
        if (end + 1 < chunk.byteLength) source.unshift(chunk.subarray(end + 1))
        return resolve(Buffer.concat(parts).toString('utf8'))
      }
    }
    source.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError)
  })
}

/** All of a stream until it ends, as text. @throws SwarmError TOO_LARGE over LINE_BYTES_MAX: whatever holds more cannot be asked for either */
export async function readAll (source: Readable): Promise<string> {
  const parts: Buffer[] = []
  let held = 0
  for await (const chunk of source as AsyncIterable<Buffer>) {
    held += chunk.byteLength
    if (held > LINE_BYTES_MAX) throw new SwarmError('TOO_LARGE', `standard input is over the limit of ${LINE_BYTES_MAX} bytes`)
    parts.push(chunk)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** Sends a line; resolves when the stream takes more, or is gone. */
export async function writeLine (to: Writable, line: string): Promise<void> {
  if (to.destroyed || to.writableEnded || to.write(`${line}\n`)) return
  await new Promise<void>(resolve => {
    const done = (): void => {
      to.off('drain', done).off('close', done)
      resolve()
    }
    to.on('drain', done).on('close', done)
  })
}

function tooLarge (): SwarmError {
  return new SwarmError('TOO_LARGE', `a line is over the limit of ${LINE_BYTES_MAX} bytes`)
}
