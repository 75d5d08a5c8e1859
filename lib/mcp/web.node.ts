/** Between Node's HTTP and the web's Request and Response, which the SDK's servers take and give. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/**
 * Bytes held for a client that reads slower than it is told, before the message that is one too many. A larger message alone
 * does not count: who reads takes it.
 */
export const RESPONSE_BYTES_HELD_MAX = 32 * 2 ** 20

/**
 * Reads a body to its end.
 *
 * @returns undefined where it has over `bytesMax` bytes: the rest is read and dropped, so that the client comes to read an answer
 */
export async function readBody (incoming: IncomingMessage, bytesMax: number): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes <= bytesMax) chunks.push(chunk)
    else chunks.length = 0
  }
  return bytes > bytesMax ? undefined : Buffer.concat(chunks).toString('utf8')
}

/**
 * The head of a request, without its body, and without its Authorization, which is the gateway's alone.
 *
 * @param over fires when the exchange has ended
 */
export function headOf ({ headers, method = 'GET' }: IncomingMessage, url: string, over: AbortSignal): Request {
  const { authorization, ...others } = headers
  const pairs = Object.entries(others).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value ?? ''] as [string, string])
  return new Request(url, { method, headers: pairs, signal: over })
}

/** Sends a response to its end, or for as long as the client is there and reads; then its source is cancelled. */
export async function send (response: Response, outgoing: ServerResponse): Promise<void> {
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  outgoing.flushHeaders()
  const reader = (response.body as ReadableStream<Uint8Array> | null)?.getReader()
  if (reader === undefined) {
    outgoing.end()
    return
  }
  const cancel = (): void => { void reader.cancel().catch(() => undefined) } // it has ended already, in an error that `read` throws
  if (outgoing.destroyed) cancel()
  outgoing.once('close', cancel)
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    if (outgoing.writableLength > RESPONSE_BYTES_HELD_MAX) outgoing.destroy()
    if (outgoing.destroyed) break
    outgoing.write(value)
  }
  outgoing.end()
}
