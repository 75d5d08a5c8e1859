import type { Rendezvous, RendezvousOptions } from './rendezvous.ts'

/** A page shares no folder with other peers: it finds nobody this way. */
export async function openRendezvous (_options: RendezvousOptions): Promise<Rendezvous> {
  return { announce: async () => {}, check: async () => {}, close: async () => {} }
}
