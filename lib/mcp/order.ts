/**
 * Keeps a notification ahead of the answer that follows it in the same chunk: the SDKs, v1 and v2, hand notifications to
 * their handler a microtask later and answers at once, so that the last progress of a call would be lost. And gives an
 * answer that is none the form of an error, and refuses a request whose parameters are none: the SDK would drop both, and
 * who asked would wait for ever. A result that is a task gets the form of a plain one, which the SDK lets through. And drops
 * the answer to a `server/discover` that was given up for `initialize`: a command that takes long to start (npx, the first
 * time) gives it all the same, and the SDK would call it an error.
 */
import { isJSONRPCErrorResponse, isJSONRPCResultResponse, type JSONRPCMessage, type RequestId, type Transport, type TransportSendOptions } from '@modelcontextprotocol/client'
import { isObject, type JsonObject } from '../base/json.ts'

/** Microtasks that a notification may take to reach its handler. */
const MICROTASKS = 4

/** Changes the transport itself: from now on messages that follow a notification wait until it has been handled. */
export function inOrder<Kind extends Transport> (transport: Kind): Kind {
  type Receive = NonNullable<Transport['onmessage']>
  let receive: Receive | undefined
  let waiting: Parameters<Receive>[] = []
  let holding = false
  /** Questions which revision the server speaks that are not answered yet. */
  const probes = new Set<RequestId>()
  let hasFallenBack = false
  const send = transport.send.bind(transport)
  transport.send = async (message: JSONRPCMessage, options?: TransportSendOptions) => {
    if ('method' in message && 'id' in message) {
      if (message.method === 'server/discover') probes.add(message.id)
      else if (message.method === 'initialize') hasFallenBack = true
    }
    await send(message, options)
  }
  const isLate = (message: JSONRPCMessage): boolean => !('method' in message) && message.id !== undefined && probes.delete(message.id) && hasFallenBack
  const take = (...message: Parameters<Receive>): void => {
    if (holding) {
      waiting.push(message)
      return
    }
    if (isLate(message[0]) || refuse(message[0])) return
    if ('method' in message[0] && !('id' in message[0])) {
      holding = true
      void afterMicrotasks().then(release)
    }
    receive?.(answered(message[0]), message[1])
  }
  const refuse = (message: JSONRPCMessage): boolean => {
    if (!('method' in message) || !('id' in message) || message.params === undefined || isObject(message.params)) return false
    void transport.send({ jsonrpc: '2.0', id: message.id, error: { code: -32600, message: 'parameters are no object' } }).catch((error: unknown) => { transport.onerror?.(error instanceof Error ? error : new Error(String(error))) })
    return true
  }
  const release = (): void => {
    holding = false
    const held = waiting
    waiting = []
    for (const [index, message] of held.entries()) {
      if (holding) {
        waiting = [...held.slice(index), ...waiting]
        return
      }
      take(...message)
    }
  }
  Object.defineProperty(transport, 'onmessage', {
    configurable: true,
    get: () => receive === undefined ? undefined : take,
    set: (next: Receive | undefined) => { receive = next === take ? receive : next }
  })
  return transport
}

/** The error that stands for an answer that is none: ours, and not the server's own. */
export const NO_ANSWER = { code: -32603, message: 'the answer is neither a result nor an error', data: { 'mcp-swarm/garbage': true } }

/** Member of `_meta` that holds a result that is a task. */
const TASK_META = 'mcp-swarm/task'

/** A result as it came, before it got the form of a plain one. */
export function asItCame (result: JsonObject): JsonObject {
  const task = isObject(result._meta) ? result._meta[TASK_META] : undefined
  return isObject(task) ? task : result
}

async function afterMicrotasks (): Promise<void> {
  for (let count = 0; count < MICROTASKS; count++) await Promise.resolve()
}

function answered (message: JSONRPCMessage): JSONRPCMessage {
  if (isJSONRPCResultResponse(message) && message.result['resultType'] === 'task') {
    return { ...message, result: { resultType: 'complete', content: [], _meta: { [TASK_META]: message.result } } }
  }
  if ('method' in message || !('id' in message) || message.id === undefined || isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) return message
  const { id } = message as { id: string | number }
  return { jsonrpc: '2.0', id, error: NO_ANSWER }
}
