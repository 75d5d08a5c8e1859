/**
 * Nobody is served who has not proven to belong: says hello on every connection this peer dials, answers it on every one
 * that comes, and closes those that end otherwise or say nothing in time, and those whose grant ends.
 */
import { HELLO_MS_MAX, answerHello, helloProtocol, sayHello, type Membership, type Welcome } from '../access/hello.ts'
import type { Clock } from '../base/clock.ts'
import { SwarmError } from '../base/error.ts'
import type { Connection, Network } from '../base/network.ts'

/** Clocks are set: how long is left of a grant is worked out again at least this often, in milliseconds. */
export const GRANT_LOOK_MS_MAX = 30_000

export interface AdmissionEvents {
  /** The other end has proven to belong: its streams may come from now on. */
  readonly onProven: (connection: Connection, welcome: Welcome) => void
  /** Both ends have: ours may go. */
  readonly onAdmitted: (connection: Connection) => void
  /** It has not, or no longer does; the connection is being closed. */
  readonly onRefused: (connection: Connection, error: unknown) => void
}

export interface Admission {
  /** Says hello anew on an admitted connection: our grant is another one now. */
  readonly introduce: (connection: Connection) => void
  readonly stop: () => void
}

export function admitPeers (network: Network, membership: Membership, clock: Clock, { onProven, onAdmitted, onRefused }: AdmissionEvents): Admission {
  const stopping = new AbortController()
  const refuse = (connection: Connection, error: unknown): void => {
    if (!stopping.signal.aborted) onRefused(connection, error)
    // In order, so that the code leaves first; the transport bounds how long that may take.
    connection.close().catch((cause: unknown) => { connection.abort(new SwarmError('NOT_ADMITTED', 'refused', { cause })) })
  }
  const settle = (connection: Connection, hello: Promise<Welcome>): void => {
    hello.then(
      () => { if (!stopping.signal.aborted) onAdmitted(connection) },
      (error: unknown) => { refuse(connection, error) }
    )
  }

  /** Connections whose grant has an end, each with the way to stop waiting for it. */
  const ending = new Map<Connection, () => void>()
  const prove = (connection: Connection, welcome: Welcome): void => {
    onProven(connection, welcome)
    const isKnown = ending.has(connection)
    ending.get(connection)?.() // a grant that is shown later counts from then on
    if (welcome.memberUntilMs === null) return void ending.delete(connection)
    awaitEnd(connection, welcome.memberUntilMs)
    if (!isKnown) connection.onClose(() => {
      ending.get(connection)?.()
      ending.delete(connection)
    })
  }
  const awaitEnd = (connection: Connection, untilMs: number): void => {
    const leftMs = untilMs - clock.wallMs()
    ending.set(connection, clock.after(Math.min(leftMs, GRANT_LOOK_MS_MAX), () => {
      if (clock.wallMs() < untilMs) return awaitEnd(connection, untilMs)
      refuse(connection, new SwarmError('NOT_ADMITTED', `the grant of peer ${connection.peerId} has ended`, { details: { reason: 'expired' } }))
    }))
  }

  const waiting = new Map<Connection, () => void>()
  const protocol = helloProtocol(membership.swarmId)
  network.handle(protocol, (stream, connection) => {
    waiting.get(connection)?.()
    waiting.delete(connection)
    settle(connection, answerHello(stream, connection, membership, { clock, onAdmit: welcome => { prove(connection, welcome) } }))
  }, { beforeAdmission: true, streamsMax: 1 })

  const introduce = (connection: Connection): void => {
    settle(connection, sayHello(connection, membership, { clock, signal: stopping.signal, onAdmit: welcome => { prove(connection, welcome) } }))
  }
  const stopListening = network.onConnection(connection => {
    if (connection.direction === 'outbound') return introduce(connection)
    const cancel = clock.after(HELLO_MS_MAX, () => {
      waiting.delete(connection)
      refuse(connection, new SwarmError('NOT_ADMITTED', `no hello in ${HELLO_MS_MAX} ms`))
    })
    waiting.set(connection, cancel)
    connection.onClose(() => {
      waiting.delete(connection)
      cancel()
    })
  })

  const stop = (): void => {
    stopping.abort(new SwarmError('CLOSED', 'the swarm is closed'))
    stopListening()
    network.unhandle(protocol)
    for (const cancel of [...waiting.values(), ...ending.values()]) cancel()
    ending.clear()
  }
  return { introduce, stop }
}
