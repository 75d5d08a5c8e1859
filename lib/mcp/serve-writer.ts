/** Writes to one caller's stream: answers, and what is told beside them. */
import { SwarmError } from '../base/error.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import type { LineStream } from '../base/line.ts'
import type { Progress } from './host.ts'
import { META } from './revision.ts'
import { Outlet } from './wire-outlet.ts'
import { isRpcId, rpcError, type RpcId } from './wire.ts'

export class Writer {
  readonly #lines: LineStream
  readonly #outlet: Outlet
  #isOver = false

  constructor (lines: LineStream, lineBytesMax: number) {
    this.#lines = lines
    this.#outlet = new Outlet(lines, lineBytesMax)
  }

  /** Nothing leaves after this. */
  end (): void {
    this.#isOver = true
  }

  /** A caller that leaves even short lines unread until no more can be held has lost its stream. */
  send (line: string): void {
    if (this.#isOver) return
    try {
      this.#outlet.send(line)
    } catch (error) {
      if (!(error instanceof SwarmError)) throw error
      this.#lines.abort(error)
    }
  }

  /** @param result JSON text */
  result (id: RpcId, result: string): void {
    this.send(resultLine(id, result))
  }

  /** The result of what has run: one that cannot be sent costs its own call only, and the caller learns that it has run. */
  deliver (id: RpcId, result: string): void {
    try {
      this.#outlet.send(resultLine(id, result))
    } catch (cause) {
      if (!(cause instanceof SwarmError)) throw cause
      this.fail(id, new SwarmError(cause.code, `the tool has run, but its result cannot be sent: ${cause.message}`, { cause, details: { executed: true } }))
    }
  }

  fail (id: RpcId, error: SwarmError): void {
    this.send(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${rpcError(error)}}`)
  }

  /** An error of the protocol itself: nothing has run. */
  refuse (id: unknown, code: number, message: string, data: JsonObject = { code: 'MALFORMED', executed: false }): void {
    this.send(`{"jsonrpc":"2.0","id":${isRpcId(id) ? JSON.stringify(id) : 'null'},"error":${JSON.stringify({ code, message, data })}}`)
  }

  /** Progress tells only how far things are: what a slow reader has no room for is dropped, never queued. */
  progress (progressToken: RpcId, { progress, total, message }: Progress): void {
    if (this.#outlet.isFull) return
    this.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken, progress, total, message } }))
  }

  /** A message logged for a request; dropped as progress is. */
  log (id: RpcId, params: JsonObject): void {
    if (this.#outlet.isFull) return
    const meta = isObject(params._meta) ? params._meta : {}
    this.send(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params: { ...params, _meta: { ...meta, [META.requestId]: id } } }))
  }
}

function resultLine (id: RpcId, result: string): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`
}
