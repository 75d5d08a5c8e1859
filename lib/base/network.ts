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
  dial (peerId: string, addresses: readonly string[], signal: AbortSignal, options?: DialOptions): Promise<Connection>
  /** Answers inbound streams of a protocol. A handler that throws, or rejects, resets its stream. */
  handle (protocol: string, handler: StreamHandler, options?: HandleOptions): void
  unhandle (protocol: string): void
  /** Tells of every new connection, inbound and outbound, before `dial` resolves with it. Returns the way to stop. */
  onConnection (listener: (connection: Connection) => void): () => void
  /** Calls back when `addresses()` may differ: an interface came or went, a relay lends us an address or takes it back. Returns the way to stop. */
  onAddresses (listener: () => void): () => void
  /** Gossip among admitted peers: opened, and its code loaded, at first use; the same one afterwards. @throws SwarmError CLOSED */
  gossip (): Promise<Gossip>
  /**
   * The distributed hash table of the admitted peers: opened, and its code loaded, at first use; the same one afterwards.
   *
   * @throws SwarmError CLOSED
   */
  routing (): Promise<Routing>
  /** Closes every connection and stops listening; a second call does nothing. */
  close (): Promise<void>
}

export interface DialOptions {
  /** Connects beside the connections that are open by now, which may be dead. */
  readonly anew?: boolean
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
  /** `relay`: another peer passes the bytes on, which it cannot read. */
  readonly path: 'direct' | 'relay'
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

/** Largest message that gossip carries; more than this goes over a stream. */
export const GOSSIP_BYTES_MAX = 64 * 2 ** 10

/** Topics one peer may take part in; a neighbour's further ones are not known here. */
export const GOSSIP_TOPICS_MAX = 512

/** Longest name of a topic, in characters. */
export const GOSSIP_TOPIC_CHARS_MAX = 256

/**
 * Spreads messages among the peers of a topic, each handing on what it finds good. Only connections that both ends have
 * admitted carry any of it. Delivery is likely and quick, never certain: who needs all of it asks the others again.
 */
export interface Gossip {
  /**
   * Takes part in a topic; a topic has one judge at a time.
   *
   * @param judge sees each message of another peer once; a message is one `publish`, so that equal bytes published twice are
   *   seen twice. What it accepts is passed on. Bytes are its to keep
   * @returns the way to leave
   * @throws SwarmError CLOSED, OVERLOADED over GOSSIP_TOPICS_MAX, TOO_LARGE over GOSSIP_TOPIC_CHARS_MAX
   */
  join (topic: string, judge: Judge): () => void
  /**
   * Hands a message to neighbours in a topic, joined or not.
   *
   * @param bytes at most GOSSIP_BYTES_MAX; not kept
   * @returns how many neighbours it went to, once it has left our queues: 0 reached nobody
   * @throws SwarmError TOO_LARGE, CLOSED
   */
  publish (topic: string, bytes: Uint8Array): Promise<number>
  /**
   * A message is about to be published: does what of that can be done ahead. Nobody learns of it, and it need not come to that.
   *
   * @param bytes as `publish` will get them: the same object, unchanged
   * @throws SwarmError TOO_LARGE
   */
  prepare?: (topic: string, bytes: Uint8Array) => void
  /** Admitted neighbours that are known to take part in a topic. */
  peers (topic: string): string[]
}

/** Decides at once what becomes of a message. */
export type Judge = (message: { readonly from: string /* the neighbour that passed it on */, readonly bytes: Uint8Array }) => Verdict

/** `accept` is passed on. `ignore` is not, and nobody is blamed. `reject` counts against the neighbour that passed it on. */
export type Verdict = 'accept' | 'reject' | 'ignore'

/** Bytes of a key in the distributed hash table: the SHA-256 of what it stands for. */
export const ROUTING_KEY_BYTES = 32

/** Keys one peer may provide at once. */
export const ROUTING_KEYS_MAX = 256

/** How long others hold what a peer provides, in milliseconds, unless it is provided again: a third of the way through it is. */
export const ROUTING_RECORD_MS = 3 * 3_600_000

/**
 * Finds peers that nobody here has met, by asking those that are nearer. Only connections that both ends have admitted
 * carry any of it, and yet every answer is a hint: any member may say anything. What a peer is, a dial proves; what it
 * has, its own record.
 */
export interface Routing {
  /**
   * Lets others find this peer under a key from now on, until `withdraw`: at once, again whenever a third of
   * ROUTING_RECORD_MS has passed, and as soon as peers come where there were none.
   *
   * @param key ROUTING_KEY_BYTES; not kept
   * @returns when those who are to hold it have been told; with nobody there, at once
   * @throws SwarmError OVERLOADED over ROUTING_KEYS_MAX, ABORTED, CLOSED
   */
  provide (key: Uint8Array, signal: AbortSignal): Promise<void>
  /** Provides a key no longer. Who holds it forgets it within ROUTING_RECORD_MS. */
  withdraw (key: Uint8Array): void
  /**
   * Asks for peers that provide a key; ends when all that could be asked have been.
   *
   * @param options.onFound called for each peer that somebody names, once for each who does, as answers come; never for this one.
   *   Addresses are multiaddrs without `/p2p`, not checked; `teller` is the id of who says so
   * @throws SwarmError ABORTED, CLOSED
   */
  find (key: Uint8Array, options: FindOptions): Promise<void>
  /** Where a peer may be dialled: empty if nobody knows. @throws SwarmError ABORTED, CLOSED */
  locate (peerId: string, signal: AbortSignal): Promise<string[]>
  /** Peers that this one asks first: none, and nothing can be found. */
  readonly size: number
}

export interface FindOptions {
  readonly signal: AbortSignal
  readonly onFound: (peerId: string, addresses: readonly string[], teller: string) => void
  /** Somebody waits for what is found: it may cost others more, to be there sooner. Default true. */
  readonly isAwaited?: boolean
}

/** What a peer does for others that cannot be dialled, and others for it. */
export interface RelayOptions {
  /** Lends other members addresses, and passes on what comes there. Default false. */
  readonly serve?: boolean
  /** Addresses lent at once. Default 64. */
  readonly reservationsMax?: number
  /** Whether others lend this peer addresses: where nobody can dial it, always, or never. Default never. */
  readonly use?: 'auto' | 'always' | 'never'
}
