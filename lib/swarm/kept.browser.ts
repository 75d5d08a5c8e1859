import { readText, writeText } from '../identity/disk.browser.ts'
import { readKept, writeKept, type Kept } from './kept.ts'
import type { PortStore } from './ports.ts'

/** What a page keeps of the swarm it belongs to; undefined if it keeps nothing. @throws SwarmError FOLDER_UNUSABLE, VERSION_UNSUPPORTED */
export async function loadKept (dir: string): Promise<Kept | undefined> {
  const path = pathIn(dir)
  const text = await readText(path)
  return text === undefined ? undefined : readKept(text, path)
}

/** Keeps it from now on, also after a power cut. @throws SwarmError FOLDER_UNUSABLE */
export async function saveKept (dir: string, kept: Kept): Promise<void> {
  await writeText(pathIn(dir), writeKept(kept))
}

/** A page listens on nothing. */
export function keptPorts (_dir: string): PortStore {
  return { load: async () => ({}), save: async () => {} }
}

function pathIn (dir: string): string {
  return `${dir}/swarm.json`
}
