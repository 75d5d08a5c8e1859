/**
 * Gossipsub's memory of what was said in the last seconds, out of which it answers those who missed some of it. By itself it is bounded in
 * time only: at 64 KiB a message and thousands of them a second, that is no bound.
 */

/** Bytes of messages kept to answer with; above, the oldest go. They are made up for as anything is that gossip loses. */
export const CACHE_BYTES_MAX = 16 * 2 ** 20

/** What is charged for a message beside its bytes. */
const ENTRY_BYTES = 512

interface CachedMessage { readonly topic: string, readonly data?: Uint8Array }

/** The part of gossipsub's cache that this changes; the package has it, and does not declare it. */
export interface Cache {
  readonly msgs: Map<string, unknown>
  put (id: { readonly msgId?: Uint8Array, readonly msgIdStr: string }, message: CachedMessage, isValidated?: boolean): boolean
  shift (): void
}

/** Bounds a cache, from now on. */
export function boundCache (cache: Cache): void {
  /** In the order in which they came; also those that are gone, until they are the oldest. */
  const sizes = new Map<string, number>()
  let bytes = 0
  const [put, shift] = [cache.put.bind(cache), cache.shift.bind(cache)]

  /** Forgets the oldest: those that are gone, and more while all of them are too many; never the last that came. */
  const trim = (last?: string): void => {
    for (const [id, size] of sizes) {
      if (cache.msgs.has(id) && (bytes <= CACHE_BYTES_MAX || id === last)) return
      cache.msgs.delete(id)
      sizes.delete(id)
      bytes -= size
    }
  }

  cache.put = (id, message, isValidated) => {
    if (!put(id, message, isValidated)) return false
    const size = ENTRY_BYTES + message.topic.length + (message.data?.byteLength ?? 0)
    sizes.set(id.msgIdStr, size)
    bytes += size
    trim(id.msgIdStr)
    return true
  }
  cache.shift = () => {
    shift()
    trim()
  }
}
