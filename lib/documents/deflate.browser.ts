/** Raw DEFLATE (RFC 1951) by what every page has. */

/** Bytes given to a stream at once: bounds what it can have made before it is seen to be too much. */
const FEED_BYTES = 64 * 1024

/** @returns undefined where that is longer than `bytesMax` */
export async function deflate (bytes: Uint8Array, bytesMax: number): Promise<Uint8Array | undefined> {
  return await pass(bytes, new CompressionStream('deflate-raw'), bytesMax)
}

/** @returns undefined where there is more than `bytesMax`, as soon as that is seen @throws TypeError of bytes that are no such */
export async function inflate (bytes: Uint8Array, bytesMax: number): Promise<Uint8Array | undefined> {
  return await pass(bytes, new DecompressionStream('deflate-raw'), bytesMax)
}

async function pass (bytes: Uint8Array, through: CompressionStream | DecompressionStream, bytesMax: number): Promise<Uint8Array | undefined> {
  const writer = through.writable.getWriter()
  const reader = (through.readable as ReadableStream<Uint8Array>).getReader()
  const written = feed(writer, bytes)
  written.catch(() => undefined) // the reader is told of the same
  const parts: Uint8Array[] = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.byteLength
    if (length > bytesMax) {
      await Promise.allSettled([reader.cancel(), writer.abort()])
      return undefined
    }
    parts.push(value)
  }
  await written
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.byteLength
  }
  return whole
}

async function feed (writer: WritableStreamDefaultWriter, bytes: Uint8Array): Promise<void> {
  for (let start = 0; start < bytes.byteLength; start += FEED_BYTES) {
    await writer.ready
    await writer.write(bytes.subarray(start, start + FEED_BYTES))
  }
  await writer.close()
}
