/**
 * Whether others can dial this peer: it asks one that it has dialled to knock at its door, at the address its connection comes from.
 *
 * The question is a line of JSON, `{"ports":[4001]}`, the answer `{"reached":true}`. Whoever is asked opens a socket to that
 * address and port and closes it again, so that nobody can have a third party knocked at. What libp2p calls AutoNAT asks the same, but
 * takes only public addresses for any, wants several servers in networks of their own, and finds them by random walks.
 */
import type { Transport } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { deadline } from '../../lib/base/clock.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import { parseObject } from '../../lib/base/json.ts'
import { LineStream } from '../../lib/base/line.ts'
import type { ByteStream } from '../../lib/base/network.ts'
import type { Libp2pConnection } from './connection.ts'
import type { Components } from './guard.ts'

/** Ports one question may name. */
export const PORTS_MAX = 4

/** How long a knock may take, and the answer to the question, in milliseconds. */
const KNOCK_MS_MAX = 2_000
const ANSWER_MS_MAX = 5_000

/** Longest line of either side, in bytes. */
const LINE_BYTES_MAX = 256

/** Between two questions of one peer, in milliseconds: more often it is not answered. */
export const QUESTION_MS_MIN = 5_000

/**
 * Asks the other end of a connection to dial us.
 *
 * @returns whether it could
 * @throws SwarmError UNREACHABLE, ABORTED if it gives no answer
 */
export async function askBack (connection: Libp2pConnection, protocol: string, ports: readonly number[], clock: Clock, signal: AbortSignal): Promise<boolean> {
  const bound = deadline(clock, ANSWER_MS_MAX, signal)
  try {
    const stream = await connection.open(protocol, bound.signal)
    const answer = parseObject(await exchange(stream, bound.signal, JSON.stringify({ ports: ports.slice(0, PORTS_MAX) })), 'an answer to a question for a dial')
    return answer['reached'] === true
  } finally {
    bound.done()
  }
}

/** Answers such questions. */
export class Dialback {
  readonly #transports: Components['transportManager']
  readonly #clock: Clock
  readonly #askedMs = new WeakMap<Libp2pConnection, number>()

  constructor (transports: Components['transportManager'], clock: Clock) {
    this.#transports = transports
    this.#clock = clock
  }

  /** @throws SwarmError OVERLOADED, MALFORMED */
  async answer (stream: ByteStream, connection: Libp2pConnection): Promise<void> {
    const nowMs = this.#clock.nowMs()
    if (nowMs - (this.#askedMs.get(connection) ?? -Infinity) < QUESTION_MS_MIN) throw new SwarmError('OVERLOADED', 'asked for a dial too often')
    this.#askedMs.set(connection, nowMs)
    const bound = deadline(this.#clock, ANSWER_MS_MAX)
    try {
      await exchange(stream, bound.signal, async text => {
        const { ports } = parseObject(text, 'a question for a dial')
        if (!Array.isArray(ports) || ports.length > PORTS_MAX || !ports.every(isPort)) throw new SwarmError('MALFORMED', 'a question for a dial names no ports')
        const host = hostOf(connection)
        const reached = host !== undefined && (await Promise.all(ports.map(async port => await this.#knock(`${host}/tcp/${port}`)))).includes(true)
        return JSON.stringify({ reached })
      })
    } finally {
      bound.done()
    }
  }

  async #knock (address: string): Promise<boolean> {
    const target = multiaddr(address)
    const transport: Transport | undefined = this.#transports.dialTransportForMultiaddr(target)
    if (transport === undefined) return false
    const bound = deadline(this.#clock, KNOCK_MS_MAX)
    // The socket is enough: it is closed in place of a handshake.
    const upgrader = { upgradeOutbound: async (socket: { abort: (error: Error) => void }) => { socket.abort(new SwarmError('CLOSED', 'a knock')) } }
    try {
      await transport.dial(target, { signal: bound.signal, upgrader } as unknown as Parameters<Transport['dial']>[1])
      return true
    } catch {
      return false
    } finally {
      bound.done()
    }
  }
}

/** Where a connection comes from, as the start of a multiaddr; undefined where that is no host. */
export function hostOf ({ path, raw }: Libp2pConnection): string | undefined {
  const [first] = raw.remoteAddr.getComponents()
  return path === 'relay' || first === undefined || !['ip4', 'ip6'].includes(first.name) ? undefined : `/${first.name}/${first.value}`
}

function isPort (value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 65_535
}

/** Sends a line and waits for one, or answers one with one. */
async function exchange (stream: ByteStream, signal: AbortSignal, words: string | ((line: string) => Promise<string>)): Promise<string> {
  return await new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      stream.abort(error)
      reject(error)
    }
    const onAbort = (): void => { fail(new SwarmError('ABORTED', 'a question for a dial was given up', { cause: signal.reason })) }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const lines = new LineStream(stream, { lineBytesMax: LINE_BYTES_MAX })
    let isHeard = false
    lines.read({
      line (text) {
        if (isHeard) return // one line a stream: or each of a thousand would be answered
        isHeard = true
        signal.removeEventListener('abort', onAbort)
        if (typeof words === 'string') {
          resolve(text)
          return void lines.end()
        }
        words(text).then(async answer => {
          lines.send(answer)
          resolve(text) // the other end may close as soon as it has the line
          await lines.end()
        }).catch(fail)
      },
      ended () {
        if (typeof words === 'string' || !isHeard) void lines.end() // who asks may have ended its side with its line
      },
      closed (error) {
        signal.removeEventListener('abort', onAbort)
        reject(error ?? new SwarmError('UNREACHABLE', 'a question for a dial was not answered'))
      }
    })
    if (typeof words === 'string') lines.send(words)
  })
}
