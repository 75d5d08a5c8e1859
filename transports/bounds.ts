/** Streams of one protocol a connection may hold open unless `handle` says otherwise. */
export const PROTOCOL_STREAMS_MAX = 1_000

/** Bytes a stream may hold unsent before it is given up: its user ignores that the other end does not read. */
export const UNSENT_BYTES_MAX = 32 * 2 ** 20

/** Longest wait for the other end to accept or refuse a stream. */
export const OPEN_MS_MAX = 10_000

/** Longest wait for one address to answer a dial: connecting, proving keys, agreeing on a muxer. */
export const DIAL_MS_MAX = 6_000

/** Longest wait for queued bytes to leave, and for the other end to say goodbye, before a connection is cut. */
export const CLOSE_MS_MAX = 400
