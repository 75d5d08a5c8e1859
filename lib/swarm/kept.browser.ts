import type { Kept } from './kept.ts'
import type { PortStore } from './ports.ts'

/** A page keeps no membership: each visit is let in by its ticket. */
export async function loadKept (_dir: string): Promise<Kept | undefined> {
  return undefined
}

export async function saveKept (_dir: string, _kept: Kept): Promise<void> {}

/** A page listens on nothing. */
export function keptPorts (_dir: string): PortStore {
  return { load: async () => ({}), save: async () => {} }
}
