/**
 * A server reached by Streamable HTTP. Nothing is dialled before the transport is started.
 *
 * HTTP has no connection whose end tells that the server has gone; here a request that could not be sent, or a session that
 * the server has forgotten, ends the transport, so that whoever holds it dials again.
 */
import { StreamableHTTPClientTransport, type JSONRPCMessage, type Transport } from '@modelcontextprotocol/client'
import { afterTurn } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { Link, Trouble, UrlSource } from './link.ts'
import { ANSWER_LOST } from './session.ts'

/** @throws SwarmError INVALID_OPTION unless it is an http or https URL */
export function openUrl (source: UrlSource): Link {
  const url = readUrl(source.url)
  const transport = new UrlTransport(url, { requestInit: { headers: { ...source.headers } } })
  return { transport, trouble: () => transport.trouble }
}

type SendOptions = Parameters<Transport['send']>[1] & { onRequestStreamEnd?: () => void }

class UrlTransport extends StreamableHTTPClientTransport {
  trouble: Trouble | undefined

  override async send (message: JSONRPCMessage, options: SendOptions = {}): Promise<void> {
    const id = 'id' in message && 'method' in message ? message.id : undefined
    try {
      await super.send(message, id === undefined || options.onRequestStreamEnd !== undefined ? options : { ...options, onRequestStreamEnd: () => { this.#lose(id) } })
    } catch (error) {
      throw this.#explain(error)
    }
  }

  /** The answer's stream has ended. If the answer had come, nobody waits for it any more. */
  #lose (id: string | number): void {
    afterTurn(() => { this.onmessage?.({ jsonrpc: '2.0', id, error: ANSWER_LOST }) })
  }

  #explain (error: unknown): unknown {
    const { status } = (error as { data?: { status?: unknown } }).data ?? {}
    if (status === 404 && this.sessionId !== undefined) return this.#end('it has forgotten our session', error)
    const cause = (error as { cause?: { code?: unknown } }).cause?.code
    const unsent = cause === 'ECONNREFUSED' || cause === 'ENOTFOUND' || cause === 'EHOSTUNREACH' || cause === 'ENETUNREACH' || cause === 'EAI_AGAIN'
    return unsent ? this.#end(`it does not answer (${cause})`, error, 'check that it runs there') : error
  }

  #end (reason: string, cause: unknown, check?: string): SwarmError {
    this.trouble = { reason, ...check !== undefined && { check }, details: { error: messageOf(cause) } }
    afterTurn(() => { void this.close() })
    return new SwarmError('UNAVAILABLE', `the server cannot be reached: ${reason}`, { cause, details: { sent: false } })
  }
}

function readUrl (text: string | URL): URL {
  const url = URL.canParse(String(text)) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  throw new SwarmError('INVALID_OPTION', `${JSON.stringify(String(text))} is not an http or https URL`)
}
