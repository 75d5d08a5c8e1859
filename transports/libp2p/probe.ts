import { equalBytes } from '../../lib/base/bytes.ts'
import type { Clock } from '../../lib/base/clock.ts'
import { SwarmError } from '../../lib/base/error.ts'
import type { ByteStream } from '../../lib/base/network.ts'

/** libp2p's ping: whatever is sent comes back. Source: libp2p specifications, ping/ping.md. */
export const PING_PROTOCOL = '/ipfs/ping/1.0.0'

/** Bytes of one ping, unpredictable so that nobody answers before asked. */
export const PING_BYTES = 32

/**
 * One round trip on a fresh ping stream, which is used up.
 *
 * @param payload PING_BYTES unpredictable bytes
 * @returns milliseconds
 * @throws SwarmError UNREACHABLE if anything but the payload comes back, ABORTED
 */
export async function roundTrip (stream: ByteStream, payload: Uint8Array, clock: Clock, signal: AbortSignal): Promise<number> {
  const echo = new Uint8Array(payload.byteLength)
  let received = 0
  let onAbort = (): void => {}
  try {
    return await new Promise<number>((resolve, reject) => {
      onAbort = () => { reject(new SwarmError('ABORTED', 'a ping was given up', { cause: signal.reason })) }
      signal.addEventListener('abort', onAbort, { once: true })
      const startMs = clock.nowMs()
      stream.read({
        data (bytes) {
          echo.set(bytes.subarray(0, echo.byteLength - received), received)
          received += bytes.byteLength
          if (received < echo.byteLength) return
          if (received === echo.byteLength && equalBytes(echo, payload)) resolve(clock.nowMs() - startMs)
          else reject(new SwarmError('UNREACHABLE', 'a ping came back as something else'))
        },
        ended () { reject(new SwarmError('UNREACHABLE', 'a ping was not answered')) },
        closed (cause) { reject(new SwarmError('UNREACHABLE', 'the connection closed during a ping', { cause })) }
      })
      stream.send(payload)
      if (signal.aborted) onAbort()
    })
  } catch (error) {
    stream.abort(new SwarmError('ABORTED', 'a ping failed', { cause: error }))
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
    void stream.end()
  }
}
