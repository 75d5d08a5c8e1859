/**
 * The way to one peer: a stream that this peer opens and alone sends on; the other end has one of its own. So neither needs to agree
 * with the other on who opens, or when: a peer without documents refuses, and says that it has some by opening its own.
 *
 * Messages may be lost here (a broken stream, a full queue): what they were to bring about is brought about by the next round.
 */
import { deadline, sleep, type Clock } from '../base/clock.ts'
import { SwarmError, messageOf } from '../base/error.ts'
import type { ByteStream, Connection } from '../base/network.ts'
import type { Random } from '../base/random.ts'
import { MESSAGE_BYTES_MAX } from '../../crdt/message.ts'
import { PART_BYTES_MAX, largeFrames, wholeFrame, type Large } from './frame.ts'
import { pack } from './pack.ts'

/** Bytes of messages that wait for one peer; a message over that is dropped. Room for one of the largest. */
export const QUEUE_BYTES_MAX = MESSAGE_BYTES_MAX + 4 * 2 ** 20

/** Bytes that wait above which a peer's questions are not answered: it does not read the answers. */
export const QUEUE_BYTES_HIGH = 4 * 2 ** 20

/** How long a stream may take to open, in milliseconds. */
export const OPEN_MS = 5_000

/** How long the other end may read nothing while something waits for it, in milliseconds. */
export const STALL_MS = 30_000

/** A stream that broke is opened again after this many milliseconds, and some chance; one that was refused, after REFUSED_MS. */
export const RESUME_MS = 500
export const REFUSED_MS = 30_000

export interface ChannelOptions {
  readonly protocol: string
  readonly clock: Clock
  readonly random: Random
  /** The connection that serves the peer now. */
  readonly connection: () => Connection | undefined
  /** A stream is open: what waits goes out, and more may be sent. */
  readonly onOpen: () => void
  /** Something was dropped, and now there is room again. */
  readonly onRoom: () => void
  readonly onTrouble: (error: SwarmError) => void
}

export class Channel {
  readonly #options: ChannelOptions
  readonly #stopping = new AbortController()
  #small: Uint8Array[] = []
  #large: Large[] = []
  #bytes = 0
  #hasDropped = false
  #isTrying = false
  #isHinted = false
  /** Ends the pause before the next attempt, or the stream under way. */
  #again = new AbortController()
  #wake: () => void = () => undefined
  #drained: (() => void)[] = []

  constructor (options: ChannelOptions) {
    this.#options = options
    void this.#keepUp()
  }

  /** Bytes of messages that wait. */
  get bytes (): number {
    return this.#bytes
  }

  /** @param message kept; it must not change any more @returns false if it was dropped */
  send (message: Uint8Array): boolean {
    const { byteLength } = message
    if (this.#stopping.signal.aborted || this.#bytes + byteLength > QUEUE_BYTES_MAX) {
      this.#hasDropped = true
      return false
    }
    this.#bytes += byteLength
    if (byteLength <= PART_BYTES_MAX) {
      this.#small.push(message)
      this.#wake()
      return true
    }
    void pack(message).then(large => {
      this.#large.push(large)
      this.#wake()
    })
    return true
  }

  /** Something was not even made, since too much waits: as if it was dropped. */
  owe (): void {
    this.#hasDropped = true
  }

  /** Another connection serves the peer: the stream moves there. */
  move (): void {
    this.#again.abort()
  }

