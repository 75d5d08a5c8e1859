import type { JSONRPCMessage } from '@modelcontextprotocol/server'
import { isObject } from '../base/json.ts'
import type { RpcId } from './wire.ts'
import type { GatewayView } from './view.ts'

/** Resources heard of at once for one connection, or for all of a port; of further ones nothing is told. */
export const LISTENED_MAX = 256

/**
 * Hears of the resources that clients of 2026-07-28 name in `subscriptions/listen`. The SDK serves those requests by itself,
 * and tells each only of what it asked for; which resources those are has to be seen on the wire. Each resource is heard of
 * once, however many ask.
 */
export class Listened {
  /** Told of every update, once. */
  tell: (uri: string) => void = () => {}
  readonly #view: GatewayView
  readonly #requests = new Map<RpcId, () => void>()
  readonly #heard = new Map<string, { count: number, readonly stop: () => void }>()

  constructor (view: GatewayView) {
    this.#view = view
  }

  /** A message of the client, on its way to the SDK. */
  look (message: JSONRPCMessage): void {
    if (!('method' in message)) return
    const { method, params } = message
    if (method === 'notifications/cancelled') this.#end((params as { requestId?: RpcId } | undefined)?.requestId)
    if (method !== 'subscriptions/listen' || !('id' in message)) return
    this.#end(message.id)
    this.#requests.set(message.id, this.hear(params))
  }

  /** @param params of the request @returns the way to stop */
  hear (params: unknown): () => void {
    const wishes = isObject(params) && isObject(params['notifications']) ? params['notifications']['resourceSubscriptions'] : undefined
    const uris = [...new Set(Array.isArray(wishes) ? wishes.filter(uri => typeof uri === 'string') : [])].filter(uri => this.#add(uri))
    return () => { for (const uri of uris.splice(0)) this.#remove(uri) }
  }

  close (): void {
    for (const id of [...this.#requests.keys()]) this.#end(id)
  }

  #add (uri: string): boolean {
    const known = this.#heard.get(uri)
    if (known !== undefined) {
      known.count++
      return true
    }
    const located = this.#view.locate(uri)
    if (located === undefined || this.#heard.size >= LISTENED_MAX) return false
    this.#heard.set(uri, { count: 1, stop: this.#view.listen(located.target, located.uri, () => { this.tell(uri) }) })
    return true
  }

  #remove (uri: string): void {
    const known = this.#heard.get(uri)
    if (known === undefined || --known.count > 0) return
    this.#heard.delete(uri)
    known.stop()
  }

  #end (id: RpcId | undefined): void {
    if (id === undefined) return
    this.#requests.get(id)?.()
    this.#requests.delete(id)
  }
}
