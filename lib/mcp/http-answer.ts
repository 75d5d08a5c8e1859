import type { Clock } from '../base/clock.ts'
import type { JsonObject } from '../base/json.ts'

/** What no server of the SDK answers: a refusal before a request has reached one, as JSON-RPC and HTTP both ask. */
const REFUSED = -32000

/**
 * @param status of HTTP, 400 and above
 * @param message for a person: what was wrong, or what to do
 * @param code of JSON-RPC
 * @param id of the request, where that much of it was read
 */
export function refusal (status: number, message: string, code = REFUSED, headers: Readonly<Record<string, string>> = {}, id: unknown = null): Response {
  return Response.json({ jsonrpc: '2.0', error: { code, message }, id }, { status, headers })
}

/** How often a stream on which nothing is told shows that it lives, in milliseconds: what stands between may cut a silent one. */
export const KEEP_ALIVE_MS = 15_000

/** A response that goes on: each message is one event. Source: MCP 2026-07-28, "Transports", Streamable HTTP. */
export function eventStream (clock: Clock): { readonly response: Response, readonly send: (message: JsonObject) => void, readonly end: () => void } {
  const encoder = new TextEncoder()
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let cancel = (): void => {}
  const write = (text: string): void => { controller?.enqueue(encoder.encode(text)) }
  const over = (): void => {
    controller = undefined
    cancel()
  }
  const keepAlive = (): void => {
    write(': alive\n\n')
    cancel = clock.after(KEEP_ALIVE_MS, keepAlive)
  }
  const body = new ReadableStream<Uint8Array>({
    start (own) { controller = own },
    cancel: over
  })
  cancel = clock.after(KEEP_ALIVE_MS, keepAlive)
  return {
    response: new Response(body, { headers: { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache, no-transform', 'X-Accel-Buffering': 'no' } }),
    send: message => { write(`event: message\ndata: ${JSON.stringify(message)}\n\n`) },
    end () {
      const open = controller
      over()
      open?.close()
    }
  }
}