  /** The peer may no longer refuse: tries now, or once more if what is being tried fails. */
  hint (): void {
    if (this.#isTrying) this.#isHinted = true
    else this.#again.abort()
  }

  /** Sends what waits, at most for `delayMs`, and ends. */
  async close (delayMs: number): Promise<void> {
    if (this.#bytes > 0 && !this.#stopping.signal.aborted) {
      const empty = new Promise<void>(resolve => { this.#drained.push(resolve) })
      let cancel = (): void => {}
      await Promise.race([empty, new Promise<void>(resolve => { cancel = this.#options.clock.after(delayMs, resolve) })])
      cancel()
    }
    this.abort()
  }

  abort (): void {
    this.#stopping.abort()
    this.#again.abort()
    this.#wake()
    this.#tellDrained()
  }

  get #isStopped (): boolean {
    return this.#stopping.signal.aborted
  }

  async #keepUp (): Promise<void> {
    const { clock, random, connection, onTrouble } = this.#options
    while (!this.#isStopped) {
      this.#again = new AbortController()
      this.#isHinted = false
      const serving = connection()
      let pauseMs = REFUSED_MS
      if (serving !== undefined) {
        this.#isTrying = true
        try {
          pauseMs = await this.#run(serving) ? 0 : RESUME_MS * (1 + random.next())
        } catch (error) {
          if (!(error instanceof SwarmError)) throw error
          if (error.code !== 'UNREACHABLE' && error.code !== 'CLOSED' && error.code !== 'ABORTED') onTrouble(error)
          if (error.code !== 'UNREACHABLE') pauseMs = RESUME_MS * (1 + random.next())
        }
        this.#isTrying = false
      }
      if (pauseMs > 0 && !this.#isHinted) await sleep(clock, pauseMs, this.#again.signal).catch(() => undefined) // the loop sees why
    }
  }

  /** @returns whether it ended because another stream is to take its place @throws SwarmError */
  async #run (connection: Connection): Promise<boolean> {
    const { protocol, clock, onOpen } = this.#options
    const limit = deadline(clock, OPEN_MS, this.#stopping.signal)
    const stream = await connection.open(protocol, limit.signal).finally(limit.done)
    let end: { readonly error?: Error | undefined } | undefined
    stream.read({
      data: () => { stream.abort(new SwarmError('MALFORMED', 'a peer answers on a stream that only we send on')) },
      ended: () => { stream.abort(new SwarmError('CLOSED', 'the other end does not read any more')) },
      closed: error => {
        end = { error }
        this.#wake()
      }
    })
    const again = this.#again.signal
    again.addEventListener('abort', () => { this.#wake() }, { once: true })
    this.#isHinted = false
    if (!this.#isStopped) onOpen()
    for (;;) {
      if (end !== undefined) {
        if (end.error !== undefined && !(end.error instanceof SwarmError)) return false
        throw end.error ?? new SwarmError('CLOSED', 'the stream was ended')
      }
      if (again.aborted || this.#isStopped) break
      if (this.#small.length === 0 && this.#large.length === 0) await new Promise<void>(resolve => { this.#wake = resolve })
      else await this.#sendSome(stream)
    }
    await endStream(stream)
    return true
  }

  /** Everything small, and one part of a large message after the other with what is small between them. */
  async #sendSome (stream: ByteStream): Promise<void> {
    await this.#sendSmall(stream)
    const large = this.#large.shift()
    if (large === undefined) return
    try {
      for (const frame of largeFrames(large)) {
        await this.#write(stream, frame)
        await this.#sendSmall(stream)
      }
    } finally {
      this.#release(large.messageBytes)
    }
  }

  async #sendSmall (stream: ByteStream): Promise<void> {
    while (this.#small.length > 0) {
      const frames: Uint8Array[] = []
      let bytes = 0
      let count = 0
      for (const message of this.#small) {
        if (count > 0 && bytes + message.byteLength > PART_BYTES_MAX) break
        bytes += message.byteLength
        frames.push(wholeFrame(message))
        count++
      }
      this.#small.splice(0, count)
      try {
        await this.#write(stream, frames.length === 1 ? frames[0] as Uint8Array : joined(frames))
      } finally {
        this.#release(bytes)
      }
    }
  }

  async #write (stream: ByteStream, bytes: Uint8Array): Promise<void> {
    if (stream.send(bytes)) return
    let stalled: SwarmError | undefined
    const cancel = this.#options.clock.after(STALL_MS, () => {
      stalled = new SwarmError('TIMEOUT', `nothing was read in ${STALL_MS} ms`)
      stream.abort(stalled)
    })
    try {
      await stream.drained()
    } catch (error) {
      throw stalled ?? error
    } finally {
      cancel()
    }
  }

  #release (bytes: number): void {
    this.#bytes -= bytes
    if (this.#bytes === 0) this.#tellDrained()
    if (!this.#hasDropped || this.#bytes > QUEUE_BYTES_HIGH) return
    this.#hasDropped = false
    this.#options.onRoom()
  }

  #tellDrained (): void {
    for (const resolve of this.#drained.splice(0)) resolve()
  }
}

async function endStream (stream: ByteStream): Promise<void> {
  try {
    await stream.end()
  } catch (error) {
    stream.abort(new SwarmError('CLOSED', `a stream about documents did not end in order: ${messageOf(error)}`))
  }
}

function joined (frames: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(frames.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let offset = 0
  for (const frame of frames) {
    bytes.set(frame, offset)
    offset += frame.byteLength
  }
  return bytes
}
