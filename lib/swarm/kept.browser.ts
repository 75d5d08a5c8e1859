import type { Kept } from './kept.ts'

/** A page keeps no membership: each visit is let in by its ticket. */
export async function loadKept (_dir: string): Promise<Kept | undefined> {
  return undefined
}

export async function saveKept (_dir: string, _kept: Kept): Promise<void> {}
