import type { Readable, Writable } from 'node:stream'
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { LINE_BYTES_MAX } from '../base/line.ts'
import { serveGateway, type Gateway, type GatewayOptions } from './gateway.ts'
import type { GatewayView } from './view.ts'

/**
 * Serves the gateway on a pair of streams: a process's stdin and stdout, or both ends of a socket.
 *
 * @param input ends the connection when it ends, or with a message over LINE_BYTES_MAX
 */
export function serveGatewayOn (view: GatewayView, input: Readable, output: Writable, options: GatewayOptions): Gateway {
  return serveGateway(view, new StdioServerTransport(input, output, { maxBufferSize: LINE_BYTES_MAX }), options)
}
