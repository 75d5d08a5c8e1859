/**
 * The port through which everything above meets other peers. `transports/` has the implementations; one conformance
 * suite (test/transports/conformance.ts) runs against each.
 *
 * A connection is encrypted and its other end proven to own `peerId` before anyone here sees it. It then waits for
 * admission: until `admit()` is called at this end, only protocols handled with `beforeAdmission` are answered and every
 * other inbound stream is refused, so that a stranger learns nothing and costs little.
 */
export interface Network {
  readonly peerId: string
  /** Where others can dial this peer: multiaddrs without a `/p2p` tail. */
  addresses (): string[]
  /**
   * Connects to a peer by any of its addresses; the connection it already has is returned where one is open.
   *
   * @throws SwarmError UNREACHABLE if no address answers as that peer, ADDRESS_INVALID, ABORTED, CLOSED
   */
  dial (peerId: string, addresses: readonly string[], signal: AbortSignal): Promise<Connection>
  /** Answers inbound streams of a protocol. A handler that throws, or rejects, resets its stream. */
  handle (protocol: string, handler: StreamHandler, options?: HandleOptions): void
  unhandle (protocol: string): void
  /** Tells of every new connection, inbound and outbound, before `dial` resolves with it. Returns the way to stop. */
  onConnection (listener: (connection: Connection) => void): () => void
  /** Closes every connection and stops listening; a second call does nothing. */
  close (): Promise<void>
}

export interface HandleOptions {
  /** Serve peers that are not admitted yet: for `hello` alone. */
  readonly beforeAdmission?: boolean
  /** Streams of this protocol one connection may hold open at once; a further one is reset. Default 1,000. */
  readonly streamsMax?: number
}

export type StreamHandler = (stream: ByteStream, connection: Connection) => void | Promise<void>

export interface Connection {
  /** Unique among this peer's connections. */
  readonly id: string
  /** The other end, as proven by its key. */
  readonly peerId: string
  /** The multiaddr at the other end. */
  readonly address: string
  readonly direction: 'inbound' | 'outbound'
  readonly admitted: boolean
  /** Opens every protocol to the other end. Idempotent. */
  admit (): void
  /** Opens a stream. @throws SwarmError UNREACHABLE if the other end refuses or is gone, ABORTED, CLOSED */
  open (protocol: string, signal: AbortSignal): Promise<ByteStream>
  /** One round trip on this connection, in milliseconds. Both ends must be admitted. @throws SwarmError UNREACHABLE, ABORTED */
  probe (signal: AbortSignal): Promise<number>
  /** Lets queued bytes leave, then closes. */
  close (): Promise<void>
  /** Closes at once; streams end with the error. */
  abort (error: Error): void
  /** Calls back once, when the connection has closed for whatever reason; at once if it already has. */
  onClose (listener: () => void): void
}

/** A reliable, ordered byte stream that either end can half-close. */
export interface ByteStream {
  readonly protocol: string
  /** Sends bytes, which the stream may keep. False: wait for `drained` before sending more; whoever does not is cut off. @throws SwarmError CLOSED */
  send (bytes: Uint8Array): boolean
  /** Resolves when the stream takes more, rejects with SwarmError CLOSED when it ends first. */
  drained (): Promise<void>
  /** Starts reading; called exactly once, at once or later: bytes wait for it, and hold their sender back. */
  read (reader: StreamReader): void
  /** Holds inbound bytes back, and with them the sender. */
  pause (): void
  resume (): void
  /** Ends our sending side, after what was sent; the other end may still send. */
  end (): Promise<void>
  /** Resets both directions at once; the other end sees an error. */
  abort (error: Error): void
}

export interface StreamReader {
  /** Bytes are the reader's to keep. */
  data (bytes: Uint8Array): void
  /** The other end has ended its sending side; nothing more comes. */
  ended (): void
  /** Nothing more goes or comes: `error` unless both sides ended in order. Called exactly once, last. */
  closed (error?: Error): void
}
